"""Predicted losses at the ends of several schedules together, so that their differences have intervals too.

What two schedules share (most of the laws' parameters, the residual of a like history) cancels in a difference, which
is therefore known better than either loss. What runs do not share, one run's own offset and scatter, stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from autosched.laws.auto import AutoLaw
from autosched.laws.form import Asked
from autosched.laws.protocol import LossLaw
from autosched.laws.residual import RunPoints, covariance, run_points
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AskedEnds:
    """The ends of some schedules as laws see them; asking for the same ends again and again costs this only once.

    Attributes:
        asked: the schedules, each with its last step.
        features: their histories as the residual process sees them, shape (n, 5).
        prepared: what each kind of law needs to know of them, by its name.
    """

    asked: Asked
    features: FloatArray
    prepared: dict[str, Any]

    @classmethod
    def of(cls, schedules: Sequence[Schedule]) -> AskedEnds:
        """Nothing is prepared for any law yet; that is done when one is first asked."""
        asked = [(schedule, np.array([float(schedule.steps)])) for schedule in schedules]
        features = run_points(asked).features if asked else np.empty((0, 5))
        return cls(asked=asked, features=features, prepared={})


def predicted_ends(law: LossLaw | SingleLaw | AutoLaw, schedules: Sequence[Schedule]) -> Ends:
    """The final losses of some schedules, none of which was run yet.

    A law that predicts a loss <= 0 is out of its regime there; that schedule's ``log_mean`` is NaN.
    """
    match law:
        case AutoLaw():
            return joint_ends(law, [AskedEnds.of(schedules)])
        case SingleLaw():
            asked = [(schedule, np.array([float(schedule.steps)])) for schedule in schedules]
            mean, shared = stacked_jointly(law.stack, [(asked, {})])
            ends = Ends(log_mean=_logs(mean), covariance=shared)
            scatter = law.unexplained**2 * np.eye(len(asked))
            return Ends(log_mean=ends.log_mean, covariance=ends.covariance + scatter)
        case _:
            losses = np.array([float(law.predict_at(s, np.array([float(s.steps)]))[0]) for s in schedules])
            return Ends(log_mean=_logs(losses), covariance=np.zeros((losses.size, losses.size)))


def joint_ends(
    law: AutoLaw,
    groups: Sequence[AskedEnds],
    runs: Sequence[int | None] | None = None,
    *,
    observation_noise: bool = True,
) -> Ends:
    """The final losses of all groups' schedules together, in order.

    Args:
        runs: for each schedule the fitted curve it belongs to, whose own offset then counts; None for a new run.
        observation_noise: whether what nobody can know before, a new run's own offset and the scatter of the last
            evaluation, counts as uncertainty. A search that counts it takes ever new runs for promising.
    """
    asked = [one for group in groups for one in group.asked]
    mean, shared = stacked_jointly(law.stack, [(group.asked, group.prepared) for group in groups])
    known: Sequence[int | None] = [None] * len(asked) if runs is None else runs
    at = RunPoints(
        run=np.array([i - len(asked) if run is None else run for i, run in enumerate(known)], dtype=np.intp),
        features=np.concatenate([group.features for group in groups]),
    )
    residual, unexplained = _residual_ends(law, at)
    if not observation_noise:
        new_runs = np.array([law.process.kernel.own**2 if run is None else 0.0 for run in known])
        unexplained = unexplained - np.diag(law.process.kernel.scatter**2 + new_runs)
    covariance = law.inflation**2 * (shared + unexplained) + law.extrapolated_jointly(asked)
    return Ends(log_mean=_logs(mean) + residual, covariance=covariance)


def _residual_ends(law: AutoLaw, at: RunPoints) -> tuple[FloatArray, FloatArray]:
    """Mean (n,) and covariance (n, n) of the residual process at the ends of runs."""
    process = law.process
    cross = solve_triangular(process.factor, covariance(process.kernel, process.points, at), lower=True)
    mean: FloatArray = cross.T @ solve_triangular(process.factor, process.residuals, lower=True)
    prior = covariance(process.kernel, at, at) + process.kernel.scatter**2 * np.eye(at.run.size)
    return mean, prior - cross.T @ cross


def _logs(losses: FloatArray) -> FloatArray:
    logs: FloatArray = np.log(np.where(losses > 0, losses, np.nan))
    return logs
