"""The fold of a study's log into its state, on logs of studies that were run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from example_study import example_study
from studies import Study, wsd_space

from autosched.errors import LedgerError
from autosched.ledger.events import Stamped, TrialAdvanced, TrialEnded
from autosched.ledger.fold import apply, fold
from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState
from autosched.space.records import Component


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> list[Stamped]:
    """All events of a study on two workers whose trials share a stable phase."""
    fixed = {"peak_lr": 0.02, "cooldown_shape": "linear"}
    study = Study(wsd_space(tmp_path_factory.mktemp("fold"), fixed=fixed, pruner=Component(name="none")))
    study.run()
    return study.events()


def test_of_equal_trials_the_one_that_ended_first_is_the_best(log: list[Stamped]) -> None:
    equal = [
        replace(stamped, event=replace(stamped.event, value=2.0))
        if isinstance(stamped.event, TrialEnded) and stamped.event.status == "complete"
        else stamped
        for stamped in log
    ]
    first = next(stamped.event.trial for stamped in equal if isinstance(stamped.event, TrialEnded))
    assert fold("s", equal).best == first


def test_the_clock_never_goes_back(log: list[Stamped]) -> None:
    state, clock = StudyState("s"), 0
    for stamped in log:
        apply(state, stamped)
        assert state.clock >= clock
        clock = state.clock
    assert clock > 0


def test_an_event_of_an_earlier_moment_leaves_the_clock_where_it_is(log: list[Stamped]) -> None:
    late = [stamped.number for stamped in log if isinstance(stamped.event, TrialAdvanced)][-1]
    state = fold("s", log[:late])
    clock = state.clock
    apply(state, replace(log[late], event=replace(log[late].event, at=0)))
    assert state.clock == clock > 0


def test_a_log_with_an_event_left_out_is_refused(log: list[Stamped]) -> None:
    with pytest.raises(LedgerError, match="event 7 of study 's' is missing: found 8"):
        fold("s", [*log[:7], *log[8:]])


def test_what_is_counted_at_each_event_is_what_the_trials_say() -> None:
    state = StudyState("wsd-demo")
    for stamped in example_study().events:
        apply(state, stamped)
        trials = state.trials
        decisions = [decision for trial in trials for _, decision in trial.decisions]
        assert state.fates == Counter((trial.status, trial.role) for trial in trials)
        assert state.confirming == [trial.number for trial in trials if trial.role == "confirm"]
        assert state.default == next((trial.number for trial in trials if trial.role == "default"), None)
        assert state.resumed == sum(len(trial.turns) - 1 for trial in trials)
        assert state.decided == len(decisions)
        assert state.lawless == sum(decision.reason.startswith(LAWLESS) for decision in decisions)
        assert state.forecasts.keys() <= state.active
        for number, forecast in state.forecasts.items():
            assert forecast == trials[number].decisions[-1][1].forecast
        for trial in trials:
            told = [decision.forecast for _, decision in trial.decisions if decision.forecast is not None]
            assert trial.last_forecast == (told[-1] if told else None)
