"""What is asked of a trainer, and how its promises are found to be kept: the records and the means of every check."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from autosched.schedules.schedule import FloatArray
from autosched.trainer.protocol import Trainer
from autosched.trainer.values import as_loss

Level = Literal["kept", "unsure", "broken"]
UPDATES = 4
"""Of a run. Source: the least in which an update that is neither the first nor the last of its call has a neighbour."""
NOISE = 1e-3
"""Relative difference of two equal runs up to which a device's sums are blamed, and other checks allow ten times it.
Source: GPUs that sum in any order differ by 1e-6 to 1e-4 after a few updates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A trainer and LRs that it trains well with.

    Attributes:
        make: a trainer that has not started, from a seed.
        lr: a usual one.
    """

    make: Callable[[int], Trainer]
    lr: float

    @property
    def lrs(self) -> FloatArray:
        """LRs of a run, shape (UPDATES,), all of them different."""
        return np.geomspace(self.lr, 0.5 * self.lr, UPDATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How a promise is kept.

    Attributes:
        promise: what a trainer promises, as a sentence.
        seen: what was seen, where it is not kept for sure.
        remedy: what to do then.
    """

    promise: str
    level: Level = "kept"
    seen: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class UsualRun:
    """A case's run at its LRs, in one call, which most promises are compared with: trained twice, and once for all."""

    case: Case

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Validation losses of two equal runs."""
        return ended(self.case, self.case.lrs), ended(self.case, self.case.lrs)

    @property
    def noise(self) -> float:
        """Relative difference that counts for nothing: ten times that of two equal runs."""
        one, other = self.ends
        largest = max(abs(one), abs(other))
        return 10 * abs(one - other) / largest if largest else 0.0


Promise = Callable[[Case, UsualRun], Finding]


def said(promise: Callable[..., Finding]) -> str:
    """What a trainer promises, as a sentence without its point."""
    return (promise.__doc__ or "").partition("\n")[0].rstrip(".")


def kept(promise: Callable[..., Finding]) -> Finding:
    """That it is kept."""
    return Finding(promise=said(promise))


def broken(promise: Callable[..., Finding], seen: str, remedy: str, level: Level = "broken") -> Finding:
    """That it is not, or may not be."""
    return Finding(promise=said(promise), level=level, seen=seen, remedy=remedy)


def started(case: Case, seed: int = 0) -> Trainer:
    """A trainer of the case that has started."""
    trainer = case.make(seed)
    trainer.start()
    return trainer


def ended(case: Case, lrs: FloatArray, *, cuts: Sequence[int] = (), seed: int = 0) -> float:
    """The validation loss after these LRs, trained in one call or in several."""
    trainer = started(case, seed)
    for start, stop in zip((0, *cuts), (*cuts, len(lrs)), strict=True):
        trainer.train(lrs[start:stop])
    return as_loss(trainer.evaluate())


def differ(one: float, other: float, noise: float) -> bool:
    """Whether a loss differs from one by more than this relative difference."""
    return abs(one - other) > noise * abs(one)


def saved(trainer: Trainer) -> bytes:
    """What a trainer writes into a checkpoint."""
    file = io.BytesIO()
    trainer.save(file)
    return file.getvalue()
