"""Annealing law: loss from the forward and the annealing area (Tissue et al. 2024, arXiv:2408.11029).

    L(t)  = floor + scale * S(t)**-exponent - gain * S2(t)
    S2(t) = sum_k (lrs[k-1] - lrs[k]) * (1 - exp(-(t - k) / m))        m = memory * schedule.steps

S, the drops and the one definition of warmup are those of :mod:`autosched.laws.drops`. The paper writes S2 as a
double sum with lambda = 0.999 a step, so its C is ``gain * (1 - lambda)``. Its memory of about 1,000 updates suits its
own horizons only: here it is a share of the horizon, and fitted.

The loss is linear in the drops, so a schedule that minimises it alone does not exist (see the optimiser).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.drops import DropTable, drop_table
from autosched.laws.law import DropFamily, ParametricLaw, Scales
from autosched.laws.priors import ANNEALING_MEMORY, DROP_GAIN, FIRM_SD, LOOSE_SD
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnealingLaw(ParametricLaw):
    """The annealing law; every field > 0.

    Attributes:
        floor: loss at the peak LR after infinitely many updates, nats.
        scale, exponent: the power law of the forward area.
        gain: loss that an LR drop brings in the end, per unit of LR.
        memory: updates after which 63% of it is there, as a share of the horizon.
    """

    name: ClassVar[str] = "annealing"
    fields: ClassVar[tuple[str, ...]] = ("floor", "scale", "exponent", "gain", "memory")

    floor: float
    scale: float
    exponent: float
    gain: float
    memory: float

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        return AnnealingFamily().means(drop_table(schedule, steps), self.logs())


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnealingFamily(DropFamily):
    """How the annealing law is fitted: weak priors scaled to the data, the memory near the paper's 1,000 of 24,000."""

    law_type: ClassVar[type[ParametricLaw]] = AnnealingLaw

    def gain(self, prepared: DropTable, *parameters: float) -> tuple[FloatArray, Callable[[], list[FloatArray]]]:
        """What the drops brought (n,); its derivative is by the log of the memory."""
        gain, memory = parameters
        age = prepared.updates / (memory * prepared.horizon)
        rest = np.exp(-age)
        gained = gain * prepared.sum_rows(prepared.size * (1 - rest))
        return gained, lambda: [-gain * prepared.sum_rows(prepared.size * rest * age)]

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Weak priors scaled to the curves' least loss, peak LR and area."""
        scales = Scales.of(curves)
        gain = DROP_GAIN * scales.least / scales.peak_lr
        return scales.power_prior(scales.area, [gain, ANNEALING_MEMORY], [LOOSE_SD, FIRM_SD])
