"""What recorded runs of other models teach a forecaster: what a cooldown gives that nobody saw, and how sure it may be.

From losses at the peak LR alone a law cannot tell the noise that a cooldown takes away from the floor that it leaves,
so it says what its own prior says. How wrong that is was learned from real runs of other models
(``benchmarks/learn_priors.py``): the errors of ends that were forecast from runs without a cooldown, per model::

    ln L_forecast - ln L_seen = rate * d + what other errors there are,   rate ~ normal(mean, sd) over models
    d = the least z of all runs seen - z at the forecast,   z = LR / peak over the last 5% of the updates, d >= 0

`mean * d` is taken off every forecast, and ``sd * d`` is added to its uncertainty. It is one error of all forecasts of
a study, so it hardly changes which of two schedules is the better one; and it fades as a run cools.

With it, all standard deviations are multiplied by the calibration: the root mean square of error over standard
deviation that forecasts for each of these models had when they knew of the others alone. Laws that are fitted from
their priors doubt more than they err.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from autosched.laws.residual import RECENT, RunPoints
from autosched.schedules.schedule import FloatArray

LEARNED = "learned.json"
"""What comes with the package, beside this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CooldownPrior:
    """A normal over models.

    Attributes:
        mean, sd: of the rate, log loss per unit of d; above 0 where a law expects too little of a cooldown.
    """

    mean: float
    sd: float

    def unseen(self, points: RunPoints, features: FloatArray, *, merged: float = math.inf) -> FloatArray:
        """The distances d, shape (n,).

        Args:
            points: what was fitted.
            features: of the forecasts, shape (n, 5).
            merged: the least z of schedules that merged losses speak of.
        """
        seen = min(float(points.features[:, RECENT].min()), merged)
        return np.asarray(np.maximum(seen - features[:, RECENT], 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an archive taught.

    Attributes:
        cooldown: what a cooldown gives that nobody saw.
        calibration: factor of the standard deviations of all forecasts.
    """

    cooldown: CooldownPrior
    calibration: float


@cache
def learned_priors() -> Learned:
    """What comes with the package."""
    text = resources.files("autosched.laws").joinpath(LEARNED).read_text(encoding="utf-8")
    found = json.loads(text)
    return Learned(cooldown=CooldownPrior(**found["cooldown"]), calibration=found["calibration"])
