"""Losses of several runs at later steps of their own schedules, from all of them at once, and how sure they are.

One functional law (powers tied, :mod:`autosched.laws.tied_functional`) is fitted to all runs with a prior, and what it
leaves unexplained follows the Gaussian process over runs of :mod:`autosched.laws.residual`. Runs that differ in LR tell
about each other: in intrinsic time a high LR has been where a low one will be, so a short probe at a high LR shows what
a low LR does ten times later, less the noise the higher one makes.

The errors of such forecasts hang together: all may be 5% too low and their order right. So the covariance is returned,
and who compares runs takes the variance of differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure
from autosched.laws.functional import FunctionalForm, Units
from autosched.laws.residual import RUNNING_TRIALS, ResidualKernel, ResidualProcess, covariance, run_points
from autosched.laws.robust import Minimum, Robustness, minimise
from autosched.laws.tied_functional import TiedFunctionalForm
from autosched.schedules.schedule import FloatArray

FEWEST_POINTS = 8
WORST_MISFIT = 0.15
"""Relative, root mean square: a law that misses the runs by more than this is not asked."""
_NOISE = 1e-2
_INTERVALS = 24
_ITERATIONS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForecasts:
    """Log losses at what was asked, jointly normal.

    Attributes:
        log_mean: shape (q,).
        covariance: without the noise of a single evaluation, shape (q, q).
        misfit: root mean square of the law's log residuals.
    """

    log_mean: FloatArray
    covariance: FloatArray
    misfit: float


def forecast_runs(curves: Sequence[Curve], asked: Sequence[tuple[int, float]]) -> RunForecasts | FitFailure:
    """Forecast some runs.

    Args:
        curves: what was seen of each run, positive losses, steps >= 1; their schedules reach to what is asked.
        asked: (number of the run, updates done).

    Returns:
        The forecasts, or why there are none: too few points, or a law that does not describe the runs.
    """
    points = sum(curve.steps.size for curve in curves)
    if points < FEWEST_POINTS:
        return FitFailure(reason=f"{points} points are too few to fit a law: log more often.")
    if any(np.any(curve.losses <= 0) for curve in curves):
        return FitFailure(reason="a loss law needs positive losses.")
    form = TiedFunctionalForm(
        whole=FunctionalForm(units=Units.of([curve.schedule for curve in curves]), intervals=_INTERVALS)
    )
    minimum = _fit(form, curves)
    misfit = float(np.sqrt(np.mean(minimum.residuals**2)))
    if not misfit <= WORST_MISFIT:
        return FitFailure(reason=f"the law misses the runs by {misfit:.1%}, more than {WORST_MISFIT:.0%}.")
    seen = run_points([(curve.schedule, curve.steps) for curve in curves])
    kernel = ResidualKernel.guess(seen, minimum.residuals, RUNNING_TRIALS)
    process = ResidualProcess.of(seen, minimum.residuals, kernel)
    at = [(curves[run].schedule, np.array([float(step)])) for run, step in asked]
    losses, jacobian = form.losses(form.prepare(at), minimum.x)
    points_at = run_points(at)
    points_at.run[:] = [run for run, _ in asked]
    whitened = solve_triangular(process.factor, covariance(kernel, seen, points_at), lower=True)
    slopes = jacobian / losses[:, None]
    return RunForecasts(
        log_mean=np.log(losses) + process.mean(points_at),
        covariance=covariance(kernel, points_at, points_at)
        - whitened.T @ whitened
        + slopes @ minimum.covariance @ slopes.T,
        misfit=misfit,
    )


def _fit(form: TiedFunctionalForm, curves: Sequence[Curve]) -> Minimum:
    """The best fit over the form's starts."""
    seen = np.log(np.concatenate([curve.losses for curve in curves]))
    prepared, belief = form.prepare([(curve.schedule, curve.steps) for curve in curves]), form.belief(curves)

    def residuals(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        losses, jacobian = form.losses(prepared, x)
        return seen - np.log(losses), -jacobian / losses[:, None]

    found = [
        minimise(
            residuals,
            start,
            prior=belief,
            robustness=Robustness(delta=_NOISE, noise=_NOISE),
            weights=np.ones(seen.size),
            iterations=_ITERATIONS,
            tolerance=1e-4,
        )
        for start in form.starts(belief)
    ]
    return min(found, key=lambda minimum: minimum.objective)
