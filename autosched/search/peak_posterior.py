"""Where the best peak LR lies: a posterior on its log, and final losses that have their least inside the range.

Over ln(peak LR) the log of the final loss bends upwards, on recorded runs by 0.005 (124M parameters, 35,000 updates) to
0.023 (a small byte GPT, 1,200 updates) per squared unit, whatever the shape of the schedule::

    ln L = c + b x + a x**2 + g(shape) + h(x, shape),    x = ln(peak LR) - middle of the range

with a normal prior on each: c is free, a = 0.012 +- 0.008, b = -2 a x* with the least x* about the middle, g and h
smooth, and 0.01 of its own for every schedule, because the rest is no exact truth: without that, a law that is sure of
differences which the smooth parts do not have would see all its ends moved together, by as much as 0.02.

A law that was shown few peak LRs extrapolates its slope beyond them without that bend, and says so by a large variance
there. Its forecast of the ends of many runs, a joint normal, is taken as one noisy reading of ``ln L``; the posterior
is the law's where it is sure, and bends where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.spatial.distance import cdist

from autosched.laws.forecast import Forecast
from autosched.laws.priors import COORDINATE_LENGTH, WHOLE_RUNS
from autosched.schedules.schedule import FloatArray
from autosched.search.priors import (
    BEST_PEAK_SHARE,
    LEVEL_SD,
    OWN_EFFECT_SD,
    PEAK_BEND,
    PEAK_BEND_SD,
    SHAPE_AND_PEAK_SD,
    SHAPE_EFFECT_SD,
)


@dataclass(frozen=True, slots=True)
class PeakPosterior:
    """A normal on the best ln(peak LR): before any run that of the range, after pilots what these show."""

    mean: float
    sd: float

    @classmethod
    def of(cls, log_peaks: FloatArray) -> PeakPosterior:
        """Of the range of these peaks."""
        low, high = float(log_peaks.min()), float(log_peaks.max())
        return cls((low + high) / 2, BEST_PEAK_SHARE * (high - low))


def with_interior_best(ends: Forecast, features: FloatArray, place: PeakPosterior) -> Forecast:
    """The ends, given also that the best peak LR lies inside.

    Args:
        features: of each schedule, see :func:`autosched.laws.residual.history`, shape (n, >= 3).

    Returns:
        The posterior; ends that are not finite stay as they are, and so do all when there is but one peak LR.
    """
    rows = np.flatnonzero(ends.sound)
    if rows.size < 2 or place.sd <= 0:
        return ends
    mean, covariance = prior(features[rows], place)
    level = float(ends.log_mean[rows].mean())  # the level is free: near 0 the numbers keep their digits
    noise = ends.covariance[np.ix_(rows, rows)]
    try:
        factor = cho_factor(covariance + noise, lower=True)
    except LinAlgError:
        return ends
    gain = cho_solve(factor, covariance).T
    log_mean, found = ends.log_mean.copy(), ends.covariance.copy()
    log_mean[rows] = level + mean + gain @ (ends.log_mean[rows] - level - mean)
    posterior = gain @ noise
    found[np.ix_(rows, rows)] = (posterior + posterior.T) / 2
    return Forecast(log_mean=log_mean, covariance=found)


def prior(features: FloatArray, place: PeakPosterior) -> tuple[FloatArray, FloatArray]:
    """Mean (n,) and covariance (n, n) of log final losses before any run, up to their level."""
    x, shapes = features[:, 0] - place.mean, features[:, 1:3] / WHOLE_RUNS.lengths[1:3]
    if features.shape[1] > len(WHOLE_RUNS.lengths):  # hyperparameters do as much to an end as a shape
        beside = features[:, len(WHOLE_RUNS.lengths) :] / COORDINATE_LENGTH
        shapes = np.concatenate([shapes, beside], axis=1)
    slope_sd = 2 * np.hypot(PEAK_BEND, PEAK_BEND_SD) * place.sd
    shape_gaps = cdist(shapes, shapes, "sqeuclidean")
    peak_gaps = ((x[:, None] - x[None, :]) / WHOLE_RUNS.lengths[0]) ** 2
    covariance = (
        LEVEL_SD**2
        + slope_sd**2 * np.outer(x, x)
        + PEAK_BEND_SD**2 * np.outer(x**2, x**2)
        + SHAPE_EFFECT_SD**2 * np.exp(-0.5 * shape_gaps)
        + SHAPE_AND_PEAK_SD**2 * np.exp(-0.5 * (shape_gaps + peak_gaps))
        + OWN_EFFECT_SD**2 * np.eye(x.size)
    )
    return PEAK_BEND * x**2, covariance
