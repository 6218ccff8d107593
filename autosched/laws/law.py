"""What a loss law is, and what fitting needs to know about a family of laws.

A *law* is a frozen record of named positive parameters that predicts the loss curve of an LR schedule. A *law family*
is how such a law is fitted: its losses and their derivatives by the log-parameters, a prior scaled to the curves, and
starts. Steps are updates done, losses nats.

A third-party law needs :class:`LossLaw` alone to predict. To be fitted it brings a :class:`LawFamily`, and passes
``autosched.testing.law_contract``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.drops import DropTable, concatenated, drop_table, straight_knots
from autosched.laws.priors import (
    EXPONENT,
    FIRM_SD,
    FLOOR_SHARE,
    LOOSE_SD,
    TIGHT_SD,
)
from autosched.laws.robust import Prior
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray, Schedule

Prepared = TypeVar("Prepared")
Asked = Sequence[tuple[Schedule, FloatArray]]
"""Steps (updates done, each shape (q_i,)) asked of schedules; losses come back in one vector, in this order."""

DENSE_STEPS = 256
"""Steps of a curve that are exact, and that are forecast together."""


class LossLaw(Protocol):
    """What predicts losses; a worked trace::

    law = MultiPowerLaw(floor=3.0, scale=0.5, ...)
    law.predict(schedule)[-1]              # mean loss after the last update
    law.predict_at(schedule, steps)        # the same at some counts of updates only
    """

    @property
    def name(self) -> str:
        """The law's name."""

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(schedule.steps,)``."""

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates (each in 1..schedule.steps), shape of `steps`."""


class ParametricLaw(ABC):
    """The laws' shared shape: a subclass is a frozen dataclass that gives `name`, `fields` and :meth:`predict_at`.

    Attributes:
        name: the law's name.
        fields: its parameters, each > 0, in the order in which a fit moves their logs.
        knows_peak_lr: whether the peak LR is a variable in it, so that it may be asked about another than was fitted.

    Raises:
        ValueError: a parameter that is not finite and > 0.
    """

    __slots__ = ()
    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    knows_peak_lr: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for field in self.fields:
            if not (0 < getattr(self, field) < np.inf):
                raise ValueError(f"{field} must be finite and > 0, but got {getattr(self, field)!r}.")

    @abstractmethod
    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(steps,)``, nats; interpolated between a few hundred exact steps."""
        steps = telling_steps(schedule)
        return interpolated(schedule, steps, self.predict_at(schedule, steps))

    def logs(self) -> FloatArray:
        """Natural logs of the fields, in their order: what a fit moves."""
        return np.log([getattr(self, field) for field in self.fields])

    @classmethod
    def from_logs(cls, logs: FloatArray, **known: Any) -> Self:
        """The law behind :meth:`logs`; `known` are its fields that are not fitted."""
        return cls(**dict(zip(cls.fields, np.exp(logs).tolist(), strict=True)), **known)


class LawFamily(ABC, Generic[Prepared]):
    """One kind of law, bound to the units of the curves it is fitted to; a subclass is a frozen dataclass.

    A law's parameters are moved as their natural logs `x`, shape (p,), so they stay positive.

    Attributes:
        law_type: the laws of this family.
        linear: parameters the loss is linear in, together the whole loss; a start solves for them.
        starts_at: the parameter that starts of a fit differ in, and its values; the others start at their prior.
    """

    __slots__ = ()
    law_type: ClassVar[type[ParametricLaw]]
    linear: ClassVar[tuple[int, ...]]
    starts_at: ClassVar[tuple[int, tuple[float, ...]]] = (
        2,
        tuple(EXPONENT * math.exp(off * FIRM_SD) for off in (-1, 0, 1)),
    )

    @property
    def name(self) -> str:
        """The law's name."""
        return self.law_type.name

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of `x`."""
        return self.law_type.fields

    @property
    def sees(self) -> str:
        """What :meth:`prepare` makes of schedules; families that see the same share it."""
        return self.name

    @abstractmethod
    def prepare(self, asked: Asked) -> Prepared:
        """All that the losses depend on besides the parameters; done once per fit."""

    @abstractmethod
    def losses(self, prepared: Prepared, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and their derivatives by `x`, (n, p)."""

    def means(self, prepared: Prepared, x: FloatArray) -> FloatArray:
        """Losses alone, (n,)."""
        return self.losses(prepared, x)[0]

    @abstractmethod
    def prior(self, curves: Sequence[Curve]) -> Prior:
        """What is known about `x` before the fit, scaled to the curves."""

    def starts(self, prior: Prior) -> list[FloatArray]:
        """Points to descend from, each shape (p,); their linear parameters need not be good."""
        field, values = self.starts_at
        starts = np.repeat(prior.mean[None, :], len(values), axis=0)
        starts[:, field] = np.log(values)
        return list(starts)

    def law(self, x: FloatArray) -> LossLaw:
        """The law behind `x`."""
        return self.law_type.from_logs(x)


def power_of(amount: FloatArray, floor: float, scale: float, exponent: float) -> tuple[FloatArray, list[FloatArray]]:
    """``floor + scale * amount**-exponent`` (n,), and its derivatives by the logs of the three."""
    log_amount = np.log(amount)
    power = scale * np.exp(-exponent * log_amount)
    return floor + power, [np.full(power.shape, floor), power, -exponent * log_amount * power]


class DropFamily(LawFamily[DropTable]):
    """A family of laws ``floor + scale * S(t)**-exponent - gain``: they share one table, which is dear to make.

    Those three are their first parameters, and the fourth is a factor of the gain from LR drops.
    """

    __slots__ = ()
    linear: ClassVar[tuple[int, ...]] = (0, 1, 3)

    @property
    def sees(self) -> str:
        """Drops."""
        return "drops"

    def prepare(self, asked: Asked) -> DropTable:
        """Areas and drops before the asked steps."""
        return concatenated([drop_table(schedule, steps) for schedule, steps in asked])

    @abstractmethod
    def gain(self, prepared: DropTable, *parameters: float) -> tuple[FloatArray, Callable[[], list[FloatArray]]]:
        """What the drops brought (n,), and how to get its derivatives by the logs of the fifth parameter and on."""

    def losses(self, prepared: DropTable, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the logs, (n, p)."""
        parameters = np.exp(x)
        level, by_power = power_of(prepared.area, *parameters[:3])
        gained, slopes = self.gain(prepared, *parameters[3:])
        return level - gained, np.column_stack([*by_power, -gained, *(-slope for slope in slopes())])

    def means(self, prepared: DropTable, x: FloatArray) -> FloatArray:
        """Losses (n,) alone, without paying for derivatives."""
        parameters = np.exp(x)
        gained, _ = self.gain(prepared, *parameters[3:])
        return power_of(prepared.area, *parameters[:3])[0] - gained


# -- what priors are scaled to ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Sizes of the curves together; the last three are geometric means over the curves.

    Attributes:
        least: lowest logged loss, nats.
        peak_lr: peak LR of the whole schedule.
        area: sum of all LRs of the whole schedule.
        last: last logged update.
    """

    least: float
    peak_lr: float
    area: float
    last: float

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> Scales:
        """Those of at least one curve with at least one loss."""
        return cls(
            least=min(float(curve.losses.min()) for curve in curves),
            peak_lr=_geometric(curve.schedule.log_peak_lr for curve in curves),
            area=_geometric(math.log(max(curve.schedule.outline.total(), LEAST_PEAK_LR)) for curve in curves),
            last=_geometric(math.log(max(float(curve.steps[-1]), 1.0)) for curve in curves),
        )

    def power_prior(self, amount: float, more: Sequence[float] = (), more_sd: Sequence[float] = ()) -> Prior:
        """Weak priors of a law ``floor + scale * amount**-exponent + ...``: a tenth of the least loss is still to go.

        Args:
            amount: what the power is of, over the whole run.
            more, more_sd: centres (not their logs) of the law's other parameters, and standard deviations of the logs.
        """
        centre = [FLOOR_SHARE * self.least, (1 - FLOOR_SHARE) * self.least * np.sqrt(amount), EXPONENT, *more]
        return Prior(mean=np.log(centre), sd=np.array([TIGHT_SD, LOOSE_SD, FIRM_SD, *more_sd]))


def _geometric(logs: Iterable[float]) -> float:
    return math.exp(float(np.mean(list(logs))))


# -- predictions on every step from predictions on some ---------------------------------------------------------------


def telling_steps(schedule: Schedule) -> FloatArray:
    """Steps (updates done) between which losses may be interpolated: all, or a few hundred of a long schedule.

    They lie evenly, and denser at the start, where the LR changes, and right after every jump, where curves bend.
    """
    if schedule.steps <= DENSE_STEPS:
        return np.arange(1, schedule.steps + 1, dtype=np.float64)
    even = np.linspace(1, schedule.steps, DENSE_STEPS // 6)
    early = np.geomspace(1, schedule.steps, DENSE_STEPS // 4)
    outline = schedule.outline
    changing = straight_knots(outline, DENSE_STEPS // 4) + 1.0
    steep = np.flatnonzero(np.abs(outline.slopes()) > 0.02 * schedule.peak_lr)[: DENSE_STEPS // 25]
    jumps = outline.updates[steep + 1]
    after = np.append(0.0, np.geomspace(1, schedule.steps, 20))
    bends = (jumps[:, None] + after[None, :]).ravel()
    asked = np.unique(np.round(np.concatenate([even, early, changing, bends])))
    return asked[asked <= schedule.steps]


def interpolated(schedule: Schedule, steps: FloatArray, losses: FloatArray) -> FloatArray:
    """Loss after each update, shape ``(steps,)``, linear in the log of the step between the given ones."""
    return np.interp(np.log(np.arange(1, schedule.steps + 1, dtype=np.float64)), np.log(steps), losses)
