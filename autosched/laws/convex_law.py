"""The convex bound as a loss law: two parameters above the floor (Schaipp et al. 2025, arXiv:2501.18965, section 4).

    L(t)  = floor + approach * T1(t) + noise * (T2(t) + T3(t))          the terms for D = G = 1, over updates 1..t

The paper fits C + M * bound; with constant gradient norms M, D and G act only as ``approach = M D**2`` and
``noise = M G**2``. So `scale` = M D G is how much of the loss is at stake, and `lr_unit` = D / G is what an LR of 1 of
the theory is in this trainer. The peak LR is a variable: the best one for any shape follows in closed form.

Its use is the ratio of best LRs between shapes and horizons. Losses it predicts badly: fitted to three published GPT
curves it misses six others by 1.0% to 1.2%, where the plain power law misses them by 0.5% to 0.7%, because T1 falls
with the area itself and real losses fall with its square root.

A last update with an LR near 0 has a bound near infinity, though it hardly moves. By the Lipschitz assumption every
earlier iterate s bounds the last one too, ``bound(s) + G**2 * (area from s to t)``; the law takes the least over t and
the last few places where the LR fell by more than half. An LR of exactly 0 then changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.convex_bound import optimal_base_lr
from autosched.laws.law import Asked, LawFamily, ParametricLaw, Scales
from autosched.laws.priors import DROP_GAIN, FLOOR_SHARE, LOOSE_SD, TIGHT_SD
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule

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
    area = np.concatenate(([0.0], np.cumsum(lrs)))
    retreats = np.flatnonzero(lrs[1:] < 0.5 * lrs[:-1]) + 1
    noise = cache(partial(_noise, lrs))
    least = max(_LEAST_AREA * schedule.peak_lr, 1e-300)
    terms = []
    for count in np.round(np.asarray(steps, dtype=np.float64)).astype(np.intp).tolist():
        recent = retreats[: np.searchsorted(retreats, count)][-_MOST_RETREATS:].tolist()
        bound, place = min((noise(at) + area[count] - area[at], at) for at in [count, *recent])
        terms.append((0.5 / max(area[place], least), bound))
    return tuple(np.array(terms).reshape(-1, 2).T)  # type: ignore[return-value]


def _noise(lrs: FloatArray, updates: int) -> float:
    """T2 + T3 after so many updates; from the back, so that small tails keep their digits."""
    moved = lrs[:updates][::-1]
    moved = moved[int(np.argmax(moved > 0)) :]  # what does not move at the end changes nothing
    return 0.5 * float(moved[0] + np.sum(moved[1:] ** 2 / np.cumsum(moved[:-1]))) if moved[0] > 0 else 0.0


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
