"""Continual pretraining: a run whose data changes on the way (Wang et al. 2025, arXiv:2505.07796).

    L(t)     = floor + scale * S(t)**-exponent - pretraining_gain * P(t) - continual_gain * C(t) + shift(t)
    shift(t) = +-shift * (1 - (1 + speed * A(t))**-saturation)

    name      meaning                                                                             unit
    S(t)      forward area: sum of lrs[i] over i < t, both stages                                 LR x updates
    A(t)      forward area of the second stage alone; 0 until the data changes                    LR x updates
    P(t)      annealing of LR drops made in the first stage                                       LR
    C(t)      the same, of drops made since the data changed; rises count as negative drops       LR
    shift(t)  what the new data brought: a loss on the old data's validation set (forgetting, +), a gain on the new
              data's (adaptation, -); fit one law per validation set

An LR drop of size d, a updates ago, counts d (1 - exp(-a / memory)), as in :mod:`autosched.laws.annealing`; the paper's
C1 and C2 are ``gain * (1 - lambda)`` with ``lambda = 0.999``, a memory of 999.5 updates. The rises of the first
warmup are no drops; those of a re-warmup are, because raising the LR of an annealed model gives its annealing back.
Which stage a drop belongs to is decided by when it was made, its effect goes on over the border; the paper does not
say, and it does not matter where the two gains agree, as in its fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.laws.drops import DropTable, concatenated, drop_table
from autosched.laws.law import Asked, LawFamily, ParametricLaw, Scales, power_of
from autosched.laws.priors import (
    CONTINUAL_MEMORY,
    CONTINUAL_SPEED,
    CONTINUAL_STARTS,
    DROP_GAIN,
    FIRM_SD,
    FLOOR_SHARE,
    LOOSE_SD,
)
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule

Effect = Literal["forgetting", "adaptation"]
"""What the change of data does to the validation loss: it rises (old data), or falls (new data)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualLaw(ParametricLaw):
    """The continual-pretraining law; every number > 0.

    Attributes:
        floor: loss at the peak LR after infinitely many updates on the first data (L0), nats.
        scale, exponent: the power law of the forward area (A, alpha).
        pretraining_gain, continual_gain: loss that an LR drop of either stage brings in the end, per unit of LR.
        shift: loss that the new data costs or brings in the end (B's size), nats.
        speed: how soon, per unit of area (E).
        saturation: power with which the rest of it fades (beta).
        memory: updates after which 63% of a drop's effect is there.
        effect: whether the shift is a loss or a gain on this validation set.
        pretraining_steps: updates before the data changed.
    """

    name: ClassVar[str] = "continual"
    fields: ClassVar[tuple[str, ...]] = (
        "floor",
        "scale",
        "exponent",
        "pretraining_gain",
        "continual_gain",
        "shift",
        "speed",
        "saturation",
        "memory",
    )

    floor: float
    scale: float
    exponent: float
    pretraining_gain: float
    continual_gain: float
    shift: float
    speed: float
    saturation: float
    memory: float
    effect: Effect
    pretraining_steps: int

    def __post_init__(self) -> None:
        ParametricLaw.__post_init__(self)
        _checked(self.effect, self.pretraining_steps)

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        family = ContinualFamily(effect=self.effect, pretraining_steps=self.pretraining_steps)
        return family.losses(family.prepare([(schedule, steps)]), self.logs())[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualPath:
    """Some steps of some schedules as the law sees them; independent of its parameters.

    Attributes:
        table: areas and drops of both stages.
        late: which entries of the table are drops of the second stage, shape (n,).
        continual_area: A(t) at each asked step, shape (q,).
    """

    table: DropTable
    late: NDArray[np.bool_]
    continual_area: FloatArray


def continual_path(asked: Asked, pretraining_steps: int) -> ContinualPath:
    """Areas and drops before the asked steps, split where the data changes."""
    tables, late, areas = [], [], []
    for schedule, steps in asked:
        table = drop_table(schedule, steps)
        made = np.minimum(steps, schedule.steps)[table.row] - table.updates  # update at which the drop was made
        first = float(schedule.lrs[:pretraining_steps].sum())
        tables.append(table)
        late.append(made > pretraining_steps - 0.5)
        areas.append(np.maximum(table.area - first, 0.0))
    return ContinualPath(table=concatenated(tables), late=np.concatenate(late), continual_area=np.concatenate(areas))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualFamily(LawFamily[ContinualPath]):
    """How the continual-pretraining law is fitted to runs that all change their data after the same update.

    Attributes:
        effect: what the new data does to the validation loss that was logged.
        pretraining_steps: updates before the data changed.
        memory: where the prior for the memory is centred, updates.
    """

    law_type: ClassVar[type[ParametricLaw]] = ContinualLaw
    linear: ClassVar[tuple[int, ...]] = (0, 1, 3, 4, 5)  # floor, scale, both gains and the shift

    effect: Effect
    pretraining_steps: int
    memory: float = CONTINUAL_MEMORY

    def __post_init__(self) -> None:
        _checked(self.effect, self.pretraining_steps)

    def prepare(self, asked: Asked) -> ContinualPath:
        """Areas and drops before the asked steps."""
        return continual_path(asked, self.pretraining_steps)

    def losses(self, prepared: ContinualPath, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the nine logs, (n, 9)."""
        floor, scale, exponent, early_gain, late_gain, shift, speed, saturation, memory = np.exp(x)
        table = prepared.table
        level, by_power = power_of(table.area, floor, scale, exponent)
        age = table.updates / memory
        rest = np.exp(-age)
        gain = np.where(prepared.late, late_gain, early_gain)
        paid = gain * table.size * (1 - rest)
        early, late = table.sum_rows(paid * ~prepared.late), table.sum_rows(paid * prepared.late)
        passed = speed * prepared.continual_area
        left = np.exp(-saturation * np.log1p(passed))
        signed = shift if self.effect == "forgetting" else -shift
        jacobian = np.column_stack(
            [
                *by_power,
                -early,
                -late,
                signed * (1 - left),
                signed * saturation * left * passed / (1 + passed),
                signed * saturation * left * np.log1p(passed),
                table.sum_rows(gain * table.size * rest * age),
            ]
        )
        return level - early - late + signed * (1 - left), jacobian

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Weak priors scaled to the curves' least loss, peak LR and areas; the memory near its centre."""
        scales = Scales.of(curves)
        gain = DROP_GAIN * scales.least / scales.peak_lr
        speed, saturation = CONTINUAL_SPEED[0] / scales.area, CONTINUAL_SPEED[1]
        more = [gain, gain, (1 - FLOOR_SHARE) * scales.least, speed, saturation, self.memory]
        return scales.power_prior(scales.area, more, [*5 * [LOOSE_SD], FIRM_SD])

    def starts(self, prior: Prior) -> list[FloatArray]:
        """Each exponent with each speed of the shift."""
        starts = [start.copy() for start in LawFamily.starts(self, prior) for _ in CONTINUAL_STARTS]
        for number, start in enumerate(starts):
            start[6] += np.log(CONTINUAL_STARTS[number % len(CONTINUAL_STARTS)])
        return starts

    def law(self, x: FloatArray) -> ContinualLaw:
        """The law behind its logs."""
        return ContinualLaw.from_logs(x, effect=self.effect, pretraining_steps=self.pretraining_steps)


def _checked(effect: str, pretraining_steps: int) -> None:
    if effect not in {"forgetting", "adaptation"}:
        raise UsageError(f"effect must be forgetting or adaptation, but got {effect!r}.")
    if pretraining_steps < 0:
        raise UsageError(f"pretraining_steps must be >= 0, but got {pretraining_steps}.")
