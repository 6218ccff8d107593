"""The suite every `Backend` passes.

Subclass it in a test file and give it two fixtures::

    class TestMyBackend(BackendContract):
        @pytest.fixture(scope="class")
        def backend(self):            # a started backend; its trainers come from the factory below
            backend = MyBackend(make_trainer, workers=2)
            yield backend
            backend.close()

        @pytest.fixture(scope="class")
        def make_backend(self):       # for the tests that close one
            return lambda: MyBackend(make_trainer, workers=2)

        @pytest.fixture
        def factory(self):            # must know `use: simulated`; what the backend does is compared with it
            return make_trainer
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosched.engine.backend import Backend, Outcome
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.execute import SegmentRunner
from autosched.errors import BackendError
from autosched.ledger.records import Failure, Observation, Segment, segment_id
from autosched.schedules.schedule import FloatArray
from autosched.space.trainer_spec import TrainerSpec
from autosched.trainer import TrainerFactory


def cut(
    store: CheckpointStore,
    lrs: FloatArray,
    start: int,
    stop: int,
    *,
    seed: int = 0,
    eval_every: int = 5,
    options: Mapping[str, Any] | None = None,
) -> Segment:
    """Updates `start` to `stop` of a simulated run with these LRs, as an engine would order them."""
    trainer = TrainerSpec(use="simulated", options=dict(options or {}))
    first, last = (segment_id(trainer, seed=seed, eval_every=eval_every, lrs=lrs[:step]) for step in (start, stop))
    return Segment(
        id=last,
        trainer=trainer,
        seed=seed,
        start=start,
        stop=stop,
        horizon=len(lrs),
        eval_every=eval_every,
        lrs=lrs[start:stop],
        report_from=start,
        save_uri=store.uri(last),
        load_uri=store.uri(first) if start else None,
        load_id=first if start else None,
    )


def run_all(backend: Backend, *segments: Segment) -> dict[str, Outcome]:
    """Submit the segments together and wait for all of them; outcomes by segment identity."""
    for segment in segments:
        backend.submit(segment)
    outcomes: dict[str, Outcome] = {}
    while len(outcomes) < len(segments):
        for outcome in backend.wait():
            assert outcome.segment not in outcomes, f"{outcome.segment} came back twice"
            outcomes[outcome.segment] = outcome
    return outcomes


def result(outcome: Outcome) -> Outcome:
    """An outcome without what legitimately differs between backends: who ran it and for how long."""
    return replace(outcome, seconds=0.0, worker="")


def _lrs(peak: float = 0.02, steps: int = 20) -> FloatArray:
    return np.linspace(peak, peak / 2, steps)


class BackendContract:
    """What every backend promises; see the module for the fixtures."""

    def test_every_segment_comes_back_exactly_once(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        segments = [cut(store, _lrs(), 0, 10, seed=seed) for seed in range(7)]
        outcomes = run_all(backend, *segments)
        assert set(outcomes) == {segment.id for segment in segments}
        assert all(isinstance(outcome, Observation) for outcome in outcomes.values())
        assert set(store.sizes()) == {segment.save_uri for segment in segments}

    def test_results_are_those_of_a_plain_runner(
        self, backend: Backend, factory: TrainerFactory, tmp_path: Path
    ) -> None:
        store = CheckpointStore(str(tmp_path))
        runner = SegmentRunner(factory)
        first, second = cut(store, _lrs(), 0, 8), cut(store, _lrs(), 8, 20)
        expected = [result(runner.run(segment)) for segment in (first, second)]
        seen = [result(run_all(backend, segment)[segment.id]) for segment in (first, second)]
        assert seen == expected

    def test_hot_and_cold_starts_give_the_same_losses(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        first, second = cut(store, _lrs(0.03), 0, 8), cut(store, _lrs(0.03), 8, 20)
        run_all(backend, first)
        hot = run_all(backend, second)[second.id]
        run_all(backend, *(cut(store, _lrs(), 0, 8, seed=seed) for seed in range(1, 4 * backend.workers)))
        cold = run_all(backend, second)[second.id]
        assert result(hot) == result(cold)

    def test_two_runs_fork_from_one_checkpoint(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        lrs = _lrs()
        forks = [np.concatenate([lrs[:10], lrs[10:] * factor]) for factor in (1.0, 0.5, 0.1)]
        run_all(backend, cut(store, lrs, 0, 10))
        outcomes = run_all(backend, *(cut(store, lrs, 10, 20) for lrs in forks))
        finals = {outcome.points[-1].loss for outcome in outcomes.values() if isinstance(outcome, Observation)}
        assert len(finals) == len(forks)

    def test_known_points_are_not_reported_again(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        whole = cut(store, _lrs(), 0, 20)
        seen = run_all(backend, whole)[whole.id]
        late = run_all(backend, replace(whole, report_from=10))[whole.id]
        assert isinstance(seen, Observation)
        assert isinstance(late, Observation)
        assert late.points == seen.points[2:]
        assert late.trained == 20

    def test_a_divergence_is_an_observation(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        lrs = _lrs()
        lrs[12] = 5.0
        segment = cut(store, lrs, 0, 20)
        seen = run_all(backend, segment)[segment.id]
        assert isinstance(seen, Observation)
        assert seen.divergence is not None
        assert (seen.divergence.step, seen.trained, seen.checkpoint) == (13, 13, None)
        assert [point.step for point in seen.points] == [5, 10]
        assert not store.exists(store.uri(segment.id))

    def test_a_trainer_that_raises_is_a_failure(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        segment = cut(store, _lrs(), 0, 20, options={"fail_at": 7})
        failure = run_all(backend, segment)[segment.id]
        assert isinstance(failure, Failure)
        assert failure.kind == "error"
        assert "RuntimeError: update 7 fails" in failure.reason
        assert "\n" not in failure.reason

    def test_a_missing_checkpoint_is_a_failure(self, backend: Backend, tmp_path: Path) -> None:
        segment = cut(CheckpointStore(str(tmp_path)), _lrs(0.07), 10, 20)
        failure = run_all(backend, segment)[segment.id]
        assert isinstance(failure, Failure)
        assert failure.kind == "checkpoint_lost"

    def test_a_store_that_cannot_be_written_is_a_failure(self, backend: Backend, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("a file where a folder is needed")
        segment = cut(CheckpointStore(str(tmp_path / "file")), _lrs(), 0, 10)
        failure = run_all(backend, segment)[segment.id]
        assert isinstance(failure, Failure)
        assert failure.kind == "storage"

    def test_it_works_on_after_a_failure(self, backend: Backend, tmp_path: Path) -> None:
        store = CheckpointStore(str(tmp_path))
        bad = cut(store, _lrs(), 0, 20, options={"no_such_option": 1})
        good = cut(store, _lrs(), 0, 20)
        outcomes = run_all(backend, bad, good)
        assert isinstance(outcomes[bad.id], Failure)
        assert isinstance(outcomes[good.id], Observation)

    def test_waiting_for_nothing_is_a_mistake(self, backend: Backend) -> None:
        with pytest.raises(BackendError):
            backend.wait()

    def test_a_closed_backend_takes_no_work_and_closes_again(
        self, make_backend: Callable[[], Backend], tmp_path: Path
    ) -> None:
        backend = make_backend()
        segment = cut(CheckpointStore(str(tmp_path)), _lrs(), 0, 10)
        backend.submit(segment)
        backend.close()
        backend.close()
        with pytest.raises(BackendError):
            backend.submit(segment)
        with pytest.raises(BackendError):
            backend.wait()
