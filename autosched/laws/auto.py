"""The default law: several laws stacked, and a Gaussian process for what they leave unexplained.

    ln L(t) = ln( sum_k weight_k * L_k(t) ) + r(run, t)

    sd(t)**2 = inflation**2 * ( process variance + weighted disagreement of the laws + their parameters' variance )
               + ( error on left-out peak LRs * novelty )**2 + ( error of later ends, per e-fold * lag )**2

Weights are ``prior_k * exp(-(e_k**2 - e_best**2) / (2 s**2))``, where e_k is the leave-one-curve-out error of law k
(root mean square of log residuals, never a training error) and ``s = 0.005 * sqrt(3 / curves)`` is how well that many
folds can tell laws apart: with three curves a fold fits two, which identify no law well, so the prior decides unless a
law is plainly wrong (one that does not know the peak LR, on runs of several). The prior comes from published runs, see
``docs/explanation/laws.md``. `inflation` makes the standard deviations agree with the leave-one-curve-out errors;
`novelty` and `lag` say how far a forecast is out of what was fitted, where these errors say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri

from autosched.curves.curve import Curve
from autosched.laws.annealing import AnnealingForm
from autosched.laws.fit import FitFailure, FitOptions, LawFit, fit_law
from autosched.laws.form import Asked, LawForm
from autosched.laws.functional import FunctionalForm, Units
from autosched.laws.grid import interpolated, telling_steps
from autosched.laws.leave_out import LeftOut, leave_out, seen_share, spread, within_reach
from autosched.laws.multi_power import MultiPowerForm
from autosched.laws.residual import TRANSIENT_RUNS, WHOLE_RUNS, ResidualKernel, ResidualProcess, learned, run_points
from autosched.laws.robust import Robustness
from autosched.laws.stack import LEAST_WEIGHT, Stack, one_peak, stacked, stacked_mean
from autosched.laws.transient import TRANSIENT_POWER, lags, late_power, novelties, transient_options
from autosched.schedules.schedule import FloatArray, Schedule

PRIOR_WEIGHTS: Mapping[str, float] = {"functional": 0.7, "multi_power": 0.2, "annealing": 0.1}
RESOLUTION = 0.005
INFLATION_PRIOR = 4.0
UNTESTED_INFLATION = 2.0  # too few curves to leave one out


LEAST_INFLATION = 0.8
RESIDUAL_STRIDE = 4
ALIKE_PEAKS = 1.0
"""Difference in ln(peak LR) over which errors of later ends become independent."""


def _fit_options() -> FitOptions:
    return FitOptions(robustness=Robustness(delta=1e-2, noise=1e-2), first_share=0.1, late_power=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoOptions:
    """How the default law is fitted.

    Attributes:
        fit: of each law.
        folds: most leave-out fits per law; with more curves than this, several are left out at a time.
        process_points: most points the residual process keeps, over all curves.
        least_weight: of a point, relative to its curve's last, below which the process does not keep it.
        latest: most that late points may be favoured, see :mod:`autosched.laws.transient`.
    """

    fit: FitOptions = field(default_factory=_fit_options)
    folds: int = 6
    process_points: int = 480
    least_weight: float = 0.12
    latest: float = 4.0

    @property
    def process_share(self) -> float:
        """Share of what was seen of a curve before which the process keeps no points."""
        return float(self.least_weight ** (1 / max(self.fit.late_power, 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Expected losses (nats) and their relative standard deviations, each shape (q,)."""

    steps: FloatArray
    mean: FloatArray
    sd: FloatArray

    def interval(self, probability: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Low and high end of the central interval, nats; log-normal."""
        half = float(ndtri(0.5 + probability / 2)) * self.sd
        return self.mean * np.exp(-half), self.mean * np.exp(half)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AutoLaw:
    """Stacked laws with a residual process; satisfies :class:`autosched.laws.protocol.LossLaw`.

    Attributes:
        forms, fits, weights: the laws, in one order; weights sum to 1.
        loo: leave-one-curve-out error of each law, root mean square of log residuals.
        peak_error: the same of the stack over curves of peak LRs that were left out altogether; NaN when untested.
        later_rate: how wrong fits are about the ends of long runs that they do not have, per e-fold of lag; or NaN.
        process: over the fitted curves, run i being curve i.
        inflation: factor of all standard deviations.
        names: of the fitted curves.
        late_power: of the points' weights in the fit, see :mod:`autosched.laws.transient`.
    """

    name: ClassVar[str] = "auto"

    forms: tuple[LawForm[Any], ...]
    fits: tuple[LawFit, ...]
    weights: FloatArray
    loo: FloatArray
    process: ResidualProcess
    inflation: float
    names: tuple[str, ...]
    late_power: float = 1.0
    peak_error: float = math.nan
    later_rate: float = math.nan

    @property
    def stack(self) -> Stack:
        """The laws without the process."""
        peaks = np.exp(self.process.points.features[:, 0])
        return Stack(forms=self.forms, fits=self.fits, weights=self.weights, peak_lr=one_peak(peaks.tolist()))

    @property
    def error(self) -> float:
        """Leave-one-curve-out error of the laws that count, weighted; NaN when there is too little for that."""
        return _weighted(self.weights, self.loo)

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(steps,)``, nats; interpolated between a few hundred exact steps."""
        steps = telling_steps(schedule)
        few = np.append(steps[:-1:RESIDUAL_STRIDE], steps[-1])  # the residual bends less than the loss
        residual = np.interp(np.log(steps), np.log(few), self.process.mean(run_points([(schedule, few)], first_run=-1)))
        losses = stacked_mean(self.stack, [(schedule, steps)])
        return interpolated(schedule, steps, losses * np.exp(residual))

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        return self.forecast(schedule, steps).mean

    def forecast(self, schedule: Schedule, steps: FloatArray, *, run: int | None = None) -> Prediction:
        """Mean and standard deviation after each of `steps` updates.

        Args:
            run: number of the fitted curve that this schedule belongs to, whose own offset then counts; None for a
                run that was not fitted.
        """
        steps = np.asarray(steps, dtype=np.float64)
        mean, law_variance = stacked(self.stack, [(schedule, steps)])
        at = run_points([(schedule, steps)], first_run=-1 if run is None else run)
        residual, sd = self.process.conditioned(None, at)
        spread = np.hypot(self.inflation * np.sqrt(sd**2 + law_variance), self.extrapolation(schedule, steps))
        return Prediction(steps=steps, mean=mean * np.exp(residual), sd=spread)

    def extrapolation(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Relative standard deviation for being out of what was fitted, shape of `steps`; see :mod:`.transient`."""
        log_peak = schedule.log_peak_lr
        ways = self._peak_error * novelties(self.process.points, log_peak, steps, self._transient)
        lag = self._lag(np.full(steps.size, log_peak), np.log(np.maximum(steps, 1.0)))
        spread: FloatArray = np.sqrt(np.sum(ways**2, axis=0) + lag**2)
        return spread

    def extrapolated_jointly(self, asked: Asked) -> FloatArray:
        """The same for the last steps of several schedules together: covariance, shape (n, n).

        What is out in one way errs alike for all: it widens losses, and differences less.
        """
        log_peaks = np.array([schedule.log_peak_lr for schedule, _ in asked])
        log_steps = np.log([max(float(steps[-1]), 1.0) for _, steps in asked])
        points = self.process.points
        ways = np.array(
            [novelties(points, p, s[-1:], self._transient)[:, 0] for p, (_, s) in zip(log_peaks, asked, strict=True)]
        )
        lag = self._lag(log_peaks, log_steps)
        alike = np.exp(-np.abs(log_peaks[:, None] - log_peaks[None, :]) / ALIKE_PEAKS)
        covariance: FloatArray = self._peak_error**2 * ways @ ways.T + np.outer(lag, lag) * alike
        return covariance

    def _lag(self, log_peaks: FloatArray, log_steps: FloatArray) -> FloatArray:
        features = self.process.points.features
        spread: FloatArray = self._later_rate * lags(features[:, 0], features[:, 4], log_peaks, log_steps)
        return spread

    @property
    def _peak_error(self) -> float:
        return self.peak_error if math.isfinite(self.peak_error) else 0.0

    @property
    def _later_rate(self) -> float:
        return self.later_rate if math.isfinite(self.later_rate) else 0.0

    @property
    def _transient(self) -> float:
        return min(max(self.late_power / TRANSIENT_POWER - 1.0, 0.0), 1.0)


def fit_auto(
    curves: Sequence[Curve], options: AutoOptions | None = None, *, warm: AutoLaw | None = None
) -> AutoLaw | FitFailure:
    """Fit the default law.

    Args:
        curves: whole or partial runs.
        warm: an earlier fit: its parameters are the starts, its weights, kernel and inflation are kept, and laws of
            no weight are left as they are, so that a refit with a few more points takes milliseconds.
    """
    options = options or AutoOptions()
    forms = _forms(curves) if warm is None else warm.forms
    starts = [None] * len(forms) if warm is None else [fit.logs for fit in warm.fits]
    late = late_power(forms[0], curves, options.fit, options.latest) if warm is None else warm.late_power
    options = replace(options, fit=transient_options(options.fit, late))
    found = [
        warm.fits[law]
        if warm is not None and warm.weights[law] < LEAST_WEIGHT
        else fit_law(form, curves, options.fit, start=starts[law])
        for law, form in enumerate(forms)
    ]
    kept = [(form, fit) for form, fit in zip(forms, found, strict=True) if isinstance(fit, LawFit)]
    if not kept:
        return next(fit for fit in found if isinstance(fit, FitFailure))
    if warm is not None and len(kept) == len(forms):
        return _assembled(kept, curves, options, _Decided.of(warm))
    held = leave_out(kept, curves, options.fit, options.folds)
    loo = held.errors()
    weights = _weights([form.name for form, _ in kept], loo, len(curves))
    decided = _Decided(
        weights=weights,
        loo=loo,
        peak_error=_weighted(weights, held.peak_errors()),
        later_rate=_weighted(weights, held.later_rates),
    )
    law = _assembled(kept, curves, options, decided)
    return replace(law, inflation=_inflation(law, held, curves, options))


def _weighted(weights: FloatArray, errors: FloatArray) -> float:
    """Root mean square error of the laws that count and could be tested, weighted; NaN when there is none."""
    heard = (weights > LEAST_WEIGHT) & np.isfinite(errors)
    return (
        math.sqrt(float(weights[heard] @ errors[heard] ** 2) / float(weights[heard].sum())) if heard.any() else math.nan
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """What a fit decides beyond the laws' parameters; a None kernel is learned."""

    weights: FloatArray
    loo: FloatArray
    peak_error: float
    later_rate: float
    kernel: ResidualKernel | None = None
    inflation: float = 1.0

    @classmethod
    def of(cls, law: AutoLaw) -> _Decided:
        """What an earlier fit decided."""
        return cls(
            weights=law.weights,
            loo=law.loo,
            peak_error=law.peak_error,
            later_rate=law.later_rate,
            kernel=law.process.kernel,
            inflation=law.inflation,
        )


def _forms(curves: Sequence[Curve]) -> tuple[LawForm[Any], ...]:
    units = Units.of([curve.schedule for curve in curves])
    return (FunctionalForm(units=units), MultiPowerForm(), AnnealingForm())


def _weights(names: Sequence[str], loo: FloatArray, curves: int) -> FloatArray:
    weights: FloatArray = np.array([PRIOR_WEIGHTS[name] for name in names])
    if not np.any(np.isnan(loo)) and np.any(np.isfinite(loo)):  # else the folds tell nothing
        resolution = RESOLUTION * math.sqrt(3 / curves)
        weights = weights * np.exp(-0.5 * (loo**2 - loo.min() ** 2) / resolution**2)
    return weights / float(weights.sum())


def _assembled(
    kept: Sequence[tuple[LawForm[Any], LawFit]], curves: Sequence[Curve], options: AutoOptions, decided: _Decided
) -> AutoLaw:
    """The stacked law with the process over what it leaves unexplained."""
    forms, fits = tuple(form for form, _ in kept), tuple(fit for _, fit in kept)
    each = int(np.clip(options.process_points // max(len(curves), 1), 6, 40))
    used = [spread(curve, each, options.process_share * seen_share(curve)) for curve in curves]
    asked = [(curve.schedule, curve.steps) for curve in used]
    laws = Stack(
        forms=forms, fits=fits, weights=decided.weights, peak_lr=one_peak([c.schedule.peak_lr for c in curves])
    )
    mean = stacked_mean(laws, asked)
    residuals = np.log(np.concatenate([curve.losses for curve in used]) / mean)
    points = run_points(asked)
    belief = TRANSIENT_RUNS if options.fit.late_power > TRANSIENT_POWER else WHOLE_RUNS
    kernel = decided.kernel or learned(points, residuals, belief)
    return AutoLaw(
        forms=forms,
        fits=fits,
        weights=decided.weights,
        loo=decided.loo,
        process=ResidualProcess.of(points, residuals, kernel),
        inflation=decided.inflation,
        names=tuple(curve.name for curve in curves),
        late_power=options.fit.late_power,
        peak_error=decided.peak_error,
        later_rate=decided.later_rate,
    )


def _inflation(law: AutoLaw, held: LeftOut, curves: Sequence[Curve], options: AutoOptions) -> float:
    """Root mean square of error / sd at the ends of left-out curves, shrunk towards 1."""
    squares = []
    decided = replace(_Decided.of(law), inflation=1.0)
    for fold, fits in zip(held.folds, held.fits, strict=True):
        if any(fit is None for fit in fits):
            continue
        kept = [(form, fit) for form, fit in zip(law.forms, fits, strict=True) if fit is not None]
        rest = [curve for i, curve in enumerate(curves) if i not in fold]
        part = _assembled(kept, rest, options, decided)
        for i in fold:
            seen = within_reach(curves[i], rest)
            if seen.steps.size:
                end = part.forecast(seen.schedule, seen.steps[-1:])
                squares.append(float((np.log(seen.losses[-1] / end.mean[0]) / end.sd[0]) ** 2))
    if not squares:
        return UNTESTED_INFLATION
    found = math.sqrt((INFLATION_PRIOR + sum(squares)) / (INFLATION_PRIOR + len(squares)))
    return max(found, LEAST_INFLATION)
