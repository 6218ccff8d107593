"""Logs of every step thinned to what a law can use: means over stretches in which the loss hardly bends.

    c(t) = ln(1 + t) / ln(1 + T) + S(t) / S(T) + V(t) / V(T),   T the last logged step

S(t) is the sum of the LRs up to t (intrinsic time), V(t) the sum of their changes; a sum that is 0 is left out. A law's
loss bends early in a run, with intrinsic time, and where the LR changes, so stretches of equal length in c are short
there. Each becomes one point: the mean of its losses, at the step where intrinsic time is the mean of its steps' (the
mean step where the LR is 0), with the standard deviation that so many losses leave,

    sd_k = sd / sqrt(n_k),   sd = median over stretches of |L(i + 1) - L(i)|'s robust sd / sqrt(2) / L

Losses beyond six robust standard deviations of their stretch's median (a spike, a damaged row) are not counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autosched.curves.curve import Curve
from autosched.schedules.schedule import FloatArray

MOST_POINTS = 512
"""More stretches than the densest published curves, of 170 points per 24,000 updates, have points in a like run."""
NORMAL = 1.4826
"""Standard deviation of a normal over its median absolute deviation."""
SPIKE = 6.0
"""Robust standard deviations; of 10**8 normal losses, not one lies beyond."""
MOST_JUMPS = 1_000
FEWEST_LOSSES = 8
"""Of a stretch that tells how losses scatter."""


def averaged(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """At most `most` points that say what a longer log says; a log of up to twice as many is returned as it is."""
    if curve.steps.size <= 2 * most:
        return curve
    time = np.concatenate(([0.0], np.cumsum(curve.schedule.lrs)))
    at = curve.steps.astype(np.intp)
    starts = _stretches(curve, time, at, most)
    ends = np.append(starts[1:], at.size)
    points = [_point(curve, time, at, slice(*bounds)) for bounds in zip(starts, ends, strict=True)]
    steps, losses, counts, scatters = (np.array(column) for column in zip(*points, strict=True))
    told = scatters[(counts >= FEWEST_LOSSES) & np.isfinite(scatters)]
    sds = float(np.median(told)) / np.sqrt(counts) if told.size else None
    return Curve(schedule=curve.schedule, steps=steps, losses=losses, name=curve.name, sds=sds, merged=curve.merged)


def _stretches(curve: Curve, time: FloatArray, at: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """The first row of each stretch."""
    change = np.concatenate(([0.0, 0.0], np.cumsum(np.abs(np.diff(curve.schedule.lrs)))))
    place = np.log1p(curve.steps) / np.log1p(curve.steps[-1])
    for total in (time, change):
        if total[at[-1]] > 0:
            place = place + total[at] / total[at[-1]]
    stretch = np.minimum((place / place[-1] * most).astype(np.intp), most - 1)
    return np.append(0, np.flatnonzero(np.diff(stretch)) + 1)


def _point(curve: Curve, time: FloatArray, at: NDArray[np.intp], rows: slice) -> tuple[float, float, float, float]:
    """Step, mean loss, number of losses, and relative scatter of one loss (NaN for a single one)."""
    steps, losses = at[rows], curve.losses[rows]
    middle = float(np.median(losses))
    spread = NORMAL * float(np.median(np.abs(losses - middle)))
    kept = np.abs(losses - middle) <= SPIKE * spread
    mean = float(losses[kept].mean())
    jumps = np.abs(np.diff(losses[:MOST_JUMPS]))
    scatter = NORMAL * float(np.median(jumps)) / np.sqrt(2) / mean if jumps.size else np.nan
    passed = time[steps[kept]]
    step = np.interp(passed.mean(), passed, steps[kept]) if passed[-1] > passed[0] else steps[kept].mean()
    return round(float(step)), mean, float(kept.sum()), scatter
