"""Fit a loss law to curves: Huber on log residuals, a prior, several starts; failure is a value.

The unregularised optimum of the Multi-Power Law predicts worse than the published, early-stopped fit, because some
parameters are hardly identified by three curves. So every form brings a prior, and the fit is its posterior mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import nnls

from autosched.curves.curve import Curve
from autosched.laws.drops import warmup_steps
from autosched.laws.form import LawForm, Prepared
from autosched.laws.protocol import LossLaw
from autosched.laws.robust import Minimum, Prior, Residuals, Robustness, minimise
from autosched.schedules.schedule import FloatArray

_FEWEST_POINTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How to fit.

    Attributes:
        robustness: Huber threshold and the residual that counts as one standard deviation.
        first_share: share of a curve's horizon that is left out as start-up; warmup always is.
        worst_sd: residual standard deviation (log loss) above which the law does not describe the curves.
        late_power: a point's weight is (step / last step of its curve) to this power, 1 on average.
        iterations: most steps per start.
    """

    robustness: Robustness = field(default_factory=Robustness)
    first_share: float = 0.0
    worst_sd: float = 0.05
    late_power: float = 0.0
    iterations: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LawFit:
    """A law and how well it is known.

    Attributes:
        law: the fitted law.
        logs: natural logs of its fitted parameters, shape (p,).
        covariance: of `logs`, from the curves and the prior, shape (p, p).
        fields: the parameters' names, in the order of `logs`.
        residual_sd: root mean square of the log residuals.
        objective: what was minimised, at the fit.
        iterations: descent steps, all starts together.
        points: how many points were fitted.
    """

    law: LossLaw
    logs: FloatArray
    covariance: FloatArray
    fields: tuple[str, ...]
    residual_sd: float
    objective: float
    iterations: int
    points: int

    @property
    def params(self) -> Mapping[str, float]:
        """Parameters by name."""
        return dict(zip(self.fields, np.exp(self.logs).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFailure:
    """Why no law could be fitted, as a sentence that says what to try."""

    reason: str


def fit_law(
    form: LawForm[Prepared],
    curves: Sequence[Curve],
    options: FitOptions | None = None,
    *,
    start: FloatArray | None = None,
) -> LawFit | FitFailure:
    """Fit one kind of law.

    Args:
        form: the kind of law, e.g. ``MultiPowerForm()``.
        curves: whole or partial runs.
        start: descend from here alone (a warm start: the `logs` of an earlier fit).
    """
    options = options or FitOptions()
    used = [fitted_part(curve, options.first_share) for curve in curves]
    used = [curve for curve in used if curve.steps.size]
    points = sum(curve.steps.size for curve in used)
    if points < _FEWEST_POINTS:
        return FitFailure(reason=f"{points} points after warmup are too few to fit: log more often, or add curves.")
    seen = np.log(np.concatenate([curve.losses for curve in used]))
    prepared = form.prepare([(curve.schedule, curve.steps) for curve in used])
    belief = form.belief(used)
    starts = form.starts(belief) if start is None else [start]
    starts = [_with_linear(form, prepared, x, np.exp(seen)) for x in starts] if start is None else starts
    weights = np.concatenate([_late_weights(curve, options.late_power) for curve in used])

    def residuals(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        losses, jacobian = form.losses(prepared, x)
        losses = np.where(losses > 0, losses, np.nan)
        return seen - np.log(losses), -jacobian / losses[:, None]

    found = _best(residuals, starts, belief, weights, options)
    if found is None:
        return FitFailure(reason="no start has a positive finite loss: check the curves' LRs and losses.")
    sd = float(np.sqrt(np.mean(found.residuals**2)))
    if sd > options.worst_sd:
        return FitFailure(
            reason=f"{form.name} misses the curves by {sd:.1%} (root mean square, above {options.worst_sd:.0%}): "
            "leave out the start-up, or curves of another model or batch size."
        )
    return LawFit(
        law=form.law(found.x),
        logs=found.x,
        covariance=found.covariance,
        fields=form.fields,
        residual_sd=sd,
        objective=found.objective,
        iterations=found.iterations,
        points=seen.size,
    )


def fitted_part(curve: Curve, first_share: float) -> Curve:
    """The curve without its warmup and without the first share of its horizon."""
    first = max(warmup_steps(curve.schedule.lrs), first_share * curve.schedule.steps, 1.0)
    rows = curve.steps >= first
    return Curve(schedule=curve.schedule, steps=curve.steps[rows], losses=curve.losses[rows], name=curve.name)


def _late_weights(curve: Curve, power: float) -> FloatArray:
    weights = (curve.steps / curve.steps[-1]) ** power
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _with_linear(form: LawForm[Prepared], prepared: Prepared, x: FloatArray, losses: FloatArray) -> FloatArray:
    """`x` with its linear parameters at their non-negative least squares."""
    linear = list(form.linear)
    basis = form.losses(prepared, x)[1][:, linear]
    factors, _ = nnls(basis / losses[:, None], np.ones(losses.size))
    started = x.copy()
    started[linear] += np.log(np.maximum(factors, 0.05))
    return started


def _best(
    residuals: Residuals, starts: Sequence[FloatArray], belief: Prior, weights: FloatArray, options: FitOptions
) -> Minimum | None:
    """The lowest minimum over the starts; a few steps from each, then the best two to the end."""

    def descend(x: FloatArray, iterations: int) -> Minimum:
        robustness = options.robustness
        return minimise(residuals, x, prior=belief, robustness=robustness, weights=weights, iterations=iterations)

    usable = [x for x in starts if np.all(np.isfinite(residuals(x)[0]))]
    if len(usable) > 1:
        short = sorted((descend(x, 8) for x in usable), key=lambda found: found.objective)
        usable = [found.x for found in short[:2]]
    whole = [descend(x, options.iterations) for x in usable]
    return min(whole, key=lambda found: found.objective, default=None)
