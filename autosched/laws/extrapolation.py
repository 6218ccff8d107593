"""How far a forecast lies outside what was fitted: where errors on left-out curves say nothing of it.

Left-out curves are neighbours of fitted ones. A forecast of a peak LR that no long run had, or of an end that no run of
about its peak LR came near, is uncertain by more than they show: by an error per unit of distance that is measured by
leaving peaks and long runs out altogether (:mod:`autosched.laws.leave_out`), times the distances below.
"""

from __future__ import annotations

import numpy as np

from autosched.laws.priors import BETWEEN_PEAKS, EFOLDS_PER_PEAK, SEEN_SHARE
from autosched.laws.residual import RunPoints
from autosched.schedules.schedule import FloatArray


def peak_distances(points: RunPoints, log_peak: FloatArray | float, steps: FloatArray, transient: float) -> FloatArray:
    """The three ways of being out of what was fitted, shape (3, q); what is out in one way errs alike.

    They are the distances in log peak LR above and below the peaks that were seen about this long (a step beyond all
    runs is compared with the longest): an unknown slope on either side. And, for transient runs, the square root of the
    distance in log step to the longest run: in its regime a law has shown how it goes on in time, in a transient not.

    Args:
        points: what was fitted.
        log_peak: of the run that is forecast, or of each step's, shape (q,).
        steps: updates done, >= 1, shape (q,).
        transient: 0 for runs in their law's regime to 1 for a transient.
    """
    peaks, log_steps = points.features[:, 0], points.features[:, 4]
    longest = float(log_steps.max())
    asked = np.log(np.maximum(steps, 1.0))
    told = log_steps[None, :] >= np.minimum(asked, longest)[:, None] + np.log(SEEN_SHARE)
    high = np.where(told, peaks, -np.inf).max(axis=1)
    low = np.where(told, peaks, np.inf).min(axis=1)
    later = np.sqrt(transient * np.maximum(asked - longest, 0.0))
    return np.stack([np.maximum(log_peak - high, 0.0), np.maximum(low - log_peak, 0.0), later])


def efolds_past_all(seen: FloatArray, log_steps: FloatArray) -> FloatArray:
    """E-folds in updates by which forecasts lie beyond the longest run of all, shape (n,).

    Args:
        seen: ln(updates) of what was fitted, shape (p,), p >= 1.
        log_steps: of the forecasts, shape (n,).
    """
    return np.asarray(np.maximum(log_steps - seen.max(), 0.0))


def end_distances(peaks: FloatArray, seen: FloatArray, log_peaks: FloatArray, log_steps: FloatArray) -> FloatArray:
    """How many e-folds in updates forecasts lie beyond what was seen at about their peak LR, shape (n,).

    The least over runs of (e-folds beyond where the run got to) + `EFOLDS_PER_PEAK` x (distance in ln(peak LR)): a run
    of another peak LR that was seen to the end tells as much as one of the same that was seen so many e-folds less far.
    Beyond the longest run of all it does not grow, and between two peak LRs that were seen as far there is less of it:
    what the long runs show is in the fit.

    Args:
        peaks, seen: ln(peak LR) and ln(updates) of what was fitted, each shape (p,), p >= 1.
        log_peaks, log_steps: of the forecasts, shape (n,).
    """
    asked = np.minimum(log_steps, seen.max())  # what lies beyond all runs is not behind any
    beyond = np.maximum(asked[:, None] - seen[None, :] + np.log(SEEN_SHARE), 0.0)
    distance: FloatArray = (beyond + EFOLDS_PER_PEAK * np.abs(log_peaks[:, None] - peaks[None, :])).min(axis=1)
    as_far = beyond <= 0
    low, high = np.where(as_far, peaks, np.inf).min(axis=1), np.where(as_far, peaks, -np.inf).max(axis=1)
    between: FloatArray = np.where((low <= log_peaks) & (log_peaks <= high), BETWEEN_PEAKS * distance, distance)
    return between
