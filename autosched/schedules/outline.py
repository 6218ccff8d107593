"""A schedule's LRs at as many updates as it takes to draw straight lines between them.

A law of the LR path needs sums and corners of a schedule, not a million LRs. An outline gives them: that of LRs in
memory has every update (:class:`EveryUpdate`), that of a long schedule made of pieces a few thousand
(:class:`FewUpdates`), found by halving stretches until the LR in their middle lies within `TOLERANCE` of the peak LR on
the straight line. It begins with the first and last update of every piece, where corners and jumps are, and with
unevenly spaced updates, which no period of the schedule can be in step with.

name      meaning                                                    shape   unit
updates   points of the outline, increasing, first 0, last steps-1   (m,)    -
lrs       LR of these updates                                        (m,)    LR
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Updates = NDArray[np.intp]
TOLERANCE = 1e-6
"""[peak LRs] A law's loss follows the LR's sum within a like share, far below the scatter of an evaluation (1e-3)."""
FIRST_POINTS = 1024
"""[points] A feature must last a thousandth of the run to be seen for certain where no piece begins or ends."""
MOST_POINTS = 16_384
"""[points] LRs that go up and down more often than this are averaged over."""
_GOLDEN = 0.5 * (5**0.5 - 1)


class Outline(ABC):
    """The LRs of a schedule of `steps` updates; what lies between its points is read along straight lines."""

    lrs: FloatArray

    @property
    @abstractmethod
    def steps(self) -> int:
        """Updates of the schedule."""

    @property
    @abstractmethod
    def updates(self) -> Updates:
        """The updates of the points."""

    @abstractmethod
    def point_from(self, update: int) -> int:
        """The first point at or after an update."""

    @abstractmethod
    def slopes(self) -> FloatArray:
        """LR per update from each point to the next, shape (m - 1,)."""

    @abstractmethod
    def bends(self, point: int) -> FloatArray:
        """Change of the slope per update, above 0 where it rises, at the points after `point` but for the last."""

    @abstractmethod
    def area(self) -> Callable[[FloatArray], FloatArray]:
        """Gives the sum of the LRs before positions in updates (0..steps)."""

    @abstractmethod
    def read(self, at: FloatArray) -> FloatArray:
        """LR at positions in updates, held beyond the ends."""

    @abstractmethod
    def sums_to(self, stops: Updates) -> tuple[FloatArray, FloatArray]:
        """Sums of LR and of LR x (update + 1/2) before each of the increasing `stops`, the first of which is 0."""

    @abstractmethod
    def total(self) -> float:
        """Sum of all LRs."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outline):
            return NotImplemented
        return np.array_equal(self.updates, other.updates) and np.array_equal(self.lrs, other.lrs)

    __hash__ = None  # type: ignore[assignment]

    @property
    def peak_lr(self) -> float:
        """The largest LR."""
        return float(self.lrs.max())

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """What is computed of the outline and asked for again, by a name that says all else it depends on."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    @cached_property
    def _known(self) -> dict[str, Any]:
        return {}


class EveryUpdate(Outline):
    """The outline of LRs in memory, shape (steps,)."""

    def __init__(self, lrs: FloatArray) -> None:
        self.lrs = lrs

    @property
    def steps(self) -> int:
        """Updates of the schedule."""
        return int(self.lrs.size)

    @property
    def updates(self) -> Updates:
        """All."""
        return np.arange(self.lrs.size, dtype=np.intp)

    def point_from(self, update: int) -> int:
        """The update."""
        return update

    def slopes(self) -> FloatArray:
        """Changes of the LR."""
        return np.diff(self.lrs)

    def bends(self, point: int) -> FloatArray:
        """Second differences."""
        return np.diff(self.lrs[point:], 2)

    def area(self) -> Callable[[FloatArray], FloatArray]:
        """Sums of the LRs, along straight lines between whole positions."""
        return partial(_between, np.concatenate(([0.0], np.cumsum(self.lrs))))

    def total(self) -> float:
        """Sum of all LRs."""
        return float(self.lrs.sum())

    def read(self, at: FloatArray) -> FloatArray:
        """Along straight lines."""
        return _between(self.lrs, at)

    def sums_to(self, stops: Updates) -> tuple[FloatArray, FloatArray]:
        """Exact."""
        time = np.arange(self.lrs.size) + 0.5
        return _summed(stops, self.lrs), _summed(stops, self.lrs * time)


class FewUpdates(Outline):
    """The outline of a long schedule: the LRs of some updates, the first and the last among them."""

    def __init__(self, updates: Updates, lrs: FloatArray) -> None:
        self._updates, self.lrs = updates, lrs

    @property
    def steps(self) -> int:
        """Updates of the schedule."""
        return int(self._updates[-1]) + 1

    @property
    def updates(self) -> Updates:
        """Those that the LR bends at, and some more."""
        return self._updates

    def point_from(self, update: int) -> int:
        """By bisection."""
        return int(np.searchsorted(self._updates, update))

    def slopes(self) -> FloatArray:
        """LR per update."""
        slopes: FloatArray = np.diff(self.lrs) / np.diff(self.updates)
        return slopes

    def bends(self, point: int) -> FloatArray:
        """Second derivatives."""
        updates = self._updates[point:]
        bends: FloatArray = np.diff(self.slopes()[point:]) / ((updates[2:] - updates[:-2]) / 2)
        return bends

    def area(self) -> Callable[[FloatArray], FloatArray]:
        """By the closed forms of straight lines."""
        return lambda at: self._sums(at)[0]

    def total(self) -> float:
        """Sum of all LRs."""
        return float(self._before[0][-1])

    def read(self, at: FloatArray) -> FloatArray:
        """Along straight lines."""
        found: FloatArray = np.interp(at, self._updates, self.lrs)
        return found

    def sums_to(self, stops: Updates) -> tuple[FloatArray, FloatArray]:
        """By the closed forms of straight lines."""
        return self._sums(stops.astype(np.float64))

    def _sums(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of LR and of LR x (update + 1/2) before positions (0..steps)."""
        point = np.clip(np.searchsorted(self._updates, at, side="right") - 1, 0, self.lrs.size - 1)
        first, slope = self.lrs[point], np.append(self.slopes(), 0.0)[point]
        area, moment = _straight(at - self._updates[point], first, slope, self._updates[point])
        return self._before[0][point] + area, self._before[1][point] + moment

    @cached_property
    def _before(self) -> tuple[FloatArray, FloatArray]:
        """Both sums before each point, and of all."""
        n = np.diff(np.append(self._updates, self.steps)).astype(np.float64)
        parts = _straight(n, self.lrs, np.append(self.slopes(), 0.0), self._updates)
        area, moment = (np.concatenate(([0.0], np.cumsum(part))) for part in parts)
        return area, moment


def _straight(n: FloatArray, first: FloatArray, slope: FloatArray, begin: Updates) -> tuple[FloatArray, FloatArray]:
    """Sums over i < n of ``first + slope i`` and of that times ``begin + i + 1/2``."""
    once, squared = n * (n - 1) / 2, (n - 1) * n * (2 * n - 1) / 6  # sums of i and of i**2
    area = n * first + slope * once
    return area, (begin + 0.5) * area + first * once + slope * squared


def few_updates(lr_at: Callable[[Updates], FloatArray], steps: int, ends: Updates) -> FewUpdates:
    """The outline of a schedule whose LRs are computed when they are asked for.

    Args:
        lr_at: LRs of some updates.
        ends: how many updates each piece and those before it have, increasing, the last `steps`.
    """
    updates = _beginning(steps, ends)
    lrs = lr_at(updates)
    first, last = np.arange(updates.size - 1), np.arange(1, updates.size)
    while updates.size < MOST_POINTS:
        wide = updates[last] - updates[first] > 1
        first, last = first[wide], last[wide]
        middle = (updates[first] + updates[last]) // 2
        found = lr_at(middle)
        share = (middle - updates[first]) / (updates[last] - updates[first])
        straight = lrs[first] + share * (lrs[last] - lrs[first])
        bent = np.flatnonzero(~(np.abs(found - straight) <= TOLERANCE * lrs.max()))[: MOST_POINTS - updates.size]
        if not bent.size:
            break
        updates, lrs = np.append(updates, middle[bent]), np.append(lrs, found[bent])
        order = np.argsort(updates)
        place = np.empty_like(order)
        place[order] = np.arange(order.size)  # where each point is now
        new = place[-bent.size :]
        updates, lrs = updates[order], lrs[order]
        first, last = np.concatenate([new - 1, new]), np.concatenate([new, new + 1])
    return _with_peak(FewUpdates(updates, lrs), lr_at)


def _beginning(steps: int, ends: Updates) -> Updates:
    """The updates that a search for an outline begins with."""
    places = (np.arange(FIRST_POINTS) + np.modf(np.arange(FIRST_POINTS) * _GOLDEN)[0]) / FIRST_POINTS
    spread = np.minimum((places * steps).astype(np.intp), steps - 1)
    ends = ends[:: 1 + ends.size * 4 // MOST_POINTS]  # of a schedule of thousands of pieces some
    return np.unique(np.concatenate([spread, ends - 1, np.minimum(ends, steps - 1), [0, steps - 1]]).astype(np.intp))


def _with_peak(outline: FewUpdates, lr_at: Callable[[Updates], FloatArray]) -> FewUpdates:
    """The outline with the update of the largest LR among its points: beside the one that was the largest."""
    top = int(outline.lrs.argmax())
    begin, end = outline.updates[max(top - 1, 0)], outline.updates[min(top + 1, outline.updates.size - 1)]
    beside = np.arange(begin, end + 1)
    lrs = lr_at(beside)
    peak = int(lrs.argmax())
    if lrs[peak] <= outline.lrs[top]:
        return outline
    place = outline.point_from(int(beside[peak]))
    return FewUpdates(np.insert(outline.updates, place, beside[peak]), np.insert(outline.lrs, place, lrs[peak]))


def _between(values: FloatArray, at: FloatArray) -> FloatArray:
    """`values` (n,), the i-th of which lies at i, read linearly at the positions `at`; held beyond the ends."""
    at = np.minimum(np.maximum(at, 0.0), values.size - 1.0)
    below = at.astype(np.intp)
    start = values.take(below)
    read: FloatArray = start + (at - below) * (values.take(below + 1, mode="clip") - start)
    return read


def _summed(stops: Updates, values: FloatArray) -> FloatArray:
    """Sum of the values before each of the increasing `stops`, the first of which is 0."""
    parts = np.add.reduceat(values[: stops[-1]], stops[:-1])
    sums: FloatArray = np.concatenate(([0.0], np.cumsum(parts)))
    return sums
