"""Studies that begin with an LR range test: what it costs, what it decides, and that nothing repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import Interruption, Study, cut_off, picture, simulated, trained_twice, wsd_space

from autosched.curves.range_test import RangeTest, RangeTestFailure, Sweep, analyse
from autosched.engine.assembly import make_loop
from autosched.engine.execute import SegmentRunner
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.engine.range_test import run_sweep
from autosched.errors import SpaceError, WorkError
from autosched.ledger.events import RangeTested, SegmentFinished, StudyFinished, TrialProposed, kind_of
from autosched.ledger.store import Ledger
from autosched.schedules.parameter import PEAK_LR
from autosched.space.auto_bounds import auto_range
from autosched.space.records import Budget, Confirm, Resources, SearchParameter, Space
from autosched.space.trainer_spec import TrainerSpec
from workers.simulated import SimulatedTrainer

SIMULATED = TrainerSpec(use="simulated", options={})


def auto_space(folder: Path, *, low: float | None = None, high: float | None = None, **changes: Any) -> Space:
    space = wsd_space(folder, **changes)
    (family,) = space.schedule
    peak = SearchParameter(domain=auto_range(PEAK_LR, low=low, high=high))
    return replace(space, schedule=(replace(family, parameters={**family.parameters, "peak_lr": peak}),))


def sweep_by_hand(options: Mapping[str, Any], sweep: Sweep) -> RangeTest | RangeTestFailure:
    """The same sweep, one update after another."""
    trainer, losses = SimulatedTrainer(options, seed=0, horizon=sweep.steps), []
    lrs = sweep.schedule().lrs
    for index in range(sweep.steps):
        if lrs[index] > 0.5:  # diverge_above
            losses.append(np.inf)
            break
        losses.append(trainer.train(lrs[index : index + 1])["train_loss"])
    return analyse(lrs[: len(losses)], np.array(losses))


def test_the_study_searches_between_the_bounds_of_its_range_test(tmp_path: Path) -> None:
    state = Study(auto_space(tmp_path)).run()
    tested, expected = state.range_test, sweep_by_hand({}, Sweep())
    assert isinstance(expected, RangeTest)
    assert tested is not None
    assert tested.bounds == (expected.low, expected.high)
    assert tested.divergence_lr == expected.divergence_lr
    searched = [trial.params["peak_lr"] for trial in state.trials if trial.role == "search"]
    assert len(searched) == 7
    assert all(expected.low <= peak <= expected.high for peak in searched)
    assert state.finished is not None
    assert state.finished.reason == "8 trials are proposed"


def test_the_range_test_is_paid_for_in_updates_and_comes_before_the_first_trial(tmp_path: Path) -> None:
    space = auto_space(tmp_path, budget=Budget(steps=900), confirm=Confirm())
    study = Study(space)
    state = study.run()
    assert state.range_test is not None
    assert 100 < state.range_test.steps < 200  # the simulated trainer diverges at LR 0.5
    assert state.steps_scheduled <= 900
    assert len(state.trials) == 3  # one fewer than without the test
    assert state.trials[0].due >= state.range_test.at == state.range_test.steps
    kinds = [kind_of(stamped.event) for stamped in study.events()]
    assert kinds[:5] == ["study_created", "session_started", "segment_finished", "range_tested", "session_started"]
    trained = [s.event.observation.trained for s in study.events() if isinstance(s.event, SegmentFinished)]
    assert trained[0] == state.range_test.steps
    assert state.steps_trained == sum(trained)


def test_a_driver_that_dies_after_any_event_repeats_nothing_of_the_range_test(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = Study(auto_space(tmp_path / "whole"))
    expected = whole.run()
    (tmp_path / "cut").mkdir()
    cut = Study(auto_space(tmp_path / "cut"))
    deaths, after = 0, 1
    while True:
        try:
            state = cut.run(die_after=after)
        except Interruption:
            deaths += 1
            after = cut.events()[-1].number + (1 if deaths < 6 else 43)
            continue
        break
    assert deaths > 7
    assert state.range_test == expected.range_test
    assert picture(state) == picture(expected)
    assert trained_twice(cut.events()) == []
    events = [stamped.event for stamped in cut.events()]
    assert sum(isinstance(event, RangeTested) for event in events) == 1


def test_a_second_study_takes_the_sweep_from_the_ledger(tmp_path: Path) -> None:
    first = Study(auto_space(tmp_path)).run()
    second = Study(auto_space(tmp_path, study="again")).run()
    assert second.range_test == first.range_test
    assert second.steps_trained == 0
    assert picture(second) == picture(first)


def test_the_workers_do_not_change_the_bounds(tmp_path: Path) -> None:
    bounds = set()
    for workers in (1, 3):
        (tmp_path / str(workers)).mkdir()
        state = Study(auto_space(tmp_path / str(workers), workers=workers)).run()
        assert state.range_test is not None
        bounds.add(state.range_test.bounds)
    assert len(bounds) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"range_test": Sweep(low=1e-6, high=1e-4, steps=60)}, "did not rise again up to LR 0.0001"),
        ({"options": {"diverge_above": 1e-6}}, "not finite from update 1"),
        ({"options": {"scale": 0.0, "gain": 0.0, "diverge_above": 100.0}}, "never moved clearly"),
        ({"high": 1e-5}, "none of it is below the bound of wsd (1e-05)"),
    ],
)
def test_a_range_test_without_bounds_ends_the_study_and_says_why(tmp_path: Path, changes, says) -> None:
    study = Study(auto_space(tmp_path, **changes))
    state = study.run()
    assert state.range_test is not None
    assert state.range_test.bounds is None
    assert says in state.range_test.reason
    assert state.trials == []
    assert state.finished is not None
    assert state.finished.reason == f"the range test found no bounds: {state.range_test.reason}"
    assert isinstance(study.events()[-1].event, StudyFinished)
    assert not any(isinstance(stamped.event, TrialProposed) for stamped in study.events())
    cut_off(study, study.events()[-1].number)
    assert study.run().finished == state.finished


def test_a_trainer_that_fails_can_be_resumed_and_is_said_so(tmp_path: Path) -> None:
    study = Study(auto_space(tmp_path, options={"fail_at": 50}, resources=Resources(workers=1, retries=1)))
    with pytest.raises(WorkError, match="the range test could not be trained: error: RuntimeError: update 50 fails"):
        study.run()
    assert not any(isinstance(stamped.event, StudyFinished) for stamped in study.events())


def test_no_checkpoint_of_the_sweep_is_left(tmp_path: Path) -> None:
    options = {"diverge_above": 100.0}
    space = auto_space(tmp_path, options=options, range_test=Sweep(high=1.0, steps=120))
    state = Study(space).run()
    assert state.range_test is not None
    assert state.observations[state.range_test.segment].checkpoint is not None
    assert state.range_test.segment not in {path.stem for path in (tmp_path / "checkpoints").rglob("*")}


def test_a_loop_refuses_bounds_that_nobody_found(tmp_path: Path) -> None:
    space = auto_space(tmp_path)
    ledger = Ledger(space.storage.ledger)
    with pytest.raises(SpaceError, match=r"the bounds of wsd\.peak_lr are auto"):
        make_loop(space, ledger, Journal(ledger, "s"), LocalBackend(simulated))
    ledger.close()


def test_a_sweep_outside_a_study_is_the_sweep_of_a_study(tmp_path: Path) -> None:
    runner = SegmentRunner(simulated)
    found = run_sweep(runner, SIMULATED, seed=0, sweep=Sweep(), save_uri=f"{tmp_path}/swept")
    expected = sweep_by_hand({}, Sweep())
    assert isinstance(found, RangeTest)
    assert isinstance(expected, RangeTest)
    np.testing.assert_array_equal(found.losses, expected.losses)
    assert (found.low, found.high, found.divergence_lr) == (expected.low, expected.high, expected.divergence_lr)


class Counting(SimulatedTrainer):
    """Knows how often it was validated."""

    validated = 0

    def evaluate(self) -> float:
        type(self).validated += 1
        return super().evaluate()


def test_a_sweep_validates_nothing(tmp_path: Path) -> None:
    def counting(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Counting:
        return Counting(options, seed=seed, horizon=horizon)

    run_sweep(SegmentRunner(counting), SIMULATED, seed=0, sweep=Sweep(), save_uri=f"{tmp_path}/swept")
    assert Counting.validated == 0
