"""How many threads a trainer computes with; the same number on every backend, because it changes rounding."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from autosched.trainer import Trainer, TrainerFactory
from autosched.trainer.protocol import SegmentTrainer


def with_threads(factory: TrainerFactory, cpus: float) -> TrainerFactory:
    """A factory whose torch trainers use ``max(1, floor(cpus))`` threads each.

    torch sums in another order with another number of threads, so losses are bit-equal between two backends only if
    both apply this with the same `cpus`. Trainers without torch stay without it.
    """
    threads = max(1, int(cpus))

    def make(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer | SegmentTrainer:
        trainer = factory(use, options, seed, horizon)
        torch = sys.modules.get("torch")
        if torch is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return trainer

    return make
