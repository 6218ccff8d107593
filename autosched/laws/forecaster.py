"""The forecaster: curves in, a joint normal over the asked losses out.

    ln L(t) = ln( sum_k weight_k * L_k(t) ) + r(run, t) - what a cooldown gives beyond that, while none was seen

    covariance = calibration**2 * (
        inflation**2 * (process + weighted disagreement of the laws + their parameters')
        + what a cooldown may give, while none was seen
        + (error on left-out peak LRs * peak distance)**2 + (error of later ends per e-fold * end distance)**2)

L_k are fitted laws, r the Gaussian process of what they leave unexplained (:mod:`autosched.laws.residual`), distances
say how far a forecast lies outside what was fitted (:mod:`autosched.laws.extrapolation`); what a cooldown gives and the
calibration are learned from other models (:mod:`autosched.laws.cooldown_prior`). Everything that forecasts the
loss of a schedule in this package is this, in one of two presets (:mod:`autosched.laws.forecaster_fit`):

    full    functional, multi_power and annealing law, weighted by leave-one-curve-out errors; the process is learned,
            and the inflation agrees with the errors at the ends of left-out curves. 0.3 s, 20 ms when warm.
    fast    the functional law, from its prior; a process of fixed lengths, and an inflation that agrees with what would
            have been said of complete runs at the same share of the horizon. 10 ms.

``full`` searches, is saved and reported; ``fast`` judges running trials: few, short, noisy curves, again and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosched.laws.cooldown_prior import CooldownPrior
from autosched.laws.extrapolation import efolds_past_all, end_distances, peak_distances
from autosched.laws.fit import LawFit, OutlyingRow, common_outliers
from autosched.laws.forecast import Forecast, Query, points_of
from autosched.laws.law import DENSE_STEPS, LawFamily, LossLaw, interpolated, telling_steps
from autosched.laws.priors import LEAST_WEIGHT, TRANSIENT_POWER, UNLIKE_RUNS, UNTESTED_LATER
from autosched.laws.residual import ResidualProcess, run_points
from autosched.laws.stack import Stack, one_peak, stacked, stacked_mean
from autosched.schedules.schedule import FloatArray, Schedule

AUTO = "auto"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Forecaster:
    """Fitted laws with a residual process; satisfies :class:`autosched.laws.law.LossLaw`.

    Attributes:
        name: that of its preset.
        families, fits, weights: the laws, in one order; weights sum to 1.
        loo: leave-one-curve-out error of each law, root mean square of log residuals; NaN when untested.
        process: over the fitted curves, run i being curve i; None for a law alone.
        inflation: factor of the standard deviations of what was fitted.
        tested: whether it was measured at ends of left-out curves, or there were too few curves for that.
        names: of the fitted curves.
        late_power: of the points' weights in the fit.
        peak_error: as `loo`, of the stack over curves of peak LRs that were left out altogether; NaN when untested.
        later_rate: how wrong fits are about the ends of long runs that they do not have, per e-fold of distance; NaN
            when untested, as where all runs have one horizon: then later ends err by `UNTESTED_LATER` peak errors.
        degrees: of freedom of the forecasts' tails.
        least_sd: least standard deviation of a forecast, relative.
        cooldown: what cooldowns give beyond the laws' word while none was seen; None to take the laws at it.
        calibration: factor of all standard deviations.
        merged: the least z over the last 5% of the updates that a merged loss speaks of; infinite without any.
    """

    name: str = AUTO
    families: tuple[LawFamily[Any], ...]
    fits: tuple[LawFit, ...]
    weights: FloatArray
    loo: FloatArray
    process: ResidualProcess | None
    inflation: float
    names: tuple[str, ...]
    late_power: float = 1.0
    peak_error: float = math.nan
    later_rate: float = math.nan
    degrees: float = math.inf
    least_sd: float = 0.0
    cooldown: CooldownPrior | None = None
    tested: bool = True
    calibration: float = 1.0
    merged: float = math.inf

    @property
    def stack(self) -> Stack:
        """The laws without the process."""
        peaks = [] if self.process is None else np.exp(self.process.points.features[:, 0]).tolist()
        peak_lr = one_peak(peaks) if peaks else None
        return Stack(families=self.families, fits=self.fits, weights=self.weights, peak_lr=peak_lr)

    @property
    def peaks(self) -> tuple[float, float] | None:
        """Lowest and highest peak LR of the runs that the process knows; None for a law alone."""
        if self.process is None:
            return None
        logs = self.process.points.features[:, 0]
        return math.exp(logs.min()), math.exp(logs.max())

    @property
    def unlike_runs(self) -> float | None:
        """Standard deviation between runs of what the laws leave unexplained, where they do not look like one model.

        Of the mean residual of each run's later half, relative loss; None where runs differ by no more than
        `UNLIKE_RUNS`, or three times what the scatter of single evaluations explains.
        """
        if self.process is None:
            return None
        run, residuals = self.process.points.run, self.process.residuals
        halves = [late[late.size // 2 :] for late in (residuals[run == number] for number in np.unique(run))]
        between = float(np.std([half.mean() for half in halves]))
        explained = self.process.kernel.scatter / math.sqrt(float(np.median([half.size for half in halves])))
        return between if between > max(UNLIKE_RUNS, 3 * explained) else None

    @property
    def outlying(self) -> tuple[OutlyingRow, ...]:
        """Rows of the fitted curves that lie far from every law, see :class:`autosched.laws.fit.OutlyingRow`."""
        return common_outliers(self.fits)

    @property
    def error(self) -> float:
        """Leave-one-curve-out error of the laws that count, weighted; NaN when there is too little for that."""
        return weighted_error(self.weights, self.loo)

    @property
    def scatter(self) -> float:
        """Relative standard deviation of one evaluation; of a law alone all that its parameters leave unexplained."""
        if self.process is None:
            return float(np.nanmax([self.fits[0].residual_sd, self.loo[0]]))
        return self.process.kernel.scatter

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(steps,)``, nats; interpolated between a few hundred exact steps."""
        steps = telling_steps(schedule)
        return interpolated(schedule, steps, self.predict_at(schedule, steps))

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats, for a run that was not fitted."""
        steps = np.asarray(steps, dtype=np.float64)
        mean = stacked_mean(self.stack, [(schedule, steps)])
        if self.process is None:
            return mean
        at = run_points([(schedule, steps)], first_run=-1)
        return mean * np.exp(self.process.mean(at) - self._cooled(at.features)[0])

    def forecast(
        self,
        query: Query | Sequence[Query],
        runs: Sequence[int | None] | None = None,
        *,
        observation_noise: bool = True,
        known: NDArray[np.bool_] | None = None,
    ) -> Forecast:
        """The losses of all queries together, in order.

        Args:
            runs: for each schedule the fitted curve it belongs to, whose own offset then counts; None for a new run.
            observation_noise: whether what nobody can know before, a new run's own offset and the scatter of the last
                evaluation, counts as uncertainty. A search that counts it takes ever new runs for promising.
            known: which points the process may know, shape (p,); None for all.
        """
        queries = [query] if isinstance(query, Query) else query
        mean, shared = stacked(self.stack, [(one.asked, one.prepared) for one in queries])
        logs = np.log(np.where(mean > 0, mean, np.nan))
        if self.process is None:
            return Forecast(log_mean=logs, covariance=shared + self.scatter**2 * np.eye(logs.size))
        at = points_of(queries, runs)
        residual, unexplained = self.process.posterior(at, known)
        if not observation_noise:
            kernel = self.process.kernel
            unexplained = unexplained - np.diag(kernel.scatter**2 + np.where(at.run < 0, kernel.own**2, 0.0))
        gained, doubt = self._cooled(at.features)
        covariance = self.inflation**2 * (shared + unexplained) + self._extrapolated(queries) + np.outer(doubt, doubt)
        covariance = self.calibration**2 * covariance
        floor = np.diag(np.maximum(self.least_sd**2 - np.diag(covariance), 0.0))
        return Forecast(log_mean=logs + residual - gained, covariance=covariance + floor, degrees=self.degrees)

    def along(self, schedule: Schedule, steps: FloatArray, *, run: int | None = None) -> Forecast:
        """Losses after many steps of one schedule, each by itself: variances (n,) in place of a covariance.

        Args:
            run: number of the fitted curve that this schedule belongs to; None for a run that was not fitted.
        """
        steps = np.asarray(steps, dtype=np.float64)
        parts = [steps[first : first + DENSE_STEPS] for first in range(0, steps.size, DENSE_STEPS)]
        found = [self.forecast(Query.of([(schedule, part)]), [run]) for part in parts]
        return Forecast(
            log_mean=np.concatenate([part.log_mean for part in found]),
            covariance=np.concatenate([np.diag(part.covariance) for part in found]),
            degrees=self.degrees,
        )

    def _cooled(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What cooldowns that nobody saw give beyond the laws' word, and its standard deviation, each (n,)."""
        assert self.process is not None  # noqa: S101 - a law alone knows no runs
        if self.cooldown is None:
            return np.zeros(len(features)), np.zeros(len(features))
        unseen = self.cooldown.unseen(self.process.points, features, merged=self.merged)
        return self.cooldown.mean * unseen, self.cooldown.sd * unseen

    def _extrapolated(self, queries: Sequence[Query]) -> FloatArray:
        """Covariance (n, n) for being out of what was fitted; see :mod:`autosched.laws.extrapolation`.

        What is out in one way errs alike for all: it widens losses, and differences less.
        """
        assert self.process is not None  # noqa: S101 - a law alone knows no distances
        peak_error = 0.0 if math.isnan(self.peak_error) else self.peak_error
        asked = [one for query in queries for one in query.asked]
        points = self.process.points
        transient = min(max(self.late_power / TRANSIENT_POWER - 1.0, 0.0), 1.0)
        peaks = np.repeat([schedule.log_peak_lr for schedule, _ in asked], [steps.size for _, steps in asked])
        steps = np.concatenate([steps for _, steps in asked])
        ways = peak_distances(points, peaks, steps, transient)
        log_steps = np.log(np.maximum(steps, 1.0))
        if math.isnan(self.later_rate):  # no fit could be tested on a later end: what is unknown is not 0
            later = UNTESTED_LATER * peak_error * efolds_past_all(points.features[:, 4], log_steps)
        else:
            later = self.later_rate * end_distances(points.features[:, 0], points.features[:, 4], peaks, log_steps)
        alike = np.exp(-np.abs(peaks[:, None] - peaks[None, :]))
        covariance: FloatArray = peak_error**2 * ways.T @ ways + np.outer(later, later) * alike
        return covariance


def weighted_error(weights: FloatArray, errors: FloatArray) -> float:
    """Root mean square error of the laws that count and could be tested, weighted; NaN when there is none."""
    heard = (weights > LEAST_WEIGHT) & np.isfinite(errors)
    return (
        math.sqrt(float(weights[heard] @ errors[heard] ** 2) / float(weights[heard].sum())) if heard.any() else math.nan
    )


def forecast_ends(law: LossLaw, schedules: Sequence[Schedule]) -> Forecast:
    """The final losses of schedules none of which was run yet; sd 0 for a law that was not fitted."""
    if isinstance(law, Forecaster):
        return law.forecast(Query.ends(schedules))
    losses = np.array([float(law.predict_at(s, np.array([float(s.steps)]))[0]) for s in schedules])
    return _unsure(losses, np.zeros((losses.size, losses.size)))


def forecast_along(law: LossLaw, schedule: Schedule, steps: FloatArray, *, run: int | None = None) -> Forecast:
    """As :meth:`Forecaster.along`; sd 0 for a law that was not fitted."""
    if isinstance(law, Forecaster):
        return law.along(schedule, steps, run=run)
    losses = law.predict_at(schedule, np.asarray(steps, dtype=np.float64))
    return _unsure(losses, np.zeros(losses.size))


def _unsure(losses: FloatArray, covariance: FloatArray) -> Forecast:
    return Forecast(log_mean=np.log(np.where(losses > 0, losses, np.nan)), covariance=covariance)
