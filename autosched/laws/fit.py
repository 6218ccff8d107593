"""Fit a loss law to curves: Huber on log residuals, a prior, several starts; failure is a value.

The unregularised optimum of the Multi-Power Law predicts worse than the published, early-stopped fit, because some
parameters are hardly identified by three curves. So every family brings a prior, and the fit is its posterior mode.

A law's misfit is |ln L_seen - ln L_law|. Within its regime it is about the same all along a run. Runs that are mostly
transient miss the law more the earlier it is, like ``misfit ~ (step / last step)**-slope``; a fit that weighs points by
the inverse of their variance then has weights ``(step / last step)**(2 * slope)``. Late weights let the start misfit
more, so slope and fit are found in turn (:func:`late_power`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from autosched.curves.curve import Curve
from autosched.curves.thinning import NORMAL
from autosched.laws.drops import warmup_of
from autosched.laws.law import LawFamily, LossLaw, Prepared
from autosched.laws.priors import (
    FEWEST_POINTS,
    FIRST_SHARE,
    LATE_POWER_ENOUGH,
    LATE_POWER_ROUNDS,
    LEAST_MISFIT,
    MOST_OUTLYING,
    OUTLYING,
    TINY,
    WORST_MISFIT,
)
from autosched.laws.robust import Minimum, Prior, Residuals, Robustness, minimise
from autosched.schedules.schedule import FloatArray

LEAST_LOSS = 1e-150
"""And the inverse of the largest: their squares are numbers of double precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How to fit.

    Attributes:
        robustness: Huber threshold and the residual that counts as one standard deviation.
        first_share: share of a curve's horizon that is left out as start-up; warmup always is.
        worst_sd: residual standard deviation (log loss) above which the law does not describe the curves.
        worst_share: the same as a share of the log losses' own standard deviation; the larger of the two counts.
        late_power: a point's weight is (step / last step of its curve) to this power, 1 on average.
        iterations: most steps per start.
        tolerance: relative gain of a step below which a descent has converged.
        from_prior: descend from the prior's mean alone, instead of from the family's starts.
    """

    robustness: Robustness = field(default_factory=Robustness)
    first_share: float = 0.0
    worst_sd: float = WORST_MISFIT
    worst_share: float = 0.0
    late_power: float = 0.0
    iterations: int = 60
    tolerance: float = 1e-6
    from_prior: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlyingRow:
    """A loss that is far from what all others say: a spike, a damaged row.

    Attributes:
        curve: its number among the curves that were fitted.
        step: updates done.
        loss, expected: as logged, and by the law, nats.
    """

    curve: int
    step: float
    loss: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LawFit:
    """A law and how well it is known.

    Attributes:
        law: the fitted law.
        logs: natural logs of its fitted parameters, shape (p,).
        covariance: of `logs`, from the curves and the prior, shape (p, p).
        fields: the parameters' names, in the order of `logs`.
        residual_sd: root mean square of the log residuals of all rows but the outlying ones.
        objective: what was minimised, at the fit.
        iterations: descent steps, all starts together.
        points: how many points were fitted.
        outlying: rows that lie more than six robust standard deviations, and more than `worst_sd`, from the law.
    """

    law: LossLaw
    logs: FloatArray
    covariance: FloatArray
    fields: tuple[str, ...]
    residual_sd: float
    objective: float
    iterations: int
    points: int
    outlying: tuple[OutlyingRow, ...] = ()

    @property
    def params(self) -> Mapping[str, float]:
        """Parameters by name."""
        return dict(zip(self.fields, np.exp(self.logs).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFailure:
    """Why no law could be fitted.

    Attributes:
        reason: a sentence that says what to try.
        tried: whether there was enough to fit, so that a few more points of the same curves mend nothing.
    """

    reason: str
    tried: bool = False


def fit_law(
    family: LawFamily[Prepared],
    curves: Sequence[Curve],
    options: FitOptions | None = None,
    *,
    start: FloatArray | None = None,
) -> LawFit | FitFailure:
    """Fit one kind of law.

    Args:
        family: the kind of law, e.g. ``MultiPowerFamily()``.
        curves: whole or partial runs.
        start: descend from here alone (a warm start: the `logs` of an earlier fit).
    """
    options = options or FitOptions()
    parts = {number: fitted_part(curve, options.first_share) for number, curve in enumerate(curves)}
    runs = [curve for curve in parts.values() if curve.steps.size]
    points = sum(curve.steps.size for curve in runs)
    used = [*runs, *(merged for curve in runs for merged in curve.merged)]
    if points < FEWEST_POINTS:
        return FitFailure(reason=f"{points} points after warmup are too few to fit: log more often, or add curves.")
    for curve in used:
        if (reason := _no_logarithm(curve)) is not None:
            return FitFailure(reason=reason)
    seen = np.log(np.concatenate([curve.losses for curve in used]))
    prepared = family.prepare([(curve.schedule, curve.steps) for curve in used])
    prior = family.prior(runs)
    if start is None and not options.from_prior:
        starts = [_with_linear(family, prepared, x, np.exp(seen)) for x in family.starts(prior)]
    else:
        starts = [prior.mean if start is None else start]
    weights = np.concatenate([_weights(curve, options) for curve in used])

    def residuals(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        losses, jacobian = family.losses(prepared, x)
        losses = np.where(losses > 0, losses, np.nan)
        return seen - np.log(losses), -jacobian / losses[:, None]

    found = _best(residuals, starts, prior, weights, options)
    if found is None:
        return FitFailure(reason="no start has a positive finite loss: check the curves' LRs and losses.")
    missed = found.residuals[:points]  # those of merged losses come last and have errors of their own
    out = _lie_out(missed, options.worst_sd)
    sd = float(np.sqrt(np.mean(missed[~out] ** 2)))
    worst = max(options.worst_sd, options.worst_share * float(np.std(seen[:points])))
    if sd > worst:
        return FitFailure(
            reason=f"the {family.name} law misses the curves by {sd:.1%} (root mean square, above "
            f"{worst:.0%}): leave out the start-up, or curves of another model or batch size.",
            tried=True,
        )
    return LawFit(
        law=family.law(found.x),
        logs=found.x,
        covariance=found.covariance,
        fields=family.fields,
        residual_sd=sd,
        objective=found.objective,
        iterations=found.iterations,
        points=seen.size,
        outlying=_named(parts, missed, out),
    )


def _no_logarithm(curve: Curve) -> str | None:
    """Why laws, which describe the logarithm of losses and square them, say nothing of this curve; None if they may."""
    out = np.flatnonzero(~((curve.losses > LEAST_LOSS) & (curve.losses < 1 / LEAST_LOSS)))
    if not out.size:
        return None
    what = f"{curve.name or 'a curve'} has the loss {curve.losses[out[0]]:g} at update {curve.steps[out[0]]:g}"
    if curve.losses[out[0]] > 0:
        return f"{what}, and laws describe losses between {LEAST_LOSS:g} and {1 / LEAST_LOSS:g} only."
    return f"{what}, and laws describe losses above 0 only: add a constant to the loss."


def common_outliers(fits: Sequence[LawFit]) -> tuple[OutlyingRow, ...]:
    """The rows that lie out for every one of several laws; what is expected there is the first law's."""
    places = [{(row.curve, row.step) for row in fit.outlying} for fit in fits]
    common = set.intersection(*places) if places else set()
    return tuple(row for row in fits[0].outlying if (row.curve, row.step) in common) if common else ()


def without_outliers(curves: Sequence[Curve], outlying: Sequence[OutlyingRow]) -> list[Curve]:
    """The curves without those of these rows after which a curve came back; at its end a run may be diverging."""
    steps: dict[int, list[float]] = {}
    for row in outlying:
        steps.setdefault(row.curve, []).append(row.step)
    kept = list(curves)
    for number, out in steps.items():
        lies_out = np.isin(curves[number].steps, out)
        back = np.flatnonzero(~lies_out)
        if back.size:
            lies_out[back[-1] :] = False
            kept[number] = curves[number].at(~lies_out)
    return kept


def _lie_out(residuals: FloatArray, worst_sd: float) -> NDArray[np.bool_]:
    """Which residuals are gross errors; none when there are so many that the law is at fault."""
    spread = NORMAL * float(np.median(np.abs(residuals)))
    out = np.abs(residuals) > max(OUTLYING * spread, worst_sd)
    return out if out.mean() <= MOST_OUTLYING else np.zeros_like(out)


def _named(parts: Mapping[int, Curve], residuals: FloatArray, out: NDArray[np.bool_]) -> tuple[OutlyingRow, ...]:
    """The outlying rows of the curves' fitted parts, by the curves' numbers."""
    places = [(number, row) for number, curve in parts.items() for row in range(curve.steps.size)] if out.any() else []
    found = []
    for at in np.flatnonzero(out):
        number, row = places[at]
        loss = float(parts[number].losses[row])
        expected = loss * float(np.exp(-residuals[at]))
        found.append(OutlyingRow(curve=number, step=float(parts[number].steps[row]), loss=loss, expected=expected))
    return tuple(found)


def fitted_part(curve: Curve, first_share: float) -> Curve:
    """The curve without its warmup and without the first share of its horizon."""
    first = max(warmup_of(curve.schedule.outline), first_share * curve.schedule.steps, 1.0)
    rows = curve.steps >= first
    return curve.at(rows)


def spread(curve: Curve, most: int, first_share: float) -> Curve:
    """At most `most` points of a curve after its warmup and a share of its horizon, even in log step, ends included."""
    part = fitted_part(curve, first_share)
    if part.steps.size <= most:
        return part
    asked = np.geomspace(part.steps[0], part.steps[-1], most)
    rows = np.unique(np.clip(np.searchsorted(part.steps, asked), 0, part.steps.size - 1))
    return part.at(rows)


def thinned(curve: Curve, *, most: int, first_share: float = FIRST_SHARE) -> Curve:
    """At most `most` points of a curve after its start-up, evenly spread, the last one always."""
    rows = np.flatnonzero(curve.steps >= max(first_share * curve.schedule.steps, 1.0))
    if rows.size > most:
        rows = rows[np.unique(np.round(np.linspace(0, rows.size - 1, most)).astype(np.intp))]
    return curve.at(rows)


def _weights(curve: Curve, options: FitOptions) -> FloatArray:
    """Late points weigh more, and those less whose own scatter adds to what counts as one standard deviation."""
    weights = (curve.steps / curve.steps[-1]) ** options.late_power
    weights = np.asarray(weights / weights.mean(), dtype=np.float64)
    return weights if curve.sds is None else weights / (1 + (curve.sds / options.robustness.noise) ** 2)


def _with_linear(family: LawFamily[Prepared], prepared: Prepared, x: FloatArray, losses: FloatArray) -> FloatArray:
    """`x` with its linear parameters at their non-negative least squares, in which one tiny loss must not be all."""
    linear = list(family.linear)
    basis = family.losses(prepared, x)[1][:, linear]
    tiny = losses < TINY * float(np.median(losses))
    rows = ~tiny if tiny.mean() <= MOST_OUTLYING else slice(None)
    factors, _ = nnls((basis / losses[:, None])[rows], np.ones(losses[rows].size))
    started = x.copy()
    started[linear] += np.log(np.maximum(factors, 0.05))
    return started


def _best(
    residuals: Residuals, starts: Sequence[FloatArray], prior: Prior, weights: FloatArray, options: FitOptions
) -> Minimum | None:
    """The lowest minimum over the starts; a few steps from each, then the best two to the end."""

    def descend(x: FloatArray, iterations: int) -> Minimum:
        return minimise(
            residuals,
            x,
            prior=prior,
            robustness=options.robustness,
            weights=weights,
            iterations=iterations,
            tolerance=options.tolerance,
        )

    usable = [x for x in starts if all(np.all(np.isfinite(part)) for part in residuals(x))]
    if len(usable) > 1:
        short = sorted((descend(x, 8) for x in usable), key=lambda found: found.objective)
        usable = [found.x for found in short[:2]]
    whole = [descend(x, options.iterations) for x in usable]
    return min(whole, key=lambda found: found.objective, default=None)


def late_power(family: LawFamily[Prepared], curves: Sequence[Curve], options: FitOptions, most: float) -> float:
    """The power of the late weights, from `options.late_power` (a law in its regime) to `most` (a transient).

    Args:
        family: the law whose misfit is looked at.
        options: of the fit; its late power is the least.
    """
    power, start = options.late_power, None
    for _ in range(LATE_POWER_ROUNDS):
        fit = fit_law(family, curves, replace(options, late_power=power), start=start)
        if not isinstance(fit, LawFit):
            break
        found = float(np.clip(2 * misfit_slope(family, fit, curves, options.first_share), options.late_power, most))
        settled = abs(found - power) < LATE_POWER_ENOUGH
        power, start = found, fit.logs
        if settled:
            break
    return power


def misfit_slope(family: LawFamily[Prepared], fit: LawFit, curves: Sequence[Curve], first_share: float) -> float:
    """How steeply the misfit grows towards the start of the runs: slope of its log against ln(last step / step)."""
    used = [curve for curve in (fitted_part(curve, first_share) for curve in curves) if curve.steps.size]
    losses = family.means(family.prepare([(curve.schedule, curve.steps) for curve in used]), fit.logs)
    misfit = np.abs(np.log(np.concatenate([curve.losses for curve in used]) / losses))
    before = np.log(np.concatenate([curve.steps[-1] / curve.steps for curve in used]))
    before = before - before.mean()
    spread = float(before @ before)
    return float(before @ np.log(misfit + LEAST_MISFIT)) / spread if spread > 0 else 0.0
