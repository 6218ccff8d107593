from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.local_backend import LocalBackend
from autosched.errors import UsageError
from autosched.ledger.records import Purpose
from autosched.schedules import Schedule
from autosched.testing.backend_contract import BackendContract, cut
from autosched.trainer import Trainer, TrainerFactory
from workers.simulated import SimulatedTrainer


def simulated(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
    return SimulatedTrainer(options, seed=seed, horizon=horizon)


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def backend(self) -> Iterator[LocalBackend]:
        backend = LocalBackend(simulated, workers=2)
        yield backend
        backend.close()

    @pytest.fixture
    def make_backend(self) -> Callable[[], LocalBackend]:
        return lambda: LocalBackend(simulated)

    @pytest.fixture
    def factory(self) -> TrainerFactory:
        return simulated


def test_segments_run_one_at_a_time_in_the_order_they_came(tmp_path):
    store = CheckpointStore(str(tmp_path))
    backend = LocalBackend(simulated, workers=3)
    segments = [cut(store, np.full(10, 0.01), 0, 10, seed=seed) for seed in (3, 1, 2)]
    for segment in segments:
        backend.submit(segment)
    assert backend.workers == 3
    assert [[outcome.segment for outcome in backend.wait()] for _ in segments] == [[s.id] for s in segments]


def test_runs_without_checkpoints_that_take_turns_go_on_in_the_trainers_that_hold_them(tmp_path):
    store = CheckpointStore(str(tmp_path))
    backend = LocalBackend(simulated, workers=2)
    lrs, purpose = np.full(20, 0.01), Purpose(schedule=Schedule([0.01] * 20))
    runs = [[cut(store, lrs, start, start + 10, seed=seed) for start in (0, 10)] for seed in (1, 2)]
    runs = [[replace(part, save_uri=None, load_uri=None, purpose=purpose) for part in run] for run in runs]
    for part in (0, 1):
        for run in runs:
            backend.submit(run[part])
    seen = [backend.wait()[0] for _ in range(4)]
    assert [(outcome.start, outcome.trained) for outcome in seen] == [(0, 10), (0, 10), (10, 10), (10, 10)]


def test_it_says_who_it_is():
    backend = LocalBackend(simulated, name="desk")
    assert (backend.name, backend.workers) == ("desk", 1)


def test_no_workers_is_a_mistake():
    with pytest.raises(UsageError, match="workers must be at least 1, but got 0"):
        LocalBackend(simulated, workers=0)
