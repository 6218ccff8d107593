"""How far runs and forecasts are out of a law's regime, and what follows for the fit and its uncertainty.

A law's misfit is |ln L_seen - ln L_law|. Within its regime it is about the same all along a run. Runs that are mostly
transient miss the law more the earlier it is, like ``misfit ~ (step / last step)**-slope``; a fit that weighs points by
the inverse of their variance then has weights ``(step / last step)**(2 * slope)``. Late weights let the start misfit
more, so slope and fit are found in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law, fitted_part
from autosched.laws.form import LawForm, Prepared
from autosched.laws.residual import RunPoints
from autosched.schedules.schedule import FloatArray

ROUNDS = 3
LEAST_MISFIT = 3e-4  # of one point; what is smaller is luck
TRANSIENT_POWER = 2.0  # above it, runs are mostly transient
REACH = 0.9  # of a step: a run that was seen this far tells about it
PER_PEAK = 3.0
"""E-folds in updates that one in ln(peak LR) is worth; 1, 2 and 3 were tried on short runs of a byte GPT."""
BETWEEN = 0.3
"""Of a lag that is left between two peak LRs that were seen as far."""
ENOUGH = 0.2  # change of the power that no longer matters


def late_power(form: LawForm[Prepared], curves: Sequence[Curve], options: FitOptions, most: float) -> float:
    """The power of the late weights, from `options.late_power` (a law in its regime) to `most` (a transient).

    Args:
        form: the law whose misfit is looked at.
        options: of the fit; its late power is the least.
    """
    power, start = options.late_power, None
    for _ in range(ROUNDS):
        fit = fit_law(form, curves, replace(options, late_power=power), start=start)
        if not isinstance(fit, LawFit):
            break
        found = float(np.clip(2 * misfit_slope(form, fit, curves, options.first_share), options.late_power, most))
        settled = abs(found - power) < ENOUGH
        power, start = found, fit.logs
        if settled:
            break
    return power


def transient_options(options: FitOptions, power: float) -> FitOptions:
    """The fit's options with this late power, and the prior as much weaker as a transient asks for."""
    noise = options.robustness.noise * options.late_power / power
    return replace(options, late_power=power, robustness=replace(options.robustness, noise=noise))


def misfit_slope(form: LawForm[Prepared], fit: LawFit, curves: Sequence[Curve], first_share: float) -> float:
    """How steeply the misfit grows towards the start of the runs: slope of its log against ln(last step / step)."""
    used = [curve for curve in (fitted_part(curve, first_share) for curve in curves) if curve.steps.size]
    losses = form.means(form.prepare([(curve.schedule, curve.steps) for curve in used]), fit.logs)
    misfit = np.abs(np.log(np.concatenate([curve.losses for curve in used]) / losses))
    before = np.log(np.concatenate([curve.steps[-1] / curve.steps for curve in used]))
    before = before - before.mean()
    spread = float(before @ before)
    return float(before @ np.log(misfit + LEAST_MISFIT)) / spread if spread > 0 else 0.0


def novelties(points: RunPoints, log_peak: float, steps: FloatArray, transient: float) -> FloatArray:
    """The three ways of being out of what was fitted, shape (3, q); what is out in one way errs alike.

    They are the distances in log peak LR above and below the peaks that were seen about this long (a step beyond all
    runs is compared with the longest): an unknown slope on either side. And, for transient runs, the square root of the
    distance in log step to the longest run: in its regime a law has shown how it goes on in time, in a transient not.

    Args:
        points: what was fitted.
        log_peak: of the run that is forecast.
        steps: updates done, >= 1, shape (q,).
        transient: 0 for runs in their law's regime to 1 for a transient.
    """
    peaks, log_steps = points.features[:, 0], points.features[:, 4]
    longest = float(log_steps.max())
    asked = np.log(np.maximum(steps, 1.0))
    told = log_steps[None, :] >= np.minimum(asked, longest)[:, None] + np.log(REACH)
    high = np.where(told, peaks, -np.inf).max(axis=1)
    low = np.where(told, peaks, np.inf).min(axis=1)
    later = np.sqrt(transient * np.maximum(asked - longest, 0.0))
    return np.stack([np.maximum(log_peak - high, 0.0), np.maximum(low - log_peak, 0.0), later])


def lags(peaks: FloatArray, seen: FloatArray, log_peaks: FloatArray, log_steps: FloatArray) -> FloatArray:
    """How many e-folds in updates forecasts lie beyond what was seen at about their peak LR, shape (n,).

    The least over runs of (e-folds beyond where the run got to) + `PER_PEAK` x (distance in ln(peak LR)): a run of
    another peak LR that was seen to the end tells as much as one of the same that was seen so many e-folds less far.
    Beyond the longest run of all it does not grow, and between two peak LRs that were seen as far there is less of it:
    what the long runs show is in the fit.

    Args:
        peaks, seen: ln(peak LR) and ln(updates) of what was fitted, each shape (p,), p >= 1.
        log_peaks, log_steps: of the forecasts, shape (n,).
    """
    asked = np.minimum(log_steps, seen.max())  # what lies beyond all runs is no lag behind any
    beyond = np.maximum(asked[:, None] - seen[None, :] + np.log(REACH), 0.0)
    distance: FloatArray = (beyond + PER_PEAK * np.abs(log_peaks[:, None] - peaks[None, :])).min(axis=1)
    as_far = beyond <= 0
    low, high = np.where(as_far, peaks, np.inf).min(axis=1), np.where(as_far, peaks, -np.inf).max(axis=1)
    between: FloatArray = np.where((low <= log_peaks) & (log_peaks <= high), BETWEEN * distance, distance)
    return between
