"""Leave-one-curve-out: what each law would have said about curves it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law, fitted_part
from autosched.laws.form import LawForm
from autosched.schedules.schedule import FloatArray

FEWEST_CURVES = 3
FEWEST_SHORTER = 2
HELD_POINTS = 24
REACH = 1.1
"""Of the longest other curve: how far a curve that is left out is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Fits without some curves, and their errors on these.

    Attributes:
        folds: numbers of the curves left out together.
        fits: per fold, per law, the fit without them; None where it failed.
        residuals: per law, log residuals on all left-out curves; infinite where its fit failed or predicts a loss <= 0.
        at_new_peaks: per law, root mean square residual of each left-out curve whose peak LR no curve of its fit had.
        later: per law, log residuals at the ends of the longest curves by a fit to the shorter ones, per e-fold in
        updates between them.
    """

    folds: tuple[tuple[int, ...], ...]
    fits: tuple[tuple[LawFit | None, ...], ...]
    residuals: tuple[FloatArray, ...]
    at_new_peaks: tuple[FloatArray, ...]
    later: tuple[FloatArray, ...]

    def errors(self) -> FloatArray:
        """Root mean square residual of each law; NaN when there were too few curves."""
        return _sizes(self.residuals)

    def peak_errors(self) -> FloatArray:
        """The same over peak LRs that a fit had not seen; of all left-out curves when none was of such a peak.

        Two curves of one peak LR tell each other's ends well, and nothing of what the law knows of other peaks.
        """
        told = _sizes(self.at_new_peaks)
        return np.where(np.isnan(told), self.errors(), told)

    def later_rates(self) -> FloatArray:
        """Root mean square residual of each law per e-fold in updates that it had to extrapolate; NaN when untested.

        How wrong the short runs would have been about the ends of the long ones: of peak LRs that were seen in short
        runs only, no more is known.
        """
        return _sizes(self.later)


def leave_out(
    kept: Sequence[tuple[LawForm[Any], LawFit]], curves: Sequence[Curve], options: FitOptions, most_folds: int
) -> LeftOut:
    """Refit each law without each curve (each group of curves when there are more than `most_folds`), warm-started."""
    if len(curves) < FEWEST_CURVES:
        none = tuple(np.zeros(0) for _ in kept)
        return LeftOut(folds=(), fits=(), residuals=none, at_new_peaks=none, later=none)
    count = min(len(curves), most_folds)
    folds = tuple(tuple(range(first, len(curves), count)) for first in range(count))
    fits: list[tuple[LawFit | None, ...]] = []
    residuals: list[list[FloatArray]] = [[] for _ in kept]
    at_new_peaks: list[list[float]] = [[] for _ in kept]
    for fold in folds:
        rest = [curve for i, curve in enumerate(curves) if i not in fold]
        peaks = {curve.schedule.peak_lr for curve in rest}
        row: list[LawFit | None] = []
        for law, (form, whole) in enumerate(kept):
            fit = fit_law(form, rest, options, start=whole.logs)
            row.append(fit if isinstance(fit, LawFit) else None)
            for i in fold:
                held = within_reach(spread(curves[i], HELD_POINTS, options.first_share), rest)
                found = _residuals(form, row[-1], held)
                residuals[law].append(found)
                if found.size and curves[i].schedule.peak_lr not in peaks:
                    at_new_peaks[law].append(float(np.sqrt(np.mean(found**2))))
        fits.append(tuple(row))
    return LeftOut(
        folds=folds,
        fits=tuple(fits),
        residuals=tuple(np.concatenate(r) for r in residuals),
        at_new_peaks=tuple(np.array(r) for r in at_new_peaks),
        later=_later(kept, curves, options),
    )


def _later(
    kept: Sequence[tuple[LawForm[Any], LawFit]], curves: Sequence[Curve], options: FitOptions
) -> tuple[FloatArray, ...]:
    """What fits to the shorter curves say of the ends of the longest; empty when too few are shorter."""
    reaches = np.array([float(curve.steps[-1]) if curve.steps.size else 0.0 for curve in curves])
    longest = float(reaches.max())
    shorter = [curve for curve, reach in zip(curves, reaches, strict=True) if 0 < reach * REACH < longest]
    ends = [_end(curve) for curve, reach in zip(curves, reaches, strict=True) if reach * REACH >= longest]
    if len(shorter) < FEWEST_SHORTER:
        return tuple(np.zeros(0) for _ in kept)
    seen = max(float(curve.steps[-1]) for curve in shorter)
    found = []
    for form, whole in kept:
        fit = fit_law(form, shorter, options, start=whole.logs)
        sound = fit if isinstance(fit, LawFit) else None
        residuals = np.concatenate([_residuals(form, sound, end) for end in ends])
        found.append(residuals / np.log([end.steps[0] / seen for end in ends]))
    return tuple(found)


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


def _end(curve: Curve) -> Curve:
    """The last point of a curve."""
    return Curve(schedule=curve.schedule, steps=curve.steps[-1:], losses=curve.losses[-1:], name=curve.name)


def _sizes(residuals: Sequence[FloatArray]) -> FloatArray:
    """Root mean square of each; NaN where there is none."""
    return np.array([np.sqrt(np.mean(r**2)) if r.size else np.nan for r in residuals])


def seen_share(curve: Curve) -> float:
    """Share of its horizon that a curve has reached; 0 without points."""
    return float(curve.steps[-1]) / curve.schedule.steps if curve.steps.size else 0.0


def _residuals(form: LawForm[Any], fit: LawFit | None, curve: Curve) -> FloatArray:
    if not curve.steps.size:
        return np.zeros(0)
    if fit is None:
        return np.full(curve.steps.size, np.inf)
    losses = form.means(form.prepare([(curve.schedule, curve.steps)]), fit.logs)
    return np.log(curve.losses / losses) if np.all(losses > 0) else np.full(curve.steps.size, np.inf)
