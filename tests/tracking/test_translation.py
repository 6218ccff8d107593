import csv
import io
import json

import numpy as np
import pytest

from autosched.errors import LedgerError
from autosched.ledger.events import RangeTested, SessionStarted, Stamped, StudyCreated, TrialProposed
from autosched.schedules.schedule import Schedule
from autosched.tracking.memory_tracker import MemoryTracker
from autosched.tracking.tracker import STUDY, Metric, TrialRun
from autosched.tracking.translation import PLAN_POINTS, Translator, study_run
from autosched.tracking.writer import Writer
from autosched.tracking.writes import Artifact, MetricBatch, RunEnd, merge


@pytest.fixture(scope="module")
def picture(story, schedule_of):
    tracker = MemoryTracker()
    writer = Writer(tracker, Translator("demo", schedule_of), known=0, tags={"command": "tune"})
    writer.stage(story)
    writer.sync()
    return tracker.picture()


def test_every_trial_gets_a_run_with_its_schedule_and_seed(picture):
    assert list(picture) == [STUDY, 0, 1, 2, 3, 4, 5, 6]
    assert picture[0].name == "0000 step default"
    assert picture[2].name == "0002 step"
    assert dict(picture[5].params) == {
        "family": "step", "role": "confirm", "seed": "0", "of": "1", "peak_lr": "0.1", "drop": "0.5"
    }  # fmt: skip
    assert picture[2].tags["autosched.fingerprint"] == "f2"


def test_the_parent_shows_the_space_the_versions_and_further_tags(picture, story):
    parent = picture[STUDY]
    assert parent.params["schedule.0.parameters.peak_lr.low"] == "0.001"
    assert parent.tags["autosched.version.torch"] == "2.13.0"
    assert parent.tags["command"] == "tune"
    assert json.loads(parent.artifacts["space.json"]) == story[0].event.space


def test_losses_stand_beside_the_lr_of_the_last_update_done(picture):
    metrics = picture[1].metrics
    assert [(step, value) for step, _, value in metrics["loss"]] == [(10, 3.0), (20, 2.5), (30, 2.2), (40, 2.0)]
    assert [(step, value) for step, _, value in metrics["lr"]] == [(10, 0.1), (20, 0.1), (30, 0.05), (40, 0.05)]
    assert [(step, value) for step, _, value in metrics["merged_loss"]] == [(20, 2.0), (40, 1.5)]
    assert {"train_loss", "grad_norm"} <= set(metrics)


def test_a_pruned_trial_still_shows_its_whole_plan(picture):
    plan = picture[2].metrics["lr_plan"]
    assert [step for step, _, _ in plan] == list(range(1, 41))
    assert [step for step, _, _ in picture[2].metrics["lr"]] == [10, 20]


def test_a_long_plan_is_thinned_but_keeps_its_ends(story):
    lrs = np.linspace(1.0, 0.0, 5000)
    translator = Translator("demo", lambda event: Schedule(lrs))
    translator.skip(story[0])
    proposed = Stamped(number=1, time=1.0, event=next(s.event for s in story if isinstance(s.event, TrialProposed)))
    _, plan = translator.translate(proposed)
    assert len(plan.metrics) == PLAN_POINTS
    assert [(m.step, m.value) for m in (plan.metrics[0], plan.metrics[-1])] == [(1, 1.0), (5000, 0.0)]


def test_where_no_law_describes_the_curves_the_trial_and_the_study_say_so(picture):
    assert [entry[::2] for entry in picture[2].metrics["lawless"]] == [(20, 1.0)]
    assert "lawless" not in picture[1].metrics
    law = "no law describes the curves at 1 of 4 decisions: there TPE proposed, and Hyperband stopped trials"
    assert picture[STUDY].tags["autosched.law"] == law


def test_forecasts_stand_at_the_update_they_were_made(picture):
    metrics = picture[2].metrics
    assert {key: metrics[key][0][::2] for key in ("forecast", "forecast_low", "forecast_high")} == {
        "forecast": (20, 2.0),
        "forecast_low": (20, 1.9),
        "forecast_high": (20, 2.2),
    }
    assert "holdout" not in metrics
    assert picture[1].metrics["holdout"][0][::2] == (20, 1.0)


def test_each_kind_of_end_has_its_status_and_reason(picture):
    assert {run: (p.status, p.tags.get("autosched.status")) for run, p in picture.items()} == {
        STUDY: ("FINISHED", "finished"),
        0: ("FINISHED", "complete"),
        1: ("FINISHED", "complete"),
        2: ("KILLED", "pruned"),
        3: ("FAILED", "diverged"),
        4: ("FAILED", "failed"),
        5: ("FINISHED", "complete"),
        6: ("KILLED", "stopped"),
    }
    assert picture[3].tags["autosched.reason"] == "the loss became infinite"


def test_a_finished_trial_leaves_its_schedule_and_curve(picture, schedule_of, story):
    proposed = next(s.event for s in story if isinstance(s.event, TrialProposed) and s.event.trial == 1)
    assert Schedule.from_json(picture[1].artifacts["schedule.json"].decode()) == schedule_of(proposed)
    rows = list(csv.DictReader(io.StringIO(picture[1].artifacts["curve.csv"].decode())))
    assert [(int(r["step"]), float(r["lr"]), float(r["loss"])) for r in rows] == [
        (10, 0.1, 3.0), (20, 0.1, 2.5), (30, 0.05, 2.2), (40, 0.05, 2.0)
    ]  # fmt: skip


def test_the_parent_follows_the_best_value_over_virtual_time(picture):
    parent = picture[STUDY]
    assert [(step, value) for step, _, value in parent.metrics["best_value"]] == [(100, 2.3), (101, 2.0)]
    assert parent.tags["autosched.best_trial"] == "1"
    assert parent.tags["autosched.best_fingerprint"] == "f1"


def test_the_end_of_the_study_counts_what_was_done(picture):
    latest = {key: points[-1][2] for key, points in picture[STUDY].metrics.items()}
    assert latest["trials_complete"] == 3
    assert latest["trials_pruned"] == latest["trials_diverged"] == latest["trials_failed"] == 1
    assert latest["steps_trained"] == 120
    assert latest["utilisation"] == 0.96


def test_shared_updates_are_shown(picture):
    assert picture[1].metrics["steps_shared"][0][2] == 20
    assert picture[0].metrics["steps_shared"][0][2] == 0


def test_the_stages_of_a_staged_controller_are_metrics_of_its_trial(picture):
    assert picture[1].metrics["stage_lr"][0][::2] == (20, 0.05)


def test_metric_times_are_the_ledgers(picture, story):
    times = {round(stamped.time * 1000) for stamped in story}
    assert {time for run in picture.values() for points in run.metrics.values() for _, time, _ in points} <= times


def test_a_study_begun_anew_under_one_name_has_another_identity():
    event = StudyCreated(space={"seed": 0}, versions={})
    first, again, later = (
        study_run("demo", Stamped(number=0, time=time, event=event), tags={}) for time in (5.0, 5.0, 6.0)
    )
    assert first.identity == again.identity != later.identity


def test_a_study_must_begin_with_its_creation():
    stamped = Stamped(number=0, time=0.0, event=SessionStarted(backend="local", workers=1))
    with pytest.raises(LedgerError, match="must create it"):
        study_run("demo", stamped, tags={})


def test_merging_joins_metrics_and_keeps_the_order_within_a_run():
    def point(run: int, step: int) -> MetricBatch:
        return MetricBatch(run=run, metrics=(Metric(key="loss", value=1.0, step=step, time=0.0),))

    start = TrialRun(trial=1, name="", params={}, tags={}, time=0.0)
    file = Artifact(run=0, name="a", data=b"")
    end = RunEnd(run=0, status="FINISHED", time=0.0, tags={})
    merged = merge([point(0, 1), start, point(0, 2), point(1, 1), file, point(1, 2), end, point(0, 3)])
    joined = [(w.run, [m.step for m in w.metrics]) if isinstance(w, MetricBatch) else w for w in merged]
    assert joined == [start, (0, [1, 2]), file, end, (1, [1, 2]), (0, [3])]
    assert merge(merged) == merged


def test_the_parent_shows_the_bounds_a_range_test_found(story):
    translator = Translator("demo", lambda event: Schedule([0.1]))
    translator.skip(story[0])
    event = RangeTested(segment="s", steps=150, at=150, low=2e-3, high=0.2, divergence_lr=0.9)
    (batch,) = translator.translate(Stamped(number=1, time=1.0, event=event))
    assert batch.run == STUDY
    assert {metric.key: (metric.value, metric.step) for metric in batch.metrics} == {
        "range_test_low": (2e-3, 150),
        "range_test_high": (0.2, 150),
        "range_test_divergence": (0.9, 150),
    }
    failed = RangeTested(segment="s", steps=150, at=150, reason="never fell")
    assert translator.translate(Stamped(number=2, time=2.0, event=failed)) == []
