"""Leave-one-curve-out: what each law would have said about curves it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law, fitted_part
from autosched.laws.form import LawForm
from autosched.laws.transient import lags
from autosched.schedules.schedule import FloatArray

FEWEST_CURVES = 3
FEWEST_SHORTER = 2
HELD_POINTS = 24
REACH = 1.1
"""Of the longest other curve: how far a curve that is left out is looked at."""
LONG = 0.5
"""Of the longest curve: the ends of curves that got so far tell of later ends, the others are the short ones."""
LEAST_LAG = 0.3
"""E-folds: an error over less is mostly scatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Fits without some curves, and their errors on these.

    Attributes:
        folds: numbers of the curves left out together.
        fits: per fold, per law, the fit without them; None where it failed.
        residuals: per law, log residuals on all left-out curves; infinite where its fit failed or predicts a loss <= 0.
        at_new_peaks: per law, root mean square residual of each left-out curve whose peak LR no curve of its fit had.
        later_rates: per law, the error at the ends of long curves that a fit does not have, per e-fold of lag
            (:func:`autosched.laws.transient.lags`), shape (laws,); NaN when untested.
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
    kept: Sequence[tuple[LawForm[Any], LawFit]], curves: Sequence[Curve], options: FitOptions, most_folds: int
) -> LeftOut:
    """Refit each law without each curve (each group of curves when there are more than `most_folds`), warm-started."""
    if len(curves) < FEWEST_CURVES:
        none = tuple(np.zeros(0) for _ in kept)
        untested = np.full(len(kept), np.nan)
        return LeftOut(folds=(), fits=(), residuals=none, at_new_peaks=none, later_rates=untested)
    count = min(len(curves), most_folds)
    folds = tuple(tuple(range(first, len(curves), count)) for first in range(count))
    fits: list[tuple[LawFit | None, ...]] = []
    residuals: list[list[FloatArray]] = [[] for _ in kept]
    at_new_peaks: list[list[float]] = [[] for _ in kept]
    long = LONG * max(_reach(curve) for curve in curves)
    ends: list[list[float]] = [[] for _ in kept]
    behind: list[float] = []
    for fold in folds:
        rest = [curve for i, curve in enumerate(curves) if i not in fold]
        peaks = {curve.schedule.peak_lr for curve in rest}
        held = [within_reach(spread(curves[i], HELD_POINTS, options.first_share), rest) for i in fold]
        telling = [_tells(curve, rest, long) for curve in held]
        behind += [lag for lag in telling if lag > 0]
        row: list[LawFit | None] = []
        for law, (form, whole) in enumerate(kept):
            fit = fit_law(form, rest, options, start=whole.logs)
            row.append(fit if isinstance(fit, LawFit) else None)
            for curve, lag in zip(held, telling, strict=True):
                found = _residuals(form, row[-1], curve)
                residuals[law].append(found)
                if found.size and curve.schedule.peak_lr not in peaks:
                    at_new_peaks[law].append(float(np.sqrt(np.mean(found**2))))
                if lag > 0:
                    ends[law].append(float(found[-1]))
        fits.append(tuple(row))
    return LeftOut(
        folds=folds,
        fits=tuple(fits),
        residuals=tuple(np.concatenate(r) for r in residuals),
        at_new_peaks=tuple(np.array(r) for r in at_new_peaks),
        later_rates=_rates(ends, behind) if behind else _told_by_shorter(kept, curves, options),
    )


def _told_by_shorter(
    kept: Sequence[tuple[LawForm[Any], LawFit]], curves: Sequence[Curve], options: FitOptions
) -> FloatArray:
    """The rates where only one peak LR was seen far: what fits to the short curves say of the ends of the longest.

    Short curves are those of at most half its updates, so that little is divided by no tiny lag; NaN with too few.
    """
    longest = max(_reach(curve) for curve in curves)
    shorter = [curve for curve in curves if 0 < _reach(curve) <= LONG * longest]
    ends = [_end(curve) for curve in curves if _reach(curve) * REACH >= longest]
    if len(shorter) < FEWEST_SHORTER:
        return np.full(len(kept), np.nan)
    seen = max(_reach(curve) for curve in shorter)
    found = []
    for form, whole in kept:
        fit = fit_law(form, shorter, options, start=whole.logs)
        sound = fit if isinstance(fit, LawFit) else None
        found.append([float(_residuals(form, sound, end)[0]) for end in ends])
    return _rates(found, [math.log(_reach(end) / seen) for end in ends])


def _rates(residuals: Sequence[Sequence[float]], behind: Sequence[float]) -> FloatArray:
    """Of each law the root mean square residual over the root mean square lag."""
    squares = np.array([np.sum(np.square(row)) for row in residuals])
    rates: FloatArray = np.sqrt(squares / np.sum(np.square(behind)))
    return rates


def _tells(curve: Curve, others: Sequence[Curve], long: float) -> float:
    """E-folds by which a curve's end lies beyond what the others show; 0 where it tells nothing of later ends.

    Those of short curves do not, nor those of about the peak LR of another: an error over a tiny lag is no rate.
    """
    if _reach(curve) < max(long, 1.0):
        return 0.0
    seen = [other for other in others if other.steps.size]
    peaks = np.array([other.schedule.log_peak_lr for other in [*seen, curve]])
    reaches = np.log([_reach(other) for other in [*seen, curve]])
    lag = float(lags(peaks[:-1], reaches[:-1], peaks[-1:], reaches[-1:])[0])
    return lag if lag >= LEAST_LAG else 0.0


def within_reach(curve: Curve, others: Sequence[Curve]) -> Curve:
    """The part of a curve that lies within the longest of the others: what comes later, no fit to these could know.

    With one whole run and several short ones, leaving out the whole one would test how the short ones are continued,
    which nobody will ask for while the whole one is there.
    """
    longest = max((float(other.steps[-1]) for other in others if other.steps.size), default=0.0)
    rows = np.flatnonzero(curve.steps <= REACH * longest)
    return Curve(schedule=curve.schedule, steps=curve.steps[rows], losses=curve.losses[rows], name=curve.name)


def spread(curve: Curve, most: int, first_share: float) -> Curve:
    """At most `most` points of a curve after its warmup and a share of its horizon, even in log step, ends included."""
    part = fitted_part(curve, first_share)
    if part.steps.size <= most:
        return part
    asked = np.geomspace(part.steps[0], part.steps[-1], most)
    rows = np.unique(np.clip(np.searchsorted(part.steps, asked), 0, part.steps.size - 1))
    return Curve(schedule=part.schedule, steps=part.steps[rows], losses=part.losses[rows], name=part.name)


def _reach(curve: Curve) -> float:
    """Updates that a curve has got to; 0 without points."""
    return float(curve.steps[-1]) if curve.steps.size else 0.0


def _end(curve: Curve) -> Curve:
    """The last point of a curve."""
    return Curve(schedule=curve.schedule, steps=curve.steps[-1:], losses=curve.losses[-1:], name=curve.name)


def _sizes(residuals: Sequence[FloatArray]) -> FloatArray:
    """Root mean square of each; NaN where there is none."""
    return np.array([np.sqrt(np.mean(r**2)) if r.size else np.nan for r in residuals])


def seen_share(curve: Curve) -> float:
    """Share of its horizon that a curve has reached; 0 without points."""
    return _reach(curve) / curve.schedule.steps


def _residuals(form: LawForm[Any], fit: LawFit | None, curve: Curve) -> FloatArray:
    if not curve.steps.size:
        return np.zeros(0)
    if fit is None:
        return np.full(curve.steps.size, np.inf)
    losses = form.means(form.prepare([(curve.schedule, curve.steps)]), fit.logs)
    return np.log(curve.losses / losses) if np.all(losses > 0) else np.full(curve.steps.size, np.inf)
