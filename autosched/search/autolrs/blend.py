"""Two forecasts in one, weighted by how right each was about the stages that are over.

    w_i    ~ 1 / (mean of the prior error^2 and of (ln reached - ln forecast_i)^2, recent stages counting more)
    stage  = w_exp * exponential + w_law * law at the end of the stage
    blend  = stage + (law at the end of the run - law at the end of the stage)

The exponential knows nothing beyond its stage, so it corrects the law where both can be checked, and what comes after
(a cooldown, above all) is the law's. Variances are of mixtures, the disagreement of the two included; what all probes
share of it says nothing about which is the best, and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from autosched.search.autolrs.law_forecast import LawEnds
from autosched.search.autolrs.priors import STAGE_FADES, UNCHECKED_ERRORS
from autosched.search.autolrs.records import Expectation, State

_SMALL = 1e-12  # a loss is at least this, nats


def weight_of(state: State, name: str) -> float:
    """Inverse mean square relative error of a forecast, the prior's included."""
    squares, count = UNCHECKED_ERRORS[name] ** 2, 1.0
    for ago, passed in enumerate(reversed(state.passed)):
        for expected in passed.expected:
            if expected.name == name and passed.reached is not None:
                weight = STAGE_FADES**ago
                squares += weight * math.log(max(passed.reached, _SMALL) / max(expected.mean, _SMALL)) ** 2
                count += weight
    return count / squares


def blended(state: State, exponential: Mapping[int, Expectation], law: LawEnds) -> dict[int, Expectation]:
    """The blend at the end of the run, by number of the probe; its sd is that of the difference to the other probes."""
    numbers = list(law.stage_end)
    weights = [weight_of(state, "exponential"), weight_of(state, "law")]
    share = weights[0] / sum(weights)
    off = np.array([exponential[number].mean - law.stage_end[number].mean for number in numbers])
    off_differently = off - off.mean()
    found = {}
    for i, number in enumerate(numbers):
        variance = (
            share * exponential[number].sd ** 2
            + (1 - share) * law.stage_difference_sd[number] ** 2
            + share * (1 - share) * off_differently[i] ** 2
            + law.later[number].sd ** 2
        )
        mean = law.run_end[number].mean + share * off[i]
        found[number] = Expectation(name="blend", mean=float(mean), sd=math.sqrt(variance))
    return found
