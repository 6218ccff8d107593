"""What ends a study although trials are under way: its minutes, and failures that no further trial cures."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from studies import Study, wsd_space

from autosched.curves.range_test import Sweep
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.execute import SegmentRunner
from autosched.engine.failing_alike import EQUAL_FAILURES, failing_alike
from autosched.engine.local_backend import LocalBackend
from autosched.engine.time_limit import TimeUp, time_limit
from autosched.ledger.records import Failure, Observation
from autosched.ledger.state import StudyState, Transition
from autosched.report.summary import summarise
from autosched.space.records import Budget, Component, Confirm, Range, SearchParameter, Space
from autosched.testing.backend_contract import cut
from workers.simulated import SimulatedTrainer

SECONDS = 0.3
Act = Callable[[int], object]


def backend_of(act: Act) -> Callable[[Space], LocalBackend]:
    """Trainers that do something before the updates from this update on."""

    class Odd(SimulatedTrainer):
        def train(self, lrs):
            act(self.step)
            return super().train(lrs)

    def make(use, options, seed, horizon):
        return Odd(options, seed=seed, horizon=horizon)

    return lambda space: LocalBackend(make, workers=space.resources.workers)


def hang(step: int) -> None:
    if step >= 40:
        time.sleep(3600)


def test_minutes_end_a_trainer_that_hangs_and_what_was_seen_stays(tmp_path: Path) -> None:
    space = wsd_space(tmp_path, budget=Budget(minutes=SECONDS / 60), pruner=Component(name="none"))
    began = time.monotonic()
    state = Study(space, backend=backend_of(hang)).run()
    assert SECONDS <= time.monotonic() - began < 10 * SECONDS + 5
    assert state.finished is not None
    assert state.finished.reason == f"{SECONDS / 60:g} minutes are over"
    assert {trial.status for trial in state.trials} == {"stopped"}
    assert state.trials[0].step == 40
    assert len(state.trials[0].points) == 4


def test_minutes_end_a_range_test_that_hangs(tmp_path: Path) -> None:
    space = wsd_space(
        tmp_path,
        fixed={"peak_lr": 0.1},
        budget=Budget(minutes=SECONDS / 60),
        range_test=Sweep(steps=100),
        default=None,
    )
    auto = Range(low=1e-3, high=1e-1, log=True, auto_low=True, auto_high=True)
    family = space.schedule[0]
    parameters = {**family.parameters, "peak_lr": SearchParameter(domain=auto)}
    space = replace(space, schedule=(replace(family, parameters=parameters),))
    state = Study(space, backend=backend_of(lambda step: hang(40))).run()
    assert state.finished is not None
    assert state.finished.reason == f"the range test found no bounds: {SECONDS / 60:g} minutes are over"
    assert summarise(state, space)["best"] is None


def test_a_segment_that_outlives_its_time_comes_back_when_it_is_waited_for_again(tmp_path: Path) -> None:
    slow = [0.0, 3600.0]
    backend = backend_of(lambda step: time.sleep(slow.pop()) if slow else None)(wsd_space(tmp_path))
    segment = cut(CheckpointStore(str(tmp_path / "store")), np.full(20, 0.01), 0, 20)
    backend.submit(segment)
    assert backend.wait(0.05) == []
    (seen,) = backend.wait(60.0)
    assert isinstance(seen, Observation)
    assert seen.points == SegmentRunner(lambda *a: SimulatedTrainer({}, seed=0, horizon=20)).run(segment).points


def test_a_time_limit_ends_what_catches_every_exception_and_leaves_no_alarm() -> None:
    def stubborn() -> None:
        while True:
            try:
                time.sleep(3600)
            except Exception:
                continue

    with pytest.raises(TimeUp), time_limit(0.01):
        stubborn()
    with time_limit(0.01):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with time_limit(None):
        pass


def test_in_another_thread_a_time_limit_ends_nothing() -> None:
    ended: list[bool] = []

    def body() -> None:
        with time_limit(0.01):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert ended == [True]


@pytest.mark.parametrize(
    ("code", "says"), [(0, "SystemExit: 0 ("), ("please set DATA_DIR", "SystemExit: please set D")]
)
def test_a_trainer_that_exits_is_a_failed_segment_that_says_so(tmp_path: Path, code: object, says: str) -> None:
    backend = backend_of(lambda step: sys.exit(code))(wsd_space(tmp_path))
    backend.submit(cut(CheckpointStore(str(tmp_path / "store")), np.full(20, 0.01), 0, 20))
    (failure,) = backend.wait()
    assert isinstance(failure, Failure)
    assert failure.kind == "error"
    assert failure.reason.startswith(says)
    assert "test_limits.py" in failure.reason


def test_trials_that_all_fail_alike_at_once_end_the_study_with_their_reason(tmp_path: Path) -> None:
    random = Component(name="random")
    space = wsd_space(
        tmp_path, options={"fail_at": 1}, budget=Budget(minutes=10.0), controller=random, pruner=Component(name="none")
    )
    state = Study(space).run()
    assert len(state.trials) <= EQUAL_FAILURES + space.resources.workers
    assert state.finished is not None
    assert state.finished.reason.startswith(
        f"{EQUAL_FAILURES} trials in a row failed alike at their first segment: error: RuntimeError: update 1 fails"
    )


def ended(*trials: tuple[str, int, str]) -> StudyState:
    """A state whose trials ended with this status, step and reason, in this order."""
    state = StudyState("s")
    for number, (status, step, reason) in enumerate(trials):
        trial = type("Trial", (), {"status": status, "step": step, "reason": reason})()
        state.trials.append(trial)
        state.log.append(Transition("ended", number, step, status))
    return state


ALIKE = [("failed", 0, f"worker ray-{i} (process {100 * i}) died at 0x7f{i}a") for i in range(EQUAL_FAILURES)]


@pytest.mark.parametrize(
    ("trials", "stops"),
    [
        (ALIKE, True),
        (ALIKE[1:], False),
        ([("complete", 200, ""), *ALIKE], True),
        ([*ALIKE, ("stopped", 40, "")], True),
        ([*ALIKE[1:], ("failed", 40, ALIKE[0][2])], False),
        ([*ALIKE[1:], ("failed", 0, "another reason")], False),
        ([*ALIKE[1:], ("diverged", 0, ALIKE[0][2])], False),
    ],
)
def test_failures_count_as_alike_whatever_numbers_are_in_them(trials: list[tuple[str, int, str]], stops: bool) -> None:
    assert (failing_alike(ended(*trials)) is not None) == stops


def test_a_study_that_ended_before_its_winner_was_confirmed_says_so(tmp_path: Path) -> None:
    started = time.time()
    runs = {"minutes": iter(range(10**6))}
    space = wsd_space(tmp_path, budget=Budget(minutes=40.0), confirm=Confirm(finalists=1, seeds=2))
    state = Study(space, now=lambda: started + 60.0 * next(runs["minutes"])).run()
    assert state.best is not None
    (note,) = summarise(state, space)["notes"]
    assert note == "0 of 2 fresh seeds confirm the winner: the study ended before the others, 40 minutes are over."
    confirmed = Study(wsd_space(tmp_path, study="t", budget=Budget(trials=2))).run()
    assert summarise(confirmed, space)["notes"] == []
