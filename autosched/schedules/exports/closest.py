"""Which of a framework's own schedules a `Schedule` is.

A framework's schedule is known by its arguments. Candidates are read off the array of LRs alone, so it does not matter
what made the schedule, and each is judged by the LRs that the framework's formula gives for it. Nothing is believed
because of a family's name.

name    meaning                                                                      unit
first   first update with the peak LR                                                update
last    last update of the stretch at the peak LR that begins at `first`             update
tail    first update of the constant stretch at the end; `steps` if the LR moves     update
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from autosched.schedules.schedule import FloatArray, Schedule

FLOAT32 = 2.0**-24
"""Half the distance of 1 to the next float32: what rounding an LR to float32 changes at most, relative to it."""

NEAR_ZERO = 1e-12
"""Share of the peak LR below which a difference is rounding of a formula that subtracts, as ``1 + cos`` does."""

AT_PEAK = 1e-13
"""Share of the peak LR within which an LR is the peak: rounding of a formula, not a decay."""

Arguments = TypeVar("Arguments")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """Where an array of LRs has its peak and its flat end; see the module's table."""

    steps: int
    peak: float
    first: int
    last: int
    tail: int


def landmarks(schedule: Schedule) -> Landmarks:
    """The places a formula's arguments can be read off.

    Example:
        >>> found = landmarks(Schedule([0.05, 0.1, 0.1, 0.1, 0.04, 0.02, 0.02]))
        >>> found.first, found.last, found.tail
        (1, 3, 5)
    """
    lrs, steps, peak = schedule.lrs, schedule.steps, schedule.peak_lr
    at_peak = lrs >= peak * (1 - AT_PEAK)
    first = int(np.argmax(at_peak))
    below = np.flatnonzero(~at_peak[first:])
    last = first + int(below[0]) - 1 if below.size else steps - 1
    moves = np.flatnonzero(lrs[:-1] != lrs[-1])
    tail = int(moves[-1]) + 1 if moves.size else 0
    return Landmarks(steps=steps, peak=peak, first=first, last=last, tail=steps if tail == steps - 1 else tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closest(Generic[Arguments]):
    """The candidate that equals a schedule, or the nearest one.

    Attributes:
        arguments: what the framework is told.
        equal: whether its LRs are the schedule's to float32 at every update.
        share: the largest difference over the peak LR.
        step: the update that has it.
    """

    arguments: Arguments
    equal: bool
    share: float
    step: int


def closest(
    schedule: Schedule, candidates: Iterable[Arguments], lrs_of: Callable[[Arguments], FloatArray]
) -> Closest[Arguments] | None:
    """The first candidate that equals the schedule to float32, else the one with the smallest mean difference.

    Args:
        candidates: the simplest first.
        lrs_of: the framework's formula: LR of every update, shape (steps,).

    Returns:
        None when there is no candidate.
    """
    nearest: Closest[Arguments] | None = None
    smallest = np.inf
    peak = schedule.peak_lr
    for arguments in candidates:
        difference = np.abs(lrs_of(arguments) - schedule.lrs)
        equal = bool(np.all(difference <= np.maximum(FLOAT32 * schedule.lrs, NEAR_ZERO * peak)))
        step = int(np.argmax(difference))
        found = Closest(arguments=arguments, equal=equal, share=float(difference[step]) / peak, step=step)
        if equal:
            return found
        mean = float(difference.mean())
        if mean < smallest:
            nearest, smallest = found, mean
    return nearest


def floor_ratio(ratio: float, shape: float) -> float:
    """The final LR ratio r of a decay ``r + (1 - r) * shape`` that has `ratio` where its shape is `shape` < 1.

    Example:
        >>> floor_ratio(0.1 + 0.9 * 0.25, 0.25)
        0.1
    """
    floor = (ratio - shape) / (1 - shape)
    return 0.0 if floor < NEAR_ZERO else short(min(floor, 1.0))


def short(value: float) -> float:
    """The value to 12 digits: an argument that a person wrote as 0.1 is read off as 0.1."""
    return float(f"{value:.12g}")
