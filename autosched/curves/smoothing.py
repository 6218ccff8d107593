"""Outlier-robust smoothing of loss curves; pure functions, no state.

Both work on log loss against log step, in which a training curve is locally nearly a line, by the Theil-Sen line
(median of the slopes between pairs of points) of each point's neighbours: 29% of them may be wild without any effect.
"""

from __future__ import annotations

import numpy as np

from autosched.curves.curve import Curve
from autosched.schedules.schedule import FloatArray

_NORMAL = 1.4826  # standard deviation of a normal over its median absolute deviation


def smoothed(curve: Curve, *, window: int = 9) -> Curve:
    """The curve with each loss replaced by its neighbours' Theil-Sen line, itself included.

    Args:
        window: points per line, odd and >= 3; fewer at the ends of a short curve.

    Raises:
        ValueError: a window that is even or too small.
    """
    losses = np.exp(_local_lines(curve, window))
    return Curve(schedule=curve.schedule, steps=curve.steps, losses=losses, name=curve.name)


def without_outliers(curve: Curve, *, window: int = 9, cut: float = 5.0) -> Curve:
    """The curve without points further than `cut` robust standard deviations from their neighbours' line.

    Raises:
        ValueError: a window that is even or too small, or a cut that is not > 0.
    """
    if not cut > 0:
        raise ValueError(f"cut must be > 0, but got {cut}.")
    distance = np.abs(np.log(curve.losses) - _local_lines(curve, window))
    spread = _NORMAL * float(np.median(distance)) if distance.size else 0.0
    kept = distance <= max(cut * spread, 1e-12)
    return Curve(schedule=curve.schedule, steps=curve.steps[kept], losses=curve.losses[kept], name=curve.name)


def _local_lines(curve: Curve, window: int) -> FloatArray:
    """Each point's log loss on the Theil-Sen line through its neighbours, shape (n,)."""
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window must be odd and >= 3, but got {window}.")
    count = curve.steps.size
    y = np.log(curve.losses)
    if count < 3:
        return y
    width = min(window, count)
    first = np.clip(np.arange(count) - width // 2, 0, count - width)
    rows = first[:, None] + np.arange(width)
    x = np.log(np.maximum(curve.steps, 0.5))
    near_x, near_y = x[rows] - x[:, None], y[rows]
    a, b = np.triu_indices(width, 1)
    slopes = (near_y[:, b] - near_y[:, a]) / (near_x[:, b] - near_x[:, a])
    lines: FloatArray = np.median(near_y - np.median(slopes, axis=1)[:, None] * near_x, axis=1)
    return lines
