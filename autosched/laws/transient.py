"""How far the start of runs is out of a law's regime, and how much late points should therefore count.

A law's misfit is |ln L_seen - ln L_law|. Within its regime it is about the same all along a run. Runs that are mostly
transient miss the law more the earlier it is, like ``misfit ~ (step / last step)**-slope``; a fit that weighs points by
the inverse of their variance then has weights ``(step / last step)**(2 * slope)``. Late weights let the start misfit
more, so slope and fit are found in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law, fitted_part
from autosched.laws.form import LawForm, Prepared

ROUNDS = 3
LEAST_MISFIT = 3e-4  # of one point; what is smaller is luck
TRANSIENT_POWER = 2.0  # above it, runs are mostly transient
ENOUGH = 0.2  # change of the power that no longer matters


def late_power(form: LawForm[Prepared], curves: Sequence[Curve], options: FitOptions, most: float) -> float:
    """The power of the late weights, from `options.late_power` (a law in its regime) to `most` (a transient).

    Args:
        form: the law whose misfit is looked at.
        options: of the fit; its late power is the least.
    """
    power, start = options.late_power, None
    for _ in range(ROUNDS):
        fit = fit_law(form, curves, replace(options, late_power=power), start=start)
        if not isinstance(fit, LawFit):
            break
        found = float(np.clip(2 * misfit_slope(form, fit, curves, options.first_share), options.late_power, most))
        settled = abs(found - power) < ENOUGH
        power, start = found, fit.logs
        if settled:
            break
    return power


def transient_options(options: FitOptions, power: float) -> FitOptions:
    """The fit's options with this late power, and the prior as much weaker as a transient asks for."""
    noise = options.robustness.noise * options.late_power / power
    return replace(options, late_power=power, robustness=replace(options.robustness, noise=noise))


def misfit_slope(form: LawForm[Prepared], fit: LawFit, curves: Sequence[Curve], first_share: float) -> float:
    """How steeply the misfit grows towards the start of the runs: slope of its log against ln(last step / step)."""
    used = [curve for curve in (fitted_part(curve, first_share) for curve in curves) if curve.steps.size]
    losses, _ = form.losses(form.prepare([(curve.schedule, curve.steps) for curve in used]), fit.logs)
    misfit = np.abs(np.log(np.concatenate([curve.losses for curve in used]) / losses))
    before = np.log(np.concatenate([curve.steps[-1] / curve.steps for curve in used]))
    before = before - before.mean()
    spread = float(before @ before)
    return float(before @ np.log(misfit + LEAST_MISFIT)) / spread if spread > 0 else 0.0
