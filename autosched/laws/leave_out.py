"""Leave-one-curve-out: what each law would have said about curves it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.extrapolation import end_distances
from autosched.laws.fit import FitOptions, LawFit, fit_law, spread
from autosched.laws.law import LawFamily
from autosched.laws.priors import LEAST_END_DISTANCE, LONG_SHARE, POINTS_PER_CURVE, SEEN_SHARE
from autosched.schedules.schedule import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Fits without some curves, and their errors on these.

    Attributes:
        folds: numbers of the curves left out together.
        fits: per fold, per law, the fit without them; None where it failed.
        residuals: per law, log residuals on all left-out curves; infinite where its fit failed or predicts a loss <= 0.
        at_new_peaks: per law, root mean square residual of each left-out curve whose peak LR no curve of its fit had.
        later_rates: per law, the error at the ends of long curves that a fit does not have, per e-fold of distance
            (:func:`autosched.laws.extrapolation.end_distances`), shape (laws,); NaN when untested.
    """

    folds: tuple[tuple[int, ...], ...]
    fits: tuple[tuple[LawFit | None, ...], ...]
    residuals: tuple[FloatArray, ...]
    at_new_peaks: tuple[FloatArray, ...]
    later_rates: FloatArray

    def errors(self) -> FloatArray:
        """Root mean square residual of each law; NaN when there were too few curves."""
        return _sizes(self.residuals)

    def peak_errors(self) -> FloatArray:
        """The same over peak LRs that a fit had not seen; of all left-out curves when none was of such a peak.

        Two curves of one peak LR tell each other's ends well, and nothing of what the law knows of other peaks.
        """
        told = _sizes(self.at_new_peaks)
        return np.where(np.isnan(told), self.errors(), told)


def leave_out(
    kept: Sequence[tuple[LawFamily[Any], LawFit]], curves: Sequence[Curve], options: FitOptions, most_folds: int
) -> LeftOut:
    """Refit each law without each curve (group of curves where there are more than `most_folds`; with 0 none), warm."""
    if len(curves) < 3 or not most_folds:  # one left to fit tells nothing of the others
        none = tuple(np.zeros(0) for _ in kept)
        untested = np.full(len(kept), np.nan)
        return LeftOut(folds=(), fits=(), residuals=none, at_new_peaks=none, later_rates=untested)
    count = min(len(curves), most_folds)
    folds = tuple(tuple(range(first, len(curves), count)) for first in range(count))
    fits: list[tuple[LawFit | None, ...]] = []
    residuals: list[list[FloatArray]] = [[] for _ in kept]
    at_new_peaks: list[list[float]] = [[] for _ in kept]
    long = LONG_SHARE * max(_reach(curve) for curve in curves)
    ends: list[list[float]] = [[] for _ in kept]
    distances: list[float] = []
    for fold in folds:
        rest = [curve for i, curve in enumerate(curves) if i not in fold]
        peaks = {curve.schedule.peak_lr for curve in rest}
        held = [within_reach(spread(curves[i], POINTS_PER_CURVE, options.first_share), rest) for i in fold]
        telling = [_tells(curve, rest, long) for curve in held]
        distances += [distance for distance in telling if distance > 0]
        row: list[LawFit | None] = []
        for law, (family, whole) in enumerate(kept):
            fit = fit_law(family, rest, options, start=whole.logs)
            row.append(fit if isinstance(fit, LawFit) else None)
            for curve, distance in zip(held, telling, strict=True):
                found = _residuals(family, row[-1], curve)
                residuals[law].append(found)
                if found.size and curve.schedule.peak_lr not in peaks:
                    at_new_peaks[law].append(float(np.sqrt(np.mean(found**2))))
                if distance > 0:
                    ends[law].append(float(found[-1]))
        fits.append(tuple(row))
    return LeftOut(
        folds=folds,
        fits=tuple(fits),
        residuals=tuple(np.concatenate(r) for r in residuals),
        at_new_peaks=tuple(np.array(r) for r in at_new_peaks),
        later_rates=_rates(ends, distances) if distances else _told_by_shorter(kept, curves, options),
    )


def _told_by_shorter(
    kept: Sequence[tuple[LawFamily[Any], LawFit]], curves: Sequence[Curve], options: FitOptions
) -> FloatArray:
    """The rates where only one peak LR was seen far: what fits to the short curves say of the ends of the longest.

    Short curves are those of at most half its updates, so that little is divided by no tiny distance; NaN with too few.
    """
    longest = max(_reach(curve) for curve in curves)
    shorter = [curve for curve in curves if 0 < _reach(curve) <= LONG_SHARE * longest]
    ends = [curve.at(slice(-1, None)) for curve in curves if _reach(curve) >= SEEN_SHARE * longest]
    if len(shorter) < 2:
        return np.full(len(kept), np.nan)
    seen = max(_reach(curve) for curve in shorter)
    found = []
    for family, whole in kept:
        fit = fit_law(family, shorter, options, start=whole.logs)
        sound = fit if isinstance(fit, LawFit) else None
        found.append([float(_residuals(family, sound, end)[0]) for end in ends])
    return _rates(found, [math.log(_reach(end) / seen) for end in ends])


def _rates(residuals: Sequence[Sequence[float]], distances: Sequence[float]) -> FloatArray:
    """Of each law the root mean square residual over the root mean square distance."""
    squares = np.array([np.sum(np.square(row)) for row in residuals])
    rates: FloatArray = np.sqrt(squares / np.sum(np.square(distances)))
    return rates


def _tells(curve: Curve, others: Sequence[Curve], long: float) -> float:
    """E-folds by which a curve's end lies beyond what the others show; 0 where it tells nothing of later ends.

    Those of short curves do not, nor those of about the peak LR of another: an error over a tiny distance is no rate.
    """
    if _reach(curve) < max(long, 1.0):
        return 0.0
    seen = [other for other in others if other.steps.size]
    peaks = np.array([other.schedule.log_peak_lr for other in [*seen, curve]])
    reaches = np.log([_reach(other) for other in [*seen, curve]])
    distance = float(end_distances(peaks[:-1], reaches[:-1], peaks[-1:], reaches[-1:])[0])
    return distance if distance >= LEAST_END_DISTANCE else 0.0


def within_reach(curve: Curve, others: Sequence[Curve]) -> Curve:
    """The part of a curve that lies within the longest of the others: what comes later, no fit to these could know.

    With one whole run and several short ones, leaving out the whole one would test how the short ones are continued,
    which nobody will ask for while the whole one is there.
    """
    longest = max((float(other.steps[-1]) for other in others if other.steps.size), default=0.0)
    rows = np.flatnonzero(SEEN_SHARE * curve.steps <= longest)
    return curve.at(rows)


def _reach(curve: Curve) -> float:
    """Updates that a curve has got to; 0 without points."""
    return float(curve.steps[-1]) if curve.steps.size else 0.0


def _sizes(residuals: Sequence[FloatArray]) -> FloatArray:
    """Root mean square of each; NaN where there is none."""
    return np.array([np.sqrt(np.mean(r**2)) if r.size else np.nan for r in residuals])


def seen_share(curve: Curve) -> float:
    """Share of its horizon that a curve has reached; 0 without points."""
    return _reach(curve) / curve.schedule.steps


def _residuals(family: LawFamily[Any], fit: LawFit | None, curve: Curve) -> FloatArray:
    if not curve.steps.size:
        return np.zeros(0)
    if fit is None:
        return np.full(curve.steps.size, np.inf)
    losses = family.means(family.prepare([(curve.schedule, curve.steps)]), fit.logs)
    return np.log(curve.losses / losses) if np.all(losses > 0) else np.full(curve.steps.size, np.inf)
