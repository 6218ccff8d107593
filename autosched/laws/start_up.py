"""The functional law with a start-up, for losses that begin at a plateau and fall by large factors.

    L(t) = floor + scale * (tau(t) + start)**-exponent + noise * ...        see autosched.laws.functional

Without `start` a loss is a power of intrinsic time from the first update on, as that of language models soon is. That
of a classifier stays near ln(classes) for a while, at low LRs for long, and then falls by factors of ten and more,
towards a floor that may be 0; that of a regression falls by decades. `start` makes the first value finite, and with
large values of both `start` and `exponent` the fall is an exponential, ``exp(-exponent tau / start)``. Amounts of loss
are then no shares of the least loss that was seen, so their priors are loose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.functional import FunctionalFamily, FunctionalLaw
from autosched.laws.priors import LOOSE_SD, START_UP_STARTS
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUpFamily(FunctionalFamily):
    """How the functional law is fitted with its `start`, which is the last of the parameters."""

    @property
    def name(self) -> str:
        """The law's name here; fitted, it is a functional law."""
        return "start_up"

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return (*FunctionalLaw.fields, "start")

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """That of the functional law, loose in how the loss falls; a start-up of one unit of intrinsic time."""
        usual = FunctionalFamily.prior(self, curves)
        sd = usual.sd.copy()
        sd[[*self.linear, self.starts_at[0]]] = LOOSE_SD  # floor, scale, noise and exponent
        return Prior(mean=np.append(usual.mean, 0.0), sd=np.append(sd, LOOSE_SD))

    def starts(self, prior: Prior) -> list[FloatArray]:
        """From a power law to an exponential."""
        starts = np.repeat(prior.mean[None, :], len(START_UP_STARTS), axis=0)
        starts[:, [self.starts_at[0], -1]] = np.log(START_UP_STARTS)
        return list(starts)

    def law(self, x: FloatArray) -> FunctionalLaw:
        """The law behind its logs."""
        units = {"reference_lr": self.units.lr, "reference_steps": self.units.steps}
        return FunctionalLaw.from_logs(x[:-1], start=float(np.exp(x[-1])), **units)
