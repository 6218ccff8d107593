"""The loss at the horizon of a run that is under way, from its own start and from other runs.

A functional law is fitted to all runs with a prior; what it leaves unexplained follows a Gaussian process over runs,
which anchors the forecast at the run's own last losses; and the interval is widened or narrowed by what the same
forecast would have said, at the same share of the horizon, about runs whose end is known (hindsight).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosched.curves.curve import Curve
from autosched.laws.functional import FunctionalForm, Units
from autosched.laws.residual import RUNNING_TRIALS, ResidualKernel, ResidualProcess, run_points
from autosched.laws.robust import Minimum, Robustness, minimise
from autosched.schedules.schedule import FloatArray, Schedule

FIRST_SHARE = 0.1  # of the horizon: what lies before is start-up, which no law describes
NOISE = 1e-2
HINDSIGHT_PRIOR = 6.0
MOST_HINDSIGHTS = 10
INTERVALS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonForecast:
    """Loss at the end of a schedule, as a normal in log loss.

    Attributes:
        log_mean, log_sd: of the log loss after the last update.
        law_sd: root mean square of what the law itself left unexplained, in log loss.
        hindsight: root mean square of (error / sd) over runs whose end is known; 1 is calibrated.
        hindsights: how many such runs there were.
        degrees: degrees of freedom for the interval's tails.
    """

    log_mean: float
    log_sd: float
    law_sd: float
    hindsight: float
    hindsights: int
    degrees: float

    @property
    def mean(self) -> float:
        """Expected loss, nats."""
        return math.exp(self.log_mean)


def thinned(curve: Curve, *, most: int, first_share: float = FIRST_SHARE) -> Curve:
    """At most `most` points of a curve after its start-up, evenly spread, the last one always."""
    rows = np.flatnonzero(curve.steps >= max(first_share * curve.schedule.steps, 1.0))
    if rows.size > most:
        rows = rows[np.unique(np.round(np.linspace(0, rows.size - 1, most)).astype(np.intp))]
    return Curve(schedule=curve.schedule, steps=curve.steps[rows], losses=curve.losses[rows], name=curve.name)


def forecast_horizon(target: Curve, others: Sequence[Curve], *, sd_floor: float = 0.003) -> HorizonForecast:
    """Forecast the end of `target` (all curves thinned; each with at least one point).

    Args:
        target: the run so far; its schedule covers the whole horizon.
        others: other runs, whole or partial, of any horizon.
        sd_floor: smallest standard deviation, relative.
    """
    curves = [target, *others]
    form = FunctionalForm(units=Units.of([curve.schedule for curve in curves]), intervals=INTERVALS)
    minimum = _fit(form, curves)
    points = run_points([(curve.schedule, curve.steps) for curve in curves])
    kernel = ResidualKernel.guess(points, minimum.residuals, RUNNING_TRIALS)
    fitted = _Fitted(form, minimum, ResidualProcess.of(points, minimum.residuals, kernel))
    share = target.steps[-1] / target.schedule.steps
    whole = [i for i, curve in enumerate(others, 1) if curve.steps[-1] == curve.schedule.steps][:MOST_HINDSIGHTS]
    errors = [fitted.hindsight(curves[run], run, share, sd_floor) for run in whole]
    squares = float(np.sum(np.square(errors)))
    inflation = math.sqrt((HINDSIGHT_PRIOR + squares) / (HINDSIGHT_PRIOR + len(errors)))
    mean, sd = fitted.end(target.schedule, 0, np.ones(points.run.size, dtype=np.bool_))
    return HorizonForecast(
        log_mean=mean,
        log_sd=max(sd * inflation, sd_floor),
        law_sd=float(np.sqrt(np.mean(minimum.residuals**2))),
        hindsight=math.sqrt(squares / len(errors)) if errors else math.nan,
        hindsights=len(errors),
        degrees=4.0 + len(errors),
    )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A law and the process of its residuals; run 0 is the one that is forecast."""

    form: FunctionalForm
    minimum: Minimum
    process: ResidualProcess

    def end(self, schedule: Schedule, run: int, known: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean and standard deviation of the log loss at the end of a run, from the known points."""
        asked = [(schedule, np.array([float(schedule.steps)]))]
        law = self.form.means(self.form.prepare(asked), self.minimum.x)
        mean, sd = self.process.conditioned(known, run_points(asked, first_run=run))
        return float(np.log(law[0]) + mean[0]), float(sd[0])

    def hindsight(self, curve: Curve, run: int, share: float, sd_floor: float) -> float:
        """Error over standard deviation had a whole run been forecast at this share of its horizon."""
        points = self.process.points
        early = np.exp(points.features[:, -1]) <= share * curve.schedule.steps + 0.5
        mean, sd = self.end(curve.schedule, run, (points.run != 0) & ((points.run != run) | early))
        return (math.log(curve.losses[-1]) - mean) / max(sd, sd_floor)


def _fit(form: FunctionalForm, curves: Sequence[Curve]) -> Minimum:
    seen = np.log(np.concatenate([curve.losses for curve in curves]))
    prepared, belief = form.prepare([(curve.schedule, curve.steps) for curve in curves]), form.belief(curves)

    def residuals(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        losses, jacobian = form.losses(prepared, x)
        return seen - np.log(losses), -jacobian / losses[:, None]

    return minimise(
        residuals,
        belief.mean,
        prior=belief,
        robustness=Robustness(delta=NOISE, noise=NOISE),
        weights=np.ones(seen.size),
        iterations=25,
        tolerance=1e-4,
    )
