"""How many threads compute; the same number on every backend and machine, because it changes rounding.

torch and linear algebra sum in another order with another number of threads: losses are bit-equal between two backends,
and a study decides the same on two machines, only if both have as many.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

from autosched.trainer import Trainer, TrainerFactory
from autosched.trainer.protocol import SegmentTrainer


@contextmanager
def same_sums(cpus: float) -> Iterator[None]:
    """While it is open, linear algebra and torch have ``max(1, floor(cpus))`` threads in this process, as in a worker.

    A torch that was there before has as many as before afterwards.
    """
    torch = sys.modules.get("torch")
    before = 0 if torch is None else torch.get_num_threads()
    try:
        with threadpool_limits(_threads(cpus), user_api="blas"):
            _limit_torch(_threads(cpus))
            yield
    finally:  # after the limits, which leave the calling thread's OpenMP with another number than torch's other parts
        if before:
            _limit_torch(before)


def with_threads(factory: TrainerFactory, cpus: float) -> TrainerFactory:
    """A factory whose torch trainers use ``max(1, floor(cpus))`` threads each; trainers without torch stay without it.

    What making a trainer imports is limited too, which :func:`same_sums` cannot see.
    """

    def make(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer | SegmentTrainer:
        trainer = factory(use, options, seed, horizon)
        _limit_torch(_threads(cpus))
        return trainer

    return make


def _threads(cpus: float) -> int:
    return max(1, int(cpus))


def _limit_torch(threads: int) -> None:
    """Without asking how many there are: torch answers for the forward pass of the calling thread alone."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
