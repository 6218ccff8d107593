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
    """

    folds: tuple[tuple[int, ...], ...]
    fits: tuple[tuple[LawFit | None, ...], ...]
    residuals: tuple[FloatArray, ...]

    def errors(self) -> FloatArray:
        """Root mean square residual of each law; NaN when there were too few curves."""
        return np.array([np.sqrt(np.mean(r**2)) if r.size else np.nan for r in self.residuals])


def leave_out(
    kept: Sequence[tuple[LawForm[Any], LawFit]], curves: Sequence[Curve], options: FitOptions, most_folds: int
) -> LeftOut:
    """Refit each law without each curve (each group of curves when there are more than `most_folds`), warm-started."""
    if len(curves) < FEWEST_CURVES:
        return LeftOut(folds=(), fits=(), residuals=tuple(np.zeros(0) for _ in kept))
    count = min(len(curves), most_folds)
    folds = tuple(tuple(range(first, len(curves), count)) for first in range(count))
    fits: list[tuple[LawFit | None, ...]] = []
    residuals: list[list[FloatArray]] = [[] for _ in kept]
    for fold in folds:
        rest = [curve for i, curve in enumerate(curves) if i not in fold]
        row: list[LawFit | None] = []
        for law, (form, whole) in enumerate(kept):
            fit = fit_law(form, rest, options, start=whole.logs)
            row.append(fit if isinstance(fit, LawFit) else None)
            for i in fold:
                held = within_reach(spread(curves[i], HELD_POINTS, options.first_share), rest)
                residuals[law].append(_residuals(form, row[-1], held))
        fits.append(tuple(row))
    return LeftOut(folds=folds, fits=tuple(fits), residuals=tuple(np.concatenate(r) for r in residuals))


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
