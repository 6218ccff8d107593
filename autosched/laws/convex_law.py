"""The convex bound as a loss law: two parameters above the floor (Schaipp et al. 2025, arXiv:2501.18965, section 4).

    L(t)  = floor + approach * T1(t) + noise * (T2(t) + T3(t))          the terms for D = G = 1, over updates 1..t

The paper fits C + M * bound; with constant gradient norms M, D and G act only as ``approach = M D**2`` and
``noise = M G**2``. So `scale` = M D G is how much of the loss is at stake, and `lr_unit` = D / G is what an LR of 1 of
the theory is in this trainer. The peak LR is a variable: the best one for any shape follows in closed form.

Its use is the ratio of best LRs between shapes and horizons. Losses it predicts badly: fitted to three published GPT
curves it misses six others by 1.0% to 1.2%, where the plain power law misses them by 0.5% to 0.7%, because T1 falls
with the area itself and real losses fall with its square root.

Two things make the bound a law that behaves everywhere:

* A last update with an LR near 0 has a bound near infinity, though it hardly moves. By the Lipschitz assumption every
  earlier iterate s bounds the last one too, ``bound(s) + G**2 * (area from s to t)``; the law takes the least over t
  and the last few places where the LR fell by more than half. An LR of exactly 0 then changes nothing.
* The sum behind T2 + T3 is exact over the last 16 updates; before them it is taken over blocks that grow by a sixth
  each and end where the LR jumps or bends, the LR being linear in the tail area inside a block. The error is below
  2e-4 of the sum, on all published schedules below 1e-4 (tested on the literal one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autosched.curves.curve import Curve
from autosched.laws.convex_bound import optimal_base_lr
from autosched.laws.law import Asked, LawFamily, ParametricLaw, Scales
from autosched.laws.priors import DROP_GAIN, FLOOR_SHARE, LOOSE_SD, TIGHT_SD
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule

_EXACT = 16  # last updates, whose terms are summed one by one
_GROWTH = 7 / 6  # of the blocks before them
_BEND = 0.25  # change of the LR's slope, as a share of peak / horizon, at which a block must end
_MOST_BENDS = 64
_MOST_RETREATS = 8
_LEAST_AREA = 1e-3  # of one update at the peak LR: before the first update that moves, losses are large, not infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexLaw(ParametricLaw):
    """The convex bound as a law; every field > 0.

    Attributes:
        floor: loss at the optimum, nats.
        approach: loss times area still to go, nats x LR x updates (M D**2).
        noise: loss per LR (M G**2), nats / LR.

    Example:
        >>> law = ConvexLaw(floor=3.0, approach=2.0, noise=100.0)
        >>> losses = law.predict(Schedule([0.01] * 500 + [0.001] * 500))
        >>> losses.shape, bool(losses[-1] < losses[499])
        ((1000,), True)
    """

    name: ClassVar[str] = "convex_bound"
    fields: ClassVar[tuple[str, ...]] = ("floor", "approach", "noise")
    knows_peak_lr: ClassVar[bool] = True

    floor: float
    approach: float
    noise: float

    @property
    def scale(self) -> float:
        """How much of the loss the bound explains (M D G), nats."""
        return math.sqrt(self.approach * self.noise)

    @property
    def lr_unit(self) -> float:
        """What an LR of 1 of the theory is in this trainer (D / G)."""
        return math.sqrt(self.approach / self.noise)

    def best_peak_lr(self, schedule: Schedule) -> float:
        """The peak LR at which this schedule's shape (warmup included) ends lowest.

        Raises:
            ScheduleError: a schedule of zeros.
        """
        return self.lr_unit * optimal_base_lr(schedule.lrs).lr * schedule.peak_lr

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        start, noise = bound_terms(schedule, steps)
        return np.asarray(self.floor + self.approach * start + self.noise * noise)


def bound_terms(schedule: Schedule, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """T1 and T2 + T3 for D = G = 1 after each of `steps` updates (1..schedule.steps), each shape (q,).

    At a retreat (see the module) both terms are those of the earlier iterate, the step from it counted as noise.
    """
    lrs = schedule.lrs
    counts = np.round(np.asarray(steps, dtype=np.float64)).astype(np.intp)
    area = np.concatenate(([0.0], np.cumsum(lrs)))
    retreats = np.flatnonzero(lrs[1:] < 0.5 * lrs[:-1]) + 1
    places = np.unique(np.concatenate([counts, retreats]))
    noise = _noise(lrs, area, places)
    here = np.searchsorted(places, counts)
    known = np.searchsorted(places, retreats)
    recent = np.searchsorted(retreats, counts)[:, None] - 1 - np.arange(_MOST_RETREATS)
    choices = np.column_stack([here, np.append(known, 0)[np.where(recent < 0, -1, recent)]])
    bounds = noise[choices] + area[counts][:, None] - area[places[choices]]
    bounds[:, 1:][recent < 0] = np.inf
    chosen = np.argmin(bounds, axis=1)
    rows = np.arange(counts.size)
    least = max(_LEAST_AREA * schedule.peak_lr, 1e-300)
    return 0.5 / np.maximum(area[places[choices[rows, chosen]]], least), bounds[rows, chosen]


def _noise(lrs: FloatArray, area: FloatArray, places: NDArray[np.intp]) -> FloatArray:
    """T2 + T3 of the first t LRs for each t >= 1 in `places`, shape as `places`."""
    last = _last_moves(lrs)[places - 1]  # index of the last update that moved
    back = last[:, None] - 1 - np.arange(_EXACT)
    tail = area[last + 1][:, None] - area[np.maximum(back + 1, 0)]
    near = np.where(back >= 0, _ratio(lrs[np.maximum(back, 0)] ** 2, tail), 0.0)
    edges = _edges(lrs, last)
    square = np.concatenate(([0.0], np.cumsum(lrs**2)))
    s = area[last + 1][:, None] - area[edges]
    s_b, s_a = s[:, :-1], s[:, 1:]  # edges go back in time, tail areas grow
    begin, stop = edges[:, 1:], edges[:, :-1]
    width = s_a - s_b
    mean = _ratio(square[stop] - square[begin], width)
    slope = _ratio(lrs[begin] - lrs[np.maximum(stop - 1, 0)], width)
    half = 0.5 * _ratio(width, (stop - begin).astype(np.float64))  # a term's own tail is half an update shorter
    level = mean - 0.5 * slope * (s_a + s_b - 2 * half)
    logs = np.log1p(_ratio(width, s_b - half))
    far = np.where(width > 0, level * logs + slope * width, 0.0)
    return np.asarray(0.5 * (near.sum(axis=1) + far.sum(axis=1) + lrs[last]))


def _last_moves(lrs: FloatArray) -> NDArray[np.intp]:
    """Index of the last update with an LR above 0 at or before each update (0 before the first), shape (steps,)."""
    moves = np.where(lrs > 0, np.arange(lrs.size), 0)
    return np.maximum.accumulate(moves).astype(np.intp)


def _edges(lrs: FloatArray, last: NDArray[np.intp]) -> NDArray[np.intp]:
    """Edges of the blocks before each row's exact part, from late to early, ending at 0; shape (q, edges)."""
    ages = _EXACT * _GROWTH ** np.arange(math.ceil(math.log(max(lrs.size / _EXACT, 1.0)) / math.log(_GROWTH)) + 1)
    change = np.abs(np.diff(lrs, 2))
    bends = np.flatnonzero(change > _BEND * lrs.max() / lrs.size)
    bends = bends[np.argsort(-change[bends], kind="stable")[:_MOST_BENDS]] + 1
    newest = np.maximum(last - _EXACT, 0)[:, None]
    even = last[:, None] - np.round(ages).astype(np.intp)[None, :]
    edges = np.concatenate([np.clip(even, 0, newest), np.minimum(bends[None, :], newest), 0 * newest], axis=1)
    return np.asarray(np.sort(edges, axis=1)[:, ::-1])


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotients, 0 where the denominator is not above 0: blocks of no width, and updates that do not move."""
    sound = denominator > 0
    return np.asarray(np.where(sound, numerator / np.where(sound, denominator, 1.0), 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexFamily(LawFamily[FloatArray]):
    """How the convex law is fitted: it is linear in its parameters, which have weak priors scaled to the data."""

    law_type: ClassVar[type[ParametricLaw]] = ConvexLaw
    linear: ClassVar[tuple[int, ...]] = (0, 1, 2)

    def prepare(self, asked: Asked) -> FloatArray:
        """What each parameter multiplies, shape (n, 3)."""
        terms = np.concatenate([np.column_stack(bound_terms(schedule, steps)) for schedule, steps in asked])
        return np.column_stack([np.ones(terms.shape[0]), terms])

    def losses(self, prepared: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the three logs, (n, 3)."""
        parts = prepared * np.exp(x)
        return parts.sum(axis=1), parts

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Weak priors scaled to the curves' least loss, peak LR and area."""
        scales = Scales.of(curves)
        least = scales.least
        centre = [FLOOR_SHARE * least, (1 - FLOOR_SHARE) * least * scales.area, DROP_GAIN * least / scales.peak_lr]
        return Prior(mean=np.log(centre), sd=np.array([TIGHT_SD, LOOSE_SD, LOOSE_SD]))

    def starts(self, prior: Prior) -> list[FloatArray]:
        """One: the law is linear."""
        return [prior.mean.copy()]
