"""Worlds to search in: runs that can be "trained" because their losses are known.

name      meaning                                                                unit
horizon   updates of a full run                                                  updates
final     what a search is told when a run is complete                           nats
truth     what decides whether the run is good enough                            nats
target    a complete run whose truth is at or under it has found what is sought  nats
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from autosched.curves.curve import Curve
from autosched.schedules.schedule import Schedule
from autosched.space import Space
from autosched.trainer import TrainerFactory

MOST_CHECKPOINTS = 25
Point = Mapping[str, float | int]
"""A value for every axis: a number in a range, or the place in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One coordinate as libraries search it: a list of values (`size` of them), or else a range.

    Attributes:
        size: of the list; 0 for a range.
        ordered: whether neighbours in the list are alike.
        low, high, log: of the range.
    """

    name: str
    size: int = 0
    ordered: bool = False
    low: float = 0.0
    high: float = 1.0
    log: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """A run that can be trained.

    Attributes:
        name: unique in its world.
        point: where it lies on the world's axes.
        schedule: as a family of this package.
        curve: what shows while it trains.
        end: `final` on the scale of the curve, which may be of another validation set.
    """

    name: str
    point: Point
    schedule: Schedule
    curve: Curve
    final: float
    end: float
    truth: float


class World(Protocol):
    """Where a search looks for a good run."""

    @property
    def horizon(self) -> int:
        """Updates of a full run."""

    @property
    def target(self) -> float:
        """Nats; see the module."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The coordinates of a run."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs there are; empty when there are more than can be listed."""

    @property
    def factory(self) -> TrainerFactory:
        """Makes the trainer of :meth:`space`."""

    @property
    def limit(self) -> float:
        """Updates after which a search has missed."""

    def is_winner(self, run: Run) -> bool:
        """Whether stopping this run early loses what is sought."""

    def run_of(self, schedule: Schedule) -> Run | None:
        """The full run with this schedule; None when there is none."""

    def space(self) -> Space:
        """The world as a study of this package, with a trainer that shows its runs and a budget for all of them."""

    def near(self, point: Point, untried: Sequence[Run]) -> Run:
        """The run at a point, or the one of `untried` that is nearest to it where runs are listed."""


def distance(axes: Sequence[Axis], a: Point, b: Point) -> float:
    """Sum over axes: places apart over the list's length where it is ordered, 1 for another value where it is not."""
    total = 0.0
    for axis in axes:
        gap = abs(a[axis.name] - b[axis.name])
        total += gap / max(axis.size - 1, 1) if axis.ordered else float(gap > 0)
    return total


def cadence(horizon: int, *, logged_every: int, first_logged: int = 0) -> tuple[int, int]:
    """Updates between evaluations and between checkpoints of a study, for runs that were logged in such steps.

    The evaluations divide the horizon, are as near to the log's as such numbers come, and begin where it does; a
    checkpoint falls on every evaluation that makes at most 25 of them.

    Example:
        >>> cadence(25_000, logged_every=200), cadence(35_000, logged_every=200)
        ((200, 1000), (200, 1400))
    """
    divisors = [n for n in range(1, horizon + 1) if horizon % n == 0 and n >= first_logged]
    every = min(divisors, key=lambda n: abs(math.log(n / logged_every)))
    return every, every * max(1, -(-horizon // (MOST_CHECKPOINTS * every)))
