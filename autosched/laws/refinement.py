"""A schedule from gradient norms: the refined schedule of Defazio et al. 2023 (arXiv:2310.07831).

The last-iterate bound of :mod:`autosched.laws.convex_bound` weighs each update by its gradient norm, so a pilot run's
norms say where the LR should be high. With G[t] the smoothed norm at update t = 0..T-1::

    w[t]   = 1 / G[t]**2                          SGD, l2 norms
    w[t]   = 1 / G[t]                             Adam, l1 norms
    lr[t] ~ w[t] * (w[t+1] + ... + w[T])          scaled to a largest value of 1

    name   meaning                                                          shape   unit
    G      median of the norms over a tenth of the run around an update     (T,)    norm
    w      weight of an update                                              (T+1,)  -

Norms that never change give ``lr[t] = 1 - t / T``: linear decay. Norms that start high give a warmup, norms that grow
towards the end an anneal that is steeper there. Tune the peak LR again after refining: another shape has another best
peak.

Filter width, padding and the powers are those of the authors' code (facebookresearch/adaptive_scheduling, `visual.py`
and `find_schedule.py`): a median over ``2 * (int(0.1 * T) // 2) + 1`` norms, the end reflected, the start repeated.
Its schedule ends at w[T-1], so the last LR is 0 and that update is wasted. Here, as everywhere in this package, the
last update still moves: the iterate it leads to has the weight of the last norm, w[T] = w[T-1].
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import median_filter

from autosched.errors import ScheduleError
from autosched.schedules.schedule import FloatArray

FILTER_SHARE = 0.1
"""Width of the median filter, as a share of the run."""

WEIGHT_POWERS: Mapping[str, float] = MappingProxyType({"adam": 1.0, "sgd": 2.0})
"""By optimizer, the power of the gradient norm that an update's weight is divided by."""


def refined_shape(norms: ArrayLike, *, optimizer: str = "adam", filter_share: float = FILTER_SHARE) -> FloatArray:
    """The refined schedule over its peak LR; O(T).

    Args:
        norms: gradient norm of every update, finite and > 0, shape (T,); l1 norms for Adam, l2 norms for SGD. Only
            their ratios matter.
        optimizer: ``adam`` or ``sgd``.
        filter_share: width of the median filter over T, in [0, 1]; 0 leaves the norms as they are.

    Returns:
        LR over peak LR of every update, > 0, its largest value 1, shape (T,).

    Raises:
        ScheduleError: norms or options that are not allowed; the text names the first update at fault.

    Example:
        >>> refined_shape([0.3] * 5).tolist()
        [1.0, 0.8, 0.6, 0.4, 0.2]
        >>> refined_shape([1, 1, 2, 2], optimizer="sgd").tolist()
        [1.0, 0.42857142857142855, 0.07142857142857142, 0.03571428571428571]
    """
    if optimizer not in WEIGHT_POWERS:
        raise ScheduleError(f"optimizer must be one of {', '.join(WEIGHT_POWERS)}, but got {optimizer!r}.")
    smooth = smoothed_norms(norms, filter_share=filter_share)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        weights = (float(np.median(smooth)) / smooth) ** WEIGHT_POWERS[optimizer]  # equal norms give exact ones
        later = np.cumsum(np.append(weights[1:], weights[-1])[::-1])[::-1]
        shape = weights * later
    if not (np.all(np.isfinite(shape)) and np.all(shape > 0)):
        raise ScheduleError("grad_norms must not differ by more than float64 can hold when they are weighed.")
    return np.asarray(shape / shape.max(), dtype=np.float64)


def smoothed_norms(norms: ArrayLike, *, filter_share: float = FILTER_SHARE) -> FloatArray:
    """The running median that :func:`refined_shape` weighs updates by, shape (T,).

    Raises:
        ScheduleError: as there.
    """
    given = np.asarray(norms, dtype=np.float64)
    if given.ndim != 1 or given.size == 0:
        raise ScheduleError(f"grad_norms must be a non-empty vector, but got shape {given.shape}.")
    bad = np.flatnonzero(~(np.isfinite(given) & (given > 0)))
    if bad.size:
        update = int(bad[0])
        raise ScheduleError(f"grad_norms must be finite and > 0, but update {update} has {float(given[update])!r}.")
    if not 0 <= filter_share <= 1:
        raise ScheduleError(f"filter_share must be in [0, 1], but got {filter_share}.")
    half = int(filter_share * given.size) // 2
    padded = np.pad(given, (0, half), mode="reflect")
    return np.asarray(median_filter(padded, size=2 * half + 1, mode="nearest")[: given.size], dtype=np.float64)
