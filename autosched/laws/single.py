"""One fitted law on its own, with the uncertainty of its parameters and of what it leaves unexplained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.auto import AutoOptions, Prediction
from autosched.laws.fit import FitFailure, LawFit, fit_law
from autosched.laws.form import LawForm
from autosched.laws.leave_out import leave_out
from autosched.laws.stack import Stack, stacked
from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SingleLaw:
    """A fitted law; satisfies :class:`autosched.laws.protocol.LossLaw`, with an interval as the default law has.

    Attributes:
        form, fit: the kind of law, and its parameters with their covariance.
        loo: leave-one-curve-out error, root mean square of log residuals; NaN with fewer than three curves.
        names: of the fitted curves.
    """

    form: LawForm[Any]
    fit: LawFit
    loo: float
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The law's name."""
        return self.form.name

    @property
    def stack(self) -> Stack:
        """The law as a stack of one."""
        return Stack(forms=(self.form,), fits=(self.fit,), weights=np.ones(1))

    @property
    def unexplained(self) -> float:
        """Standard deviation of the log loss that the parameters do not account for."""
        return float(np.nanmax([self.fit.residual_sd, self.loo]))

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(steps,)``, nats; interpolated between a few hundred exact steps."""
        return self.fit.law.predict(schedule)

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        return self.fit.law.predict_at(schedule, steps)

    def forecast(self, schedule: Schedule, steps: FloatArray, *, run: int | None = None) -> Prediction:
        """Mean and standard deviation after each of `steps` updates; the law knows no single runs, so `run` is moot."""
        steps = np.asarray(steps, dtype=np.float64)
        mean, variance = stacked(self.stack, [(schedule, steps)])
        return Prediction(steps=steps, mean=mean, sd=np.sqrt(variance + self.unexplained**2))


def fit_single(
    form: LawForm[Any], curves: Sequence[Curve], options: AutoOptions | None = None
) -> SingleLaw | FitFailure:
    """Fit one law as the default law would fit it, and leave out one curve at a time to see its error."""
    options = options or AutoOptions()
    fit = fit_law(form, curves, options.fit)
    if isinstance(fit, FitFailure):
        return fit
    loo = leave_out([(form, fit)], curves, options.fit, options.folds).errors()
    return SingleLaw(form=form, fit=fit, loo=float(loo[0]), names=tuple(curve.name for curve in curves))
