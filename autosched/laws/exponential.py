"""An exponential approach in updates: what AutoLRS assumes of a probe at one LR (Jin et al. 2021, arXiv:2105.10762).

    L(t) = floor + drop * exp(-t / memory)

It holds over a stage at one LR, not over a schedule, and it does not look at the LR. As a law it is a second baseline;
its use is :func:`autosched.laws.exponential_forecast.forecast_probe`, which fits one probe's losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.form import Asked
from autosched.laws.robust import Prior
from autosched.laws.scales import Scales
from autosched.schedules.schedule import FloatArray, Schedule

_FIELDS = ("floor", "drop", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialLaw:
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

    floor: float
    drop: float
    memory: float

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
        return np.asarray(self.floor + self.drop * np.exp(-done / self.memory))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialForm:
    """How the exponential approach is fitted: weak priors scaled to the data."""

    name: str = ExponentialLaw.name
    fields: tuple[str, ...] = _FIELDS
    linear: tuple[int, ...] = (0, 1)

    def prepare(self, asked: Asked) -> FloatArray:
        """The asked steps, shape (n,)."""
        return np.concatenate([np.minimum(steps, schedule.steps) for schedule, steps in asked])

    def losses(self, prepared: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the three logs, (n, 3)."""
        floor, drop, memory = np.exp(x)
        age = prepared / memory
        rest = drop * np.exp(-age)
        return floor + rest, np.column_stack([np.full(rest.shape, floor), rest, age * rest])

    def means(self, prepared: FloatArray, x: FloatArray) -> FloatArray:
        """Losses (n,) alone."""
        return self.losses(prepared, x)[0]

    def belief(self, curves: Sequence[Curve]) -> Prior:
        """Weak beliefs scaled to the curves' least loss and last logged step, a fifth of which is one memory."""
        scales = Scales.of(curves)
        least, last = scales.least, scales.last
        return Prior(mean=np.log([0.98 * least, 0.2 * least, last / 5]), sd=np.array([0.3, 2.0, 1.0]))

    def starts(self, belief: Prior) -> Sequence[FloatArray]:
        """Three memories: a few, as believed, and longer than the curves."""
        starts = np.repeat(belief.mean[None, :], 3, axis=0)
        starts[:, 2] += np.log([0.25, 1.0, 5.0])
        return list(starts)

    def law(self, x: FloatArray) -> ExponentialLaw:
        """The law behind its logs."""
        return ExponentialLaw(**dict(zip(_FIELDS, np.exp(x).tolist(), strict=True)))
