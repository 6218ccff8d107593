from __future__ import annotations

import json
import math

import numpy as np
from example_study import HORIZON, SPACE, Study, example_study, search_of_fourteen

from autosched.ledger.fold import fold
from autosched.report.plain import json_safe
from autosched.report.summary import summarise

KEYS = {
    "study": None,
    "state": None,
    "target": None,
    "reason": None,
    "next_run": None,
    "best": {"trial", "value", "losses", "schedule", "predicted"},
    "default": {"trial", "value", "losses", "schedule"},
    "trials": {
        "proposed",
        "complete",
        "reached",
        "pruned",
        "paused",
        "diverged",
        "failed",
        "stopped",
        "running",
        "confirm",
    },
    "steps": {
        "horizon",
        "full_cost",
        "trained",
        "retrained",
        "range_test",
        "reused",
        "saved_by_pruning",
        "saved_by_divergence",
        "not_trained",
    },
    "order": None,
    "seconds": None,
    "utilisation": None,
    "overhead_ms_per_segment": None,
    "calibration": {"complete"},
    "holdouts": None,
    "false_kills": None,
    "range_test": None,
    "stages": None,
    "lr_sensitivity": None,
    "importance": None,
    "confirmation": {
        "seeds",
        "best",
        "default",
        "mean_best",
        "mean_default",
        "gain",
        "gain_low",
        "gain_high",
        "winner_trial",
    },
    "tracking": {"uri", "experiment", "run_id"},
    "artifacts": {"schedule", "report", "law", "target"},
    "notes": None,
}


def test_the_summary_has_exactly_the_promised_keys() -> None:
    summary = summarise(example_study().state, SPACE)
    assert set(summary) == set(KEYS)
    assert {name: set(summary[name]) for name, keys in KEYS.items() if keys} == {n: k for n, k in KEYS.items() if k}


def test_the_summary_is_json_whatever_happened() -> None:
    study = Study()
    states = [study.state, search_of_fourteen().state, example_study().state]
    for state in states:
        text = json.dumps(summarise(state, SPACE), allow_nan=False)
        assert json.loads(text)["study"] == "wsd-demo"


def test_a_study_without_trials_has_a_summary() -> None:
    summary = summarise(Study().state, SPACE)
    assert (summary["best"], summary["default"], summary["confirmation"]) == (None, None, None)
    assert summary["state"] == "interrupted"
    assert summary["utilisation"] is None
    assert summary["steps"]["full_cost"] == 0


def test_the_state_says_whether_the_study_can_go_on() -> None:
    unfinished = search_of_fourteen().state
    assert summarise(unfinished, SPACE)["state"] == "interrupted"
    assert summarise(unfinished, SPACE, running=True)["state"] == "running"
    assert summarise(example_study().state, SPACE, running=True)["state"] == "finished"


def test_every_trial_is_counted_once() -> None:
    trials = summarise(example_study().state, SPACE)["trials"]
    assert trials["proposed"] == 23
    assert trials["confirm"] == 9
    statuses = ("complete", "reached", "pruned", "paused", "diverged", "failed", "stopped", "running")
    assert [trials[status] for status in statuses] == [16, 0, 3, 0, 1, 1, 2, 0]


def test_the_best_carries_its_last_forecast_and_its_schedule() -> None:
    study = example_study()
    best = summarise(study.state, SPACE)["best"]
    trial = study.state.trials[12]
    assert best["trial"] == 12
    assert best["value"] == trial.value
    assert best["predicted"]["step"] == 480
    assert best["schedule"]["steps"] == HORIZON
    assert best["schedule"]["fingerprint"] == study.schedules[12].fingerprint
    assert best["schedule"]["params"] == dict(study.schedules[12].params)


def test_the_default_was_never_judged_and_has_no_forecast() -> None:
    study = Study()
    study.begin()
    study.propose(search_of_fourteen().schedules[0], "default")
    study.complete(0)
    summary = summarise(study.state, SPACE)
    assert summary["best"]["trial"] == summary["default"]["trial"] == 0
    assert summary["best"]["predicted"] is None


def test_measurements_of_the_driver_are_preferred_to_estimates() -> None:
    finished = summarise(example_study().state, SPACE)
    assert (finished["utilisation"], finished["overhead_ms_per_segment"]) == (0.97, 4.2)
    state = search_of_fourteen().state
    unfinished = summarise(state, SPACE)
    assert unfinished["utilisation"] == state.worker_seconds / state.seconds
    assert unfinished["overhead_ms_per_segment"] is None


def test_places_that_are_unknown_are_null() -> None:
    summary = summarise(Study().state, SPACE, artifacts={"report": "r.html"}, tracking={"uri": "sqlite:///m.db"})
    assert summary["artifacts"] == {"schedule": None, "report": "r.html", "law": None, "target": None}
    assert summary["tracking"] == {"uri": "sqlite:///m.db", "experiment": None, "run_id": None}


def test_the_summary_is_a_function_of_the_events() -> None:
    study = example_study()
    assert summarise(fold("wsd-demo", study.events), SPACE) == summarise(study.state, SPACE)


def test_numbers_json_does_not_know_become_null() -> None:
    assert json_safe({"a": [math.nan, np.inf, np.float64(1.5)], 2: (np.int64(3),)}) == {
        "a": [None, None, 1.5],
        "2": [3],
    }
