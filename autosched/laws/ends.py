"""Predicted losses at the ends of several schedules together, so that their differences have intervals too.

What two schedules share (most of the laws' parameters, the residual of a like history) cancels in a difference, which
is therefore known better than either loss. What runs do not share, one run's own offset and scatter, stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from autosched.laws.auto import AutoLaw
from autosched.laws.protocol import LossLaw
from autosched.laws.residual import covariance, run_points
from autosched.laws.single import SingleLaw
from autosched.laws.stack import stacked_jointly
from autosched.schedules.schedule import FloatArray, Schedule

Z90 = float(ndtri(0.95))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndForecast:
    """Loss after the last update (or a difference of two), nats: mean and the ends of the central 90% interval."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ends:
    """Final losses of n schedules as a joint normal in log loss.

    Attributes:
        log_mean: shape (n,).
        covariance: shape (n, n); all 0 for a law without a fit, which does not know how sure it is.
    """

    log_mean: FloatArray
    covariance: FloatArray

    def forecast(self, i: int) -> EndForecast:
        """Final loss of schedule i."""
        mean, sd = math.exp(self.log_mean[i]), math.sqrt(max(self.covariance[i, i], 0.0))
        low, high = mean * math.exp(-Z90 * sd), mean * math.exp(Z90 * sd)
        return EndForecast(mean=mean, sd=mean * sd, low=low, high=high)

    def difference(self, i: int, j: int) -> EndForecast:
        """Final loss of i minus that of j, both being new runs."""
        if i == j:
            return EndForecast(mean=0.0, sd=0.0, low=0.0, high=0.0)
        a, b = np.exp(self.log_mean[[i, j]]).tolist()
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        sd = math.sqrt(max(float(variance), 0.0) * a * b)
        return EndForecast(mean=a - b, sd=sd, low=a - b - Z90 * sd, high=a - b + Z90 * sd)


def predicted_ends(law: LossLaw | SingleLaw | AutoLaw, schedules: Sequence[Schedule]) -> Ends:
    """The final losses of some schedules, none of which was run yet.

    A law that predicts a loss <= 0 is out of its regime there; that schedule's ``log_mean`` is NaN.
    """
    asked = [(schedule, np.array([float(schedule.steps)])) for schedule in schedules]
    match law:
        case AutoLaw():
            ends = _law_ends(law, asked)
            residual, unexplained = _residual_ends(law, asked)
            # Being out of what was fitted errs alike for all: it widens losses, and differences hardly.
            new = np.array([law.extrapolation(schedule, steps)[0] for schedule, steps in asked])
            fitted = law.inflation**2 * (ends.covariance + unexplained)
            return Ends(log_mean=ends.log_mean + residual, covariance=fitted + np.outer(new, new))
        case SingleLaw():
            ends = _law_ends(law, asked)
            scatter = law.unexplained**2 * np.eye(len(asked))
            return Ends(log_mean=ends.log_mean, covariance=ends.covariance + scatter)
        case _:
            losses = np.array([float(law.predict_at(schedule, steps)[0]) for schedule, steps in asked])
            return Ends(log_mean=_logs(losses), covariance=np.zeros((losses.size, losses.size)))


def _law_ends(law: SingleLaw | AutoLaw, asked: list[tuple[Schedule, FloatArray]]) -> Ends:
    """The laws' mean, their weighted disagreement and their parameters' covariance."""
    mean, shared = stacked_jointly(law.stack, asked)
    return Ends(log_mean=_logs(mean), covariance=shared)


def _residual_ends(law: AutoLaw, asked: list[tuple[Schedule, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Mean (n,) and covariance (n, n) of the residual process at the ends of runs it has not seen."""
    process, at = law.process, run_points(asked, first_run=-len(asked))
    cross = solve_triangular(process.factor, covariance(process.kernel, process.points, at), lower=True)
    mean: FloatArray = cross.T @ solve_triangular(process.factor, process.residuals, lower=True)
    prior = covariance(process.kernel, at, at) + process.kernel.scatter**2 * np.eye(len(asked))
    return mean, prior - cross.T @ cross


def _logs(losses: FloatArray) -> FloatArray:
    logs: FloatArray = np.log(np.where(losses > 0, losses, np.nan))
    return logs
