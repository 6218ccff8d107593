"""Where the best peak LR lies, from final losses at a few peak LRs.

Bjorck et al. 2024 (arXiv:2409.19913, section 3): near its least the loss is a parabola in the log of the LR. Here the
parabola goes through the best of the peaks and its two neighbours, so that far and diverged runs do not bend it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from autosched.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPeak:
    """An estimate of the best peak LR.

    Attributes:
        log_lr: natural log of it.
        log_sd: standard deviation of that, from the distance of the peaks alone: uniform between the middles to the
            neighbours; at an edge, where nothing brackets the best peak, the distance to the next peak.
        bracketed: whether peaks on both sides of the best one were tried.
    """

    log_lr: float
    log_sd: float
    bracketed: bool

    @property
    def peak_lr(self) -> float:
        """The best peak LR."""
        return math.exp(self.log_lr)


def best_peak(peak_lrs: ArrayLike, losses: ArrayLike) -> BestPeak:
    """The least of the parabola through the best of some peak LRs and its neighbours; at an edge, the edge itself.

    Args:
        peak_lrs: > 0, at least two different ones, shape (n,); of equal ones the lowest loss counts.
        losses: final loss at each, shape (n,); NaN or inf where the run diverged.

    Raises:
        UsageError: fewer than two peaks with a finite loss among them, or vectors that do not fit.

    Example:
        >>> found = best_peak([1e-3, 2e-3, 4e-3], [3.1, 3.0, 3.1])
        >>> round(found.peak_lr, 6), round(found.log_sd, 3), found.bracketed
        (0.002, 0.2, True)
    """
    peaks, seen = np.asarray(peak_lrs, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if peaks.ndim != 1 or peaks.shape != seen.shape or not np.all(np.isfinite(peaks) & (peaks > 0)):
        raise UsageError("peak_lrs must be a vector of finite numbers > 0 and losses one of the same length.")
    x = np.log(np.unique(peaks))
    y = np.array([np.min(np.where(np.isfinite(seen), seen, np.inf)[peaks == peak]) for peak in np.unique(peaks)])
    if x.size < 2 or not np.any(np.isfinite(y)):
        raise UsageError("peak_lrs must hold at least two different peak LRs, one of them with a finite loss.")
    best = int(np.argmin(y))
    if best in (0, x.size - 1):
        neighbour = x[1] if best == 0 else x[-2]
        return BestPeak(log_lr=float(x[best]), log_sd=abs(float(x[best] - neighbour)), bracketed=False)
    left, right = x[best - 1] - x[best], x[best + 1] - x[best]
    sd = float(right - left) / 2 / math.sqrt(12)
    if not np.all(np.isfinite(y[best - 1 : best + 2])):
        return BestPeak(log_lr=float(x[best]), log_sd=sd, bracketed=True)
    return BestPeak(log_lr=float(x[best] + _vertex(left, right, y[best - 1 : best + 2])), log_sd=sd, bracketed=True)


def _vertex(left: float, right: float, y: np.ndarray) -> float:
    """Where the parabola through (left, y[0]), (0, y[1]), (right, y[2]) is least; 0 when the three are equal."""
    down, up = (y[0] - y[1]) / left, (y[2] - y[1]) / right
    curvature = up - down
    return 0.0 if curvature == 0 else float((up * left - down * right) / curvature / 2)
