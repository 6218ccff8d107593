"""Multi-Power Law: loss from the LR path (Luo et al. 2025, arXiv:2503.12811).

    L(t)  = floor + scale * S(t)**-exponent - LD(t)
    LD(t) = drop * sum_k (lrs[k-1] - lrs[k]) * G(speed * lrs[k]**-lr_power * S_k(t))     k after the warmup, k < t
    G(x)  = 1 - (1 + x)**-saturation

S, S_k and the one definition of warmup are those of :mod:`autosched.laws.drops`. In the paper's letters the fields
are L0, A, alpha, B, C, beta, gamma. The published code also counts the rises of the warmup as negative drops, which
shifts its L0; :meth:`MultiPowerLaw.predict_at` does not, so its published parameters need `warmup_drops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.drops import DropTable, drop_table
from autosched.laws.law import DropFamily, ParametricLaw, Scales
from autosched.laws.priors import DROP_GAIN, LOOSE_SD, MULTI_POWER_SHAPE, TIGHT_SD
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiPowerLaw(ParametricLaw):
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
    fields: ClassVar[tuple[str, ...]] = ("floor", "scale", "exponent", "drop", "speed", "saturation", "lr_power")

    floor: float
    scale: float
    exponent: float
    drop: float
    speed: float
    saturation: float
    lr_power: float
    warmup_drops: bool = False

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        table = drop_table(schedule, steps, warmup_drops=self.warmup_drops)
        return MultiPowerFamily().means(table, self.logs())


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiPowerFamily(DropFamily):
    """How the Multi-Power Law is fitted.

    ln speed, ln saturation and ln lr_power are hardly identified by a few curves; they are held near the published
    fits' common values, which agree to 6% over three model sizes. The others have weak priors scaled to the data.

    Attributes:
        tightness: standard deviation of those three logs.
    """

    law_type: ClassVar[type[ParametricLaw]] = MultiPowerLaw

    tightness: float = TIGHT_SD

    def gain(self, prepared: DropTable, *parameters: float) -> tuple[FloatArray, Callable[[], list[FloatArray]]]:
        """What the drops brought (n,); its derivatives are by the logs of speed, saturation and lr_power."""
        drop, speed, saturation, lr_power = parameters
        passed = speed * np.exp(-lr_power * prepared.log_lr) * prepared.since
        log_rest = np.log1p(passed)
        rest = np.exp(-saturation * log_rest)

        def slopes() -> list[FloatArray]:
            by_log_speed = drop * saturation * prepared.size * rest * passed / (1 + passed)
            return [
                prepared.sum_rows(by_log_speed),
                drop * saturation * prepared.sum_rows(prepared.size * rest * log_rest),
                -lr_power * prepared.sum_rows(by_log_speed * prepared.log_lr),
            ]

        return drop * prepared.sum_rows(prepared.size * (1 - rest)), slopes

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Weak priors scaled to the curves' least loss, peak LR and area, and the three held ones."""
        scales = Scales.of(curves)
        gain = DROP_GAIN * scales.least / scales.peak_lr
        return scales.power_prior(scales.area, [gain, *MULTI_POWER_SHAPE], [LOOSE_SD, *3 * [self.tightness]])


def _published(*values: float) -> MultiPowerLaw:
    named: dict[str, Any] = dict(zip(MultiPowerLaw.fields, values, strict=True))
    return MultiPowerLaw(**named, warmup_drops=True)


PUBLISHED: Mapping[str, MultiPowerLaw] = MappingProxyType(
    {
        "25M": _published(3.04045, 0.52469, 0.50787, 363.788, 2.06561, 0.58279, 0.64142),
        "100M": _published(2.65145, 0.60115, 0.45296, 437.946, 2.13246, 0.59785, 0.65524),
        "400M": _published(2.37474, 0.65421, 0.42879, 523.425, 2.02463, 0.59350, 0.63472),
    }
)
"""Parameters as the authors published them (thu-yao-01-luo/MultiPowerLaw), by model size.

GPT models, peak LR 3e-4, warmup 2,160 updates; losses in nats per token. The authors' code lets warmup take part in the
sum of drops, so these have ``warmup_drops=True``; laws fitted here do not.
"""
