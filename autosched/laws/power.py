"""A power law of the updates done: the baseline that does not look at the learning rate.

    L(t) = floor + scale * t**-exponent

What every schedule-aware law must beat. It sees neither a decay nor the peak LR, so all schedules of one length end
at the same loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.form import Asked
from autosched.laws.robust import Prior
from autosched.laws.scales import Scales, spread_starts
from autosched.schedules.schedule import FloatArray, Schedule

_FIELDS = ("floor", "scale", "exponent")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
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

    floor: float
    scale: float
    exponent: float

    def __post_init__(self) -> None:
        for field in _FIELDS:
            if not (0 < getattr(self, field) < np.inf):
                raise ValueError(f"{field} must be finite and > 0, but got {getattr(self, field)!r}.")

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(steps,)``, nats."""
        return self.predict_at(schedule, np.arange(1, schedule.steps + 1, dtype=np.float64))

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats; of the schedule only its length matters."""
        done = np.minimum(np.asarray(steps, dtype=np.float64), schedule.steps)
        return np.asarray(self.floor + self.scale * done**-self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerForm:
    """How the power law is fitted: weak priors scaled to the data."""

    name: str = PowerLaw.name
    fields: tuple[str, ...] = _FIELDS
    linear: tuple[int, ...] = (0, 1)

    def prepare(self, asked: Asked) -> FloatArray:
        """Logs of the asked steps, shape (n,)."""
        done = np.concatenate([np.minimum(steps, schedule.steps) for schedule, steps in asked])
        return np.asarray(np.log(done), dtype=np.float64)

    def losses(self, prepared: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the three logs, (n, 3)."""
        floor, scale, exponent = np.exp(x)
        power = scale * np.exp(-exponent * prepared)
        jacobian = np.column_stack([np.full(power.shape, floor), power, -exponent * prepared * power])
        return floor + power, jacobian

    def means(self, prepared: FloatArray, x: FloatArray) -> FloatArray:
        """Losses (n,) alone."""
        return self.losses(prepared, x)[0]

    def belief(self, curves: Sequence[Curve]) -> Prior:
        """Weak beliefs scaled to the curves' least loss and last logged step: a tenth of the loss is still to go."""
        scales = Scales.of(curves)
        least, last = scales.least, scales.last
        return Prior(mean=np.log([0.9 * least, 0.1 * least * np.sqrt(last), 0.5]), sd=np.array([0.3, 2.0, 0.5]))

    def starts(self, belief: Prior) -> Sequence[FloatArray]:
        """Three exponents."""
        return spread_starts(belief, 2, (0.3, 0.5, 0.8))

    def law(self, x: FloatArray) -> PowerLaw:
        """The law behind its logs."""
        return PowerLaw(**dict(zip(_FIELDS, np.exp(x).tolist(), strict=True)))
