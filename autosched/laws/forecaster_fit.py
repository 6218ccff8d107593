"""Fitting the forecaster of :mod:`autosched.laws.forecaster`, in the presets ``full`` and ``fast``.

The weights of ``full`` are ``prior_k * exp(-(e_k**2 - e_best**2) / (2 s**2))``, where e_k is the leave-one-curve-out
error of law k (root mean square of log residuals, never a training error) and ``s = 0.005 * sqrt(3 / curves)`` is how
well that many folds can tell laws apart: with three curves a fold fits two, which identify no law well, so the prior
decides unless a law is plainly wrong (one that does not know the peak LR, on runs of several).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.thinning import averaged
from autosched.errors import CurveError
from autosched.laws.annealing import AnnealingFamily
from autosched.laws.cooldown_prior import Learned, learned_priors
from autosched.laws.fit import (
    FitFailure,
    FitOptions,
    LawFit,
    common_outliers,
    fit_law,
    fitted_part,
    late_power,
    spread,
    without_outliers,
)
from autosched.laws.forecast import Forecast, Query
from autosched.laws.forecaster import AUTO, Forecaster, weighted_error
from autosched.laws.functional import FunctionalFamily, Units
from autosched.laws.law import LawFamily
from autosched.laws.leave_out import LeftOut, leave_out, seen_share, within_reach
from autosched.laws.merged_losses import least_merged
from autosched.laws.multi_power import MultiPowerFamily
from autosched.laws.priors import (
    CALIBRATION_RUNS,
    FIRST_SHARE,
    FOLDS,
    INFLATION_RUNS,
    LAW_WEIGHTS,
    LEAST_INFLATION,
    LEAST_POINT_WEIGHT,
    LEAST_SD,
    LEAST_WEIGHT,
    MOST_LATE_POWER,
    NOISE,
    PROCESS_POINTS,
    RESOLUTION,
    RUNNING_TRIALS,
    TRANSIENT_POWER,
    TRANSIENT_RUNS,
    WHOLE_RUNS,
    WORST_FORECAST_MISFIT,
    WORST_FORECAST_SHARE,
    WORST_MISFIT,
    KernelPrior,
)
from autosched.laws.residual import LOG_STEP, ResidualKernel, ResidualProcess, RunPoints, learned, run_points
from autosched.laws.robust import Robustness
from autosched.laws.stack import one_peak, stacked_mean
from autosched.laws.start_up import StartUpFamily
from autosched.schedules.schedule import FloatArray

MOST_RUN_POINTS = 40  # of one run, that the process keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How a forecaster is fitted.

    Attributes:
        name: of the law it makes.
        families: the kinds of law, bound to units.
        start_up: the law of losses that begin at a plateau and fall by large factors, asked when none of the others is
            within `WORST_MISFIT` of the curves; None to ask none.
        fit: of each law.
        most_late_power: most that late points may be favoured (:func:`autosched.laws.fit.late_power`); None for what
            `fit` says.
        folds: most leave-out fits per law; 0 to leave nothing out.
        process_points: most points the residual process keeps, over all curves; None for all, 0 for no process.
        least_weight: of a point, relative to its curve's last, below which the process does not keep it.
        kernel: the process's; None to learn it.
        priors: gives what other models taught; None to take the laws at their word.
        sure_parameters: whether the laws' parameters count as known: `kernel` is as wide as what they leave open.
    """

    name: str
    families: Callable[[Units], tuple[LawFamily[Any], ...]]
    fit: FitOptions
    start_up: Callable[[Units], LawFamily[Any]] | None = None
    most_late_power: float | None = None
    folds: int = 0
    process_points: int | None = None
    least_weight: float = 0.0
    kernel: KernelPrior | None = None
    priors: Callable[[], Learned] | None = None
    sure_parameters: bool = False


_ROBUST = Robustness(delta=NOISE, noise=NOISE)
FULL = Preset(
    name=AUTO,
    families=lambda units: (FunctionalFamily(units=units), MultiPowerFamily(), AnnealingFamily()),
    start_up=lambda units: StartUpFamily(units=units),
    fit=FitOptions(robustness=_ROBUST, first_share=FIRST_SHARE, late_power=1.0),
    most_late_power=MOST_LATE_POWER,
    folds=FOLDS,
    process_points=PROCESS_POINTS,
    least_weight=LEAST_POINT_WEIGHT,
    priors=learned_priors,
)
FAST = Preset(
    name="functional",
    families=lambda units: (FunctionalFamily(units=units, intervals=24),),
    start_up=lambda units: StartUpFamily(units=units, intervals=24),
    fit=FitOptions(robustness=_ROBUST, worst_sd=WORST_FORECAST_MISFIT, iterations=25, tolerance=1e-4, from_prior=True),
    kernel=RUNNING_TRIALS,
    sure_parameters=True,
)
STAGES = replace(
    FAST,
    families=lambda units: (FunctionalFamily(units=units, intervals=24, tied=True),),
    start_up=None,
    fit=replace(FAST.fit, iterations=40, from_prior=False),
    sure_parameters=False,
)
"""``fast`` for runs whose LR goes up and down; its law has one LR power in time and one in noise."""


def alone(family: LawFamily[Any]) -> Preset:
    """One law without a process: what it leaves unexplained counts as noise."""
    return replace(
        FULL, name=family.name, families=lambda _: (family,), start_up=None, most_late_power=None, process_points=0
    )


def fit_forecaster(
    curves: Sequence[Curve], preset: Preset = FULL, *, warm: Forecaster | None = None
) -> Forecaster | FitFailure:
    """Fit a forecaster.

    Args:
        curves: whole or partial runs.
        warm: an earlier fit: its parameters are the starts, its weights, kernel and inflation are kept, and laws of
            no weight are left as they are, so that a refit with a few more points takes milliseconds.
    """
    curves = [averaged(curve) for curve in curves]
    units = Units.of([curve.schedule for curve in curves])
    usual = preset.families(units) if warm is None else warm.families
    preset = replace(preset, fit=_late_options(usual[0], curves, preset, warm))
    found = list(_usual_fits(usual, curves, preset, warm))
    if preset.start_up is not None and _wants_start_up(found, warm):
        family = preset.start_up(units)
        if not any(isinstance(fit, LawFit) for _, fit in found):
            preset = replace(preset, fit=_late_options(family, curves, preset, None))
        found.append((family, fit_law(family, curves, preset.fit)))
    kept = [(family, fit) for family, fit in found if isinstance(fit, LawFit)]
    if not kept:
        return next(fit for _, fit in found if isinstance(fit, FitFailure))
    curves = without_outliers(curves, common_outliers([fit for _, fit in kept]))
    if preset.sure_parameters:
        kept = [(family, replace(fit, covariance=np.zeros_like(fit.covariance))) for family, fit in kept]
    fits, names = tuple(fit for _, fit in kept), tuple(curve.name for curve in curves)
    merged = least_merged(curves)
    if warm is not None and len(kept) == len(usual):
        law = replace(warm, fits=fits, names=names, merged=merged, late_power=preset.fit.late_power)
        return _with_process(law, curves, preset, None if warm.process is None else warm.process.kernel)
    held = leave_out(kept, curves, preset.fit, preset.folds)
    loo = held.errors()
    weights = _weights([family.name for family, _ in kept], loo, len(curves))
    taught = None if preset.priors is None else preset.priors()
    law = Forecaster(
        name=preset.name,
        families=tuple(family for family, _ in kept),
        fits=fits,
        weights=weights,
        loo=loo,
        process=None,
        inflation=1.0,
        names=names,
        merged=merged,
        late_power=preset.fit.late_power,
        peak_error=weighted_error(weights, held.peak_errors()),
        later_rate=weighted_error(weights, held.later_rates),
        cooldown=None if taught is None else taught.cooldown,
        calibration=1.0 if taught is None else taught.calibration,
    )
    law = _with_process(law, curves, preset)
    if law.process is None or not preset.folds:
        return law
    inflation = _inflation(law, law.process.kernel, held, curves, preset)
    return replace(law, tested=inflation is not None, inflation=1.0 if inflation is None else inflation)


def _usual_fits(
    families: Sequence[LawFamily[Any]], curves: Sequence[Curve], preset: Preset, warm: Forecaster | None
) -> Iterator[tuple[LawFamily[Any], LawFit | FitFailure]]:
    """Each law fitted; laws that had no weight in the warm fit are taken from it."""
    for law, family in enumerate(families):
        if warm is not None and warm.weights[law] < LEAST_WEIGHT:
            yield family, warm.fits[law]
        else:
            yield family, fit_law(family, curves, preset.fit, start=None if warm is None else warm.fits[law].logs)


def _wants_start_up(found: Sequence[tuple[LawFamily[Any], LawFit | FitFailure]], warm: Forecaster | None) -> bool:
    """Whether the usual laws miss the curves; a warm fit is content with any that is sound."""
    fits = [fit for _, fit in found if isinstance(fit, LawFit)]
    return not fits if warm is not None else all(fit.residual_sd > WORST_MISFIT for fit in fits)


def knowing_run(law: Forecaster, run: Curve, *, fitted: int | None = None) -> tuple[Forecaster, int]:
    """A forecaster that knows a run that has begun, and the run's number; its laws and its kernel stay as they are.

    Args:
        law: with a residual process.
        run: its log so far; its schedule covers the whole horizon.
        fitted: the number of the fitted curve that is this run's beginning, whose points are replaced.

    Raises:
        CurveError: no loss after the warmup.
    """
    assert law.process is not None  # noqa: S101 - asked for
    old = (
        law.process.points.run != fitted if fitted is not None else np.ones(law.process.residuals.size, dtype=np.bool_)
    )
    share = float(LEAST_POINT_WEIGHT ** (1 / max(law.late_power, 1.0)))
    seen = spread(averaged(run), MOST_RUN_POINTS, share * seen_share(run))
    if not seen.steps.size:
        raise CurveError("no loss after the warmup tells how this run goes.", file=run.name)
    asked, number = [(seen.schedule, seen.steps)], len(law.names)
    new = run_points(asked, first_run=number)
    points = RunPoints(
        run=np.concatenate([law.process.points.run[old], new.run]),
        features=np.concatenate([law.process.points.features[old], new.features]),
    )
    missed = np.log(seen.losses / stacked_mean(law.stack, asked))
    process = ResidualProcess.of(points, np.concatenate([law.process.residuals[old], missed]), law.process.kernel)
    return replace(law, process=process, names=(*law.names, run.name)), number


def forecast_run(
    run: Curve, others: Sequence[Curve], *, least_sd: float = LEAST_SD, worst_misfit: float = WORST_FORECAST_MISFIT
) -> Forecast | FitFailure:
    """The loss at the end of a run under way, by the preset ``fast``.

    The interval is widened or narrowed by what the same forecast would have said, at the same share of the horizon, of
    runs whose end is known.

    Args:
        run: the run so far; its schedule covers the whole horizon.
        others: other runs, whole or partial, of any horizon.
        least_sd: least standard deviation, relative.
        worst_misfit: root mean square log residual above which the law does not describe the curves; where losses fall
            by large factors, the share of their spread that may stay unexplained grows with it.
    """
    curves = [run, *others]
    unexplained = WORST_FORECAST_SHARE * worst_misfit / WORST_FORECAST_MISFIT
    law = fit_forecaster(curves, replace(FAST, fit=replace(FAST.fit, worst_sd=worst_misfit, worst_share=unexplained)))
    if isinstance(law, FitFailure):
        return law
    law = replace(law, least_sd=least_sd)
    share = run.steps[-1] / run.schedule.steps
    whole = [i for i, curve in enumerate(others, 1) if curve.steps[-1] == curve.schedule.steps][:CALIBRATION_RUNS]
    errors = np.array([_past_error(law, curves[i], i, share) for i in whole])
    inflation = math.sqrt((INFLATION_RUNS + float(np.sum(errors**2))) / (INFLATION_RUNS + len(whole)))
    law = replace(law, inflation=inflation, degrees=INFLATION_RUNS + len(whole))
    return law.forecast(Query.ends([run.schedule]), [0])


def _past_error(law: Forecaster, curve: Curve, run: int, share: float) -> float:
    """Error over standard deviation had a whole run been forecast at this share of its horizon, without run 0."""
    assert law.process is not None  # noqa: S101 - the preset has one
    points = law.process.points
    early = np.exp(points.features[:, LOG_STEP]) <= share * curve.schedule.steps + 0.5
    known = (points.run != 0) & ((points.run != run) | early)
    past = law.forecast(Query.ends([curve.schedule]), [run], known=known)
    return float((np.log(curve.losses[-1]) - past.log_mean[0]) / past.sd[0])


def _late_options(
    family: LawFamily[Any], curves: Sequence[Curve], preset: Preset, warm: Forecaster | None
) -> FitOptions:
    """The fit's options with the late power that the misfit asks for, and the prior as much weaker."""
    fit = preset.fit
    if preset.most_late_power is None:
        return fit
    late = late_power(family, curves, fit, preset.most_late_power) if warm is None else warm.late_power
    noise = fit.robustness.noise * fit.late_power / late
    return replace(fit, late_power=late, robustness=replace(fit.robustness, noise=noise))


def _weights(names: Sequence[str], loo: FloatArray, curves: int) -> FloatArray:
    if len(names) == 1:
        return np.ones(1)
    weights: FloatArray = np.array([LAW_WEIGHTS[name] for name in names])
    if not np.any(np.isnan(loo)) and np.any(np.isfinite(loo)):  # else the folds tell nothing
        resolution = RESOLUTION * math.sqrt(3 / curves)
        weights = weights * np.exp(-0.5 * (loo**2 - loo.min() ** 2) / resolution**2)
    return weights / float(weights.sum())


def _with_process(
    law: Forecaster, curves: Sequence[Curve], preset: Preset, kernel: ResidualKernel | None = None
) -> Forecaster:
    """The laws with the process over what they leave unexplained; without a kernel with the preset's or a learned."""
    if preset.process_points == 0:
        return law
    used = _process_curves(curves, preset)
    asked = [(curve.schedule, curve.steps) for curve in used]
    stack = replace(law.stack, peak_lr=one_peak([curve.schedule.peak_lr for curve in curves]))
    residuals = np.log(np.concatenate([curve.losses for curve in used]) / stacked_mean(stack, asked))
    points = run_points(asked)
    kernel = kernel or _kernel(points, residuals, preset)
    return replace(law, process=ResidualProcess.of(points, residuals, kernel))


def _process_curves(curves: Sequence[Curve], preset: Preset) -> list[Curve]:
    """The points that the process keeps."""
    if preset.process_points is None:
        return [fitted_part(curve, preset.fit.first_share) for curve in curves]
    each = int(np.clip(preset.process_points // max(len(curves), 1), 6, MOST_RUN_POINTS))
    share = float(preset.least_weight ** (1 / max(preset.fit.late_power, 1.0)))
    return [spread(curve, each, share * seen_share(curve)) for curve in curves]


def _kernel(points: RunPoints, residuals: FloatArray, preset: Preset) -> ResidualKernel:
    if preset.kernel is not None:
        return ResidualKernel.guess(points, residuals, preset.kernel)
    return learned(points, residuals, TRANSIENT_RUNS if preset.fit.late_power > TRANSIENT_POWER else WHOLE_RUNS)


def _inflation(
    law: Forecaster, kernel: ResidualKernel, held: LeftOut, curves: Sequence[Curve], preset: Preset
) -> float | None:
    """Root mean square of error / sd at the ends of left-out curves, shrunk towards 1; None where none is left out."""
    squares = []
    for fold, found in zip(held.folds, held.fits, strict=True):
        fits = tuple(fit for fit in found if fit is not None)
        if len(fits) < len(found):
            continue
        rest = [curve for i, curve in enumerate(curves) if i not in fold]
        part = _with_process(replace(law, fits=fits, inflation=1.0), rest, preset, kernel)
        for i in fold:
            seen = within_reach(curves[i], rest)
            if seen.steps.size:
                end = part.forecast(Query.of([(seen.schedule, seen.steps[-1:])]))
                squares.append(float(((np.log(seen.losses[-1]) - end.log_mean[0]) / end.sd[0]) ** 2))
    if not squares:
        return None
    factor = math.sqrt((INFLATION_RUNS + sum(squares)) / (INFLATION_RUNS + len(squares)))
    return max(factor, LEAST_INFLATION)
