"""Forecast losses: the one record that every fitted law answers with, and what it is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from autosched.laws.law import Asked
from autosched.laws.residual import RunPoints, run_points
from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One loss (or a difference of two), nats: mean, standard deviation and the ends of the central 90%."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Forecast:
    """Losses of n places together, as a joint normal in log loss.

    What two schedules share (most of the laws' parameters, the residual of a like history) cancels in a difference,
    which is therefore known better than either loss. What runs do not share, one run's own offset and scatter, stays.

    Attributes:
        log_mean: shape (n,); NaN where the law predicts a loss <= 0 and is out of its regime.
        covariance: of the log losses, shape (n, n), or their variances alone, (n,), along a curve that nobody compares;
            all 0 for a law without a fit, which does not know how sure it is.
        degrees: of freedom of the tails (Student t); infinite for a normal.
    """

    log_mean: FloatArray
    covariance: FloatArray
    degrees: float = math.inf

    @property
    def mean(self) -> FloatArray:
        """Expected losses, nats, shape (n,)."""
        return np.exp(self.log_mean)

    @property
    def sd(self) -> FloatArray:
        """Relative standard deviations, shape (n,)."""
        return np.sqrt(np.maximum(self._variance, 0.0))

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Where there is a mean and a variance, shape (n,); a law of very few losses may overflow."""
        return np.isfinite(self.log_mean) & np.isfinite(self._variance)

    @property
    def _variance(self) -> FloatArray:
        return np.diag(self.covariance) if self.covariance.ndim == 2 else self.covariance

    def __getitem__(self, rows: NDArray[np.intp]) -> Forecast:
        """The forecast of some places."""
        covariance = self.covariance[np.ix_(rows, rows)]
        return Forecast(log_mean=self.log_mean[rows], covariance=covariance, degrees=self.degrees)

    def interval(self, probability: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Low and high end of each loss's central interval, nats, each shape (n,)."""
        half = self._deviations(probability) * self.sd
        return np.exp(self.log_mean - half), np.exp(self.log_mean + half)

    def chance_below(self, loss: float, *, loss_sd: float = 0.0) -> FloatArray:
        """Probability of each to end below a loss (nats) that is known up to `loss_sd` (relative), shape (n,)."""
        sd = np.hypot(self.sd, loss_sd)
        gap = math.log(loss) - self.log_mean
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.where(sd > 0, gap / sd, np.copysign(np.inf, gap))
        chance: FloatArray = ndtr(away) if math.isinf(self.degrees) else stdtr(self.degrees, away)
        return chance

    def loss(self, i: int) -> Interval:
        """Loss i."""
        low, high = self[np.array([i])].interval()
        mean, sd = math.exp(self.log_mean[i]), float(self.sd[i])
        return Interval(mean=mean, sd=mean * sd, low=float(low[0]), high=float(high[0]))

    def difference(self, i: int, j: int) -> Interval:
        """Loss i minus loss j, both being new runs."""
        if i == j:
            return Interval(mean=0.0, sd=0.0, low=0.0, high=0.0)
        a, b = np.exp(self.log_mean[[i, j]]).tolist()
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        sd = math.sqrt(max(float(variance), 0.0) * a * b)
        half = self._deviations(0.9) * sd
        return Interval(mean=a - b, sd=sd, low=a - b - half, high=a - b + half)

    def _deviations(self, probability: float) -> float:
        share = 0.5 + probability / 2
        return float(ndtri(share) if math.isinf(self.degrees) else stdtrit(self.degrees, share))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Query:
    """Steps of some schedules, of which losses are asked; asking for the same again costs what laws see of them once.

    Attributes:
        asked: the schedules, each with its steps.
        features: the histories up to these steps as the residual process sees them, shape (n, 5 + k).
        prepared: what was made of the schedules for the laws that were asked before, by :attr:`LawFamily.sees`.
    """

    asked: Asked
    features: FloatArray
    prepared: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: Asked) -> Query:
        """Of steps (updates done); nothing is prepared yet, that is done when a law is first asked."""
        features = run_points(asked).features if asked else np.empty((0, 5))
        return cls(asked=asked, features=features)

    @classmethod
    def ends(cls, schedules: Sequence[Schedule]) -> Query:
        """Of the last steps of schedules."""
        return cls.of([(schedule, np.array([float(schedule.steps)])) for schedule in schedules])


def points_of(queries: Sequence[Query], runs: Sequence[int | None] | None) -> RunPoints:
    """The asked places as the residual process sees them.

    Args:
        runs: for each schedule of all queries the fitted curve it belongs to; None for a run of its own that is new.
    """
    asked = [one for query in queries for one in query.asked]
    known: Sequence[int | None] = [None] * len(asked) if runs is None else runs
    numbers = [i - len(asked) if run is None else run for i, run in enumerate(known)]
    run = np.repeat(np.array(numbers, dtype=np.intp), [steps.size for _, steps in asked])
    return RunPoints(run=run, features=np.concatenate([query.features for query in queries]))
