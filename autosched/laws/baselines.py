"""Laws that do not look at the learning rate: what every schedule-aware law must beat.

    power         L(t) = floor + scale * t**-exponent
    exponential   L(t) = floor + drop * exp(-t / memory)

They see neither a decay nor the peak LR, so all schedules of one length end at the same loss. The exponential is what
AutoLRS assumes of a probe at one LR (Jin et al. 2021, arXiv:2105.10762); one probe's losses are fitted by
:func:`autosched.laws.exponential_forecast.forecast_probe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.law import Asked, LawFamily, ParametricLaw, Scales, power_of
from autosched.laws.priors import EXPONENTIAL_MEMORY, FLOOR_SHARE, LOOSE_SD, TIGHT_SD
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw(ParametricLaw):
    """The power law of the updates done; every field > 0.

    Attributes:
        floor: loss after infinitely many updates, nats.
        scale: loss above the floor after one update, nats.
        exponent: how fast that falls.

    Example:
        >>> PowerLaw(floor=3.0, scale=2.0, exponent=0.5).predict(Schedule([0.1, 0.1, 0.1, 0.0])).round(3).tolist()
        [5.0, 4.414, 4.155, 4.0]
    """

    name: ClassVar[str] = "power"
    fields: ClassVar[tuple[str, ...]] = ("floor", "scale", "exponent")

    floor: float
    scale: float
    exponent: float

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats; of the schedule only its length matters."""
        return np.asarray(self.floor + self.scale * _done(schedule, steps) ** -self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialLaw(ParametricLaw):
    """The exponential approach; every field > 0. In the paper's letters c, a and -1 / b.

    Attributes:
        floor: loss after infinitely many updates, nats.
        drop: loss above the floor before the first update, nats.
        memory: updates in which that falls to 37%.

    Example:
        >>> law = ExponentialLaw(floor=2.0, drop=1.0, memory=2.0)
        >>> law.predict(Schedule([0.1] * 4)).round(3).tolist()
        [2.607, 2.368, 2.223, 2.135]
    """

    name: ClassVar[str] = "exponential"
    fields: ClassVar[tuple[str, ...]] = ("floor", "drop", "memory")

    floor: float
    drop: float
    memory: float

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats; of the schedule only its length matters."""
        return np.asarray(self.floor + self.drop * np.exp(-_done(schedule, steps) / self.memory))


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFamily(LawFamily[FloatArray]):
    """How the power law is fitted: weak priors scaled to the data."""

    law_type: ClassVar[type[ParametricLaw]] = PowerLaw
    linear: ClassVar[tuple[int, ...]] = (0, 1)

    def prepare(self, asked: Asked) -> FloatArray:
        """The asked steps, shape (n,)."""
        return _steps(asked)

    def losses(self, prepared: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the three logs, (n, 3)."""
        losses, slopes = power_of(prepared, *np.exp(x))
        return losses, np.column_stack(slopes)

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Weak priors scaled to the curves' least loss and last logged step."""
        scales = Scales.of(curves)
        return scales.power_prior(scales.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialFamily(LawFamily[FloatArray]):
    """How the exponential approach is fitted: weak priors scaled to the data."""

    law_type: ClassVar[type[ParametricLaw]] = ExponentialLaw
    linear: ClassVar[tuple[int, ...]] = (0, 1)

    def prepare(self, asked: Asked) -> FloatArray:
        """The asked steps, shape (n,)."""
        return _steps(asked)

    def losses(self, prepared: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the three logs, (n, 3)."""
        floor, drop, memory = np.exp(x)
        age = prepared / memory
        rest = drop * np.exp(-age)
        return floor + rest, np.column_stack([np.full(rest.shape, floor), rest, age * rest])

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Weak priors scaled to the curves' least loss and last logged step."""
        scales = Scales.of(curves)
        centre = [FLOOR_SHARE * scales.least, (1 - FLOOR_SHARE) * scales.least, EXPONENTIAL_MEMORY * scales.last]
        return Prior(mean=np.log(centre), sd=np.array([TIGHT_SD, LOOSE_SD, LOOSE_SD]))

    def starts(self, prior: Prior) -> list[FloatArray]:
        """Three memories: a few updates, as the prior has it, and longer than the curves."""
        return [prior.mean + off * prior.sd * (0, 0, 1) for off in (-1, 0, 1)]


def _done(schedule: Schedule, steps: FloatArray) -> FloatArray:
    return np.minimum(np.asarray(steps, dtype=np.float64), schedule.steps)


def _steps(asked: Asked) -> FloatArray:
    return np.concatenate([_done(schedule, steps) for schedule, steps in asked])
