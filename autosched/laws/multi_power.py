"""Multi-Power Law: loss from the LR path (Luo et al. 2025, arXiv:2503.12811).

    L(t)  = floor + scale * S(t)**-exponent - LD(t)
    LD(t) = drop * sum_k (lrs[k-1] - lrs[k]) * G(speed * lrs[k]**-lr_power * S_k(t))     k after the warmup, k < t
    G(x)  = 1 - (1 + x)**-saturation

S, S_k and the one definition of warmup are those of :mod:`autosched.laws.drops`. In the paper's letters the fields
are L0, A, alpha, B, C, beta, gamma. The published code also counts the rises of the warmup as negative drops, which
shifts its L0; :meth:`MultiPowerLaw.predict_at` does not, so its published parameters need `warmup_drops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.drops import DropTable, concatenated, drop_table
from autosched.laws.form import Asked
from autosched.laws.grid import on_every_step
from autosched.laws.robust import Prior
from autosched.laws.scales import Scales, spread_starts
from autosched.schedules.schedule import FloatArray, Schedule

_FIELDS = ("floor", "scale", "exponent", "drop", "speed", "saturation", "lr_power")


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiPowerLaw:
    """The Multi-Power Law; every field > 0.

    Attributes:
        floor: loss at the peak LR after infinitely many updates (L0), nats.
        scale: factor of the power of the forward area (A).
        exponent: that power (alpha).
        drop: loss that an LR drop brings in the end, per unit of LR (B).
        speed: how soon a drop pays, per unit of rescaled area (C).
        saturation: power with which the rest of a drop's effect fades (beta).
        lr_power: rescaling of the area by the LR after the drop (gamma).
        warmup_drops: count the warmup's rises too, as the published code does; only for published parameters.

    Example:
        >>> law = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=360.0, speed=2.0, saturation=0.6, lr_power=0.6)
        >>> losses = law.predict(Schedule([3e-4] * 500 + [1e-4] * 500))
        >>> losses.shape, bool(losses[-1] < losses[499])
        ((1000,), True)
    """

    name: ClassVar[str] = "multi_power"

    floor: float
    scale: float
    exponent: float
    drop: float
    speed: float
    saturation: float
    lr_power: float
    warmup_drops: bool = False

    def __post_init__(self) -> None:
        for field in _FIELDS:
            if not (0 < getattr(self, field) < np.inf):
                raise ValueError(f"{field} must be finite and > 0, but got {getattr(self, field)!r}.")

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(steps,)``, nats; interpolated between a few hundred exact steps."""
        return on_every_step(self, schedule)

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        table = drop_table(schedule, steps, warmup_drops=self.warmup_drops)
        return multi_power_means(table, self.logs())

    def logs(self) -> FloatArray:
        """Natural logs of the seven fields, in their order: what a fit moves."""
        return np.log([getattr(self, field) for field in _FIELDS])

    @classmethod
    def from_logs(cls, logs: FloatArray) -> MultiPowerLaw:
        """The law behind :meth:`logs`."""
        return cls(**dict(zip(_FIELDS, np.exp(logs).tolist(), strict=True)))


def multi_power_means(table: DropTable, logs: FloatArray) -> FloatArray:
    """Losses at the asked steps alone, shape (q,)."""
    floor, scale, exponent, drop, speed, saturation, lr_power = np.exp(logs)
    forgotten = -np.expm1(-saturation * np.log1p(speed * np.exp(-lr_power * table.log_lr) * table.since))
    losses: FloatArray = floor + scale * table.area**-exponent - drop * table.sum_rows(table.size * forgotten)
    return losses


def multi_power_losses(table: DropTable, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Losses at the asked steps, shape (q,), and their derivatives by the seven log-parameters, shape (q, 7)."""
    floor, scale, exponent, drop, speed, saturation, lr_power = np.exp(logs)
    log_area = np.log(table.area)
    power = scale * np.exp(-exponent * log_area)
    x = speed * np.exp(-lr_power * table.log_lr) * table.since
    log_rest = np.log1p(x)
    rest = np.exp(-saturation * log_rest)
    gained = drop * table.sum_rows(table.size * (1 - rest))
    by_log_speed = drop * saturation * table.size * rest * x / (1 + x)
    jacobian = np.column_stack(
        [
            np.full(power.shape, floor),
            power,
            -exponent * log_area * power,
            -gained,
            -table.sum_rows(by_log_speed),
            -drop * saturation * table.sum_rows(table.size * rest * log_rest),
            lr_power * table.sum_rows(by_log_speed * table.log_lr),
        ]
    )
    return floor + power - gained, jacobian


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiPowerForm:
    """How the Multi-Power Law is fitted.

    ln speed, ln saturation and ln lr_power are hardly identified by a few curves; they are held near the published
    fits' common values, which agree to 6% over three model sizes. The others have weak priors scaled to the data.

    Attributes:
        tightness: standard deviation of those three logs.
    """

    tightness: float = 0.3
    name: str = MultiPowerLaw.name
    fields: tuple[str, ...] = _FIELDS
    linear: tuple[int, ...] = (0, 1, 3)

    def prepare(self, asked: Asked) -> DropTable:
        """Areas and drops before the asked steps."""
        return concatenated([drop_table(schedule, steps) for schedule, steps in asked])

    def losses(self, prepared: DropTable, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the seven logs, (n, 7)."""
        return multi_power_losses(prepared, x)

    def means(self, prepared: DropTable, x: FloatArray) -> FloatArray:
        """Losses (n,) alone."""
        return multi_power_means(prepared, x)

    def belief(self, curves: Sequence[Curve]) -> Prior:
        """Weak beliefs scaled to the curves' least loss, peak LR and area."""
        scales = Scales.of(curves)
        least, peak, area = scales.least, scales.peak_lr, scales.area
        centre = np.log([0.9 * least, 0.1 * least * np.sqrt(area), 0.5, 0.03 * least / peak, 2.1, 0.59, 0.64])
        loose = self.tightness
        return Prior(mean=centre, sd=np.array([0.3, 2.0, 0.5, 2.0, loose, loose, loose]))

    def starts(self, belief: Prior) -> Sequence[FloatArray]:
        """Three exponents."""
        return spread_starts(belief, 2, (0.3, 0.5, 0.8))

    def law(self, x: FloatArray) -> MultiPowerLaw:
        """The law behind its logs."""
        return MultiPowerLaw.from_logs(x)
