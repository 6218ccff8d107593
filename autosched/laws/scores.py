"""How well a law predicts curves that it may or may not have been fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.thinning import averaged
from autosched.errors import CurveError
from autosched.laws.fit import fitted_part
from autosched.laws.forecaster import forecast_along
from autosched.laws.law import LossLaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors over a curve's points after its warmup; of a long log, those it is thinned to.

    Attributes:
        r2: share of the variance explained; NaN where the observed loss does not vary.
        mae, rmse: mean absolute and root mean square error, nats.
        prede, worste: mean and largest ``|predicted - observed| / observed``.
        final_error: predicted minus observed at the last logged step, nats.
        coverage90: share of the points inside their 90% interval.
    """

    r2: float
    mae: float
    rmse: float
    prede: float
    worste: float
    final_error: float
    coverage90: float


def score(law: LossLaw, curve: Curve, *, run: int | None = None) -> Score:
    """Score a law on a curve.

    Args:
        run: number of the fitted curve whose run this is, for a log that goes on; None for a run that was not fitted.

    Raises:
        CurveError: no point after the warmup.
    """
    seen = fitted_part(averaged(curve), 0.0)
    if seen.steps.size == 0:
        raise CurveError(f"{curve.name}: no point after the warmup.")
    predicted = forecast_along(law, seen.schedule, seen.steps, run=run)
    errors = predicted.mean - seen.losses
    relative = np.abs(errors) / seen.losses
    low, high = predicted.interval(0.9)
    spread = float(np.sum((seen.losses - seen.losses.mean()) ** 2))
    return Score(
        r2=1 - float(np.sum(errors**2)) / spread if spread > 0 else float("nan"),
        mae=float(np.mean(np.abs(errors))),
        rmse=float(np.sqrt(np.mean(errors**2))),
        prede=float(relative.mean()),
        worste=float(relative.max()),
        final_error=float(errors[-1]),
        coverage90=float(np.mean((low <= seen.losses) & (seen.losses <= high))),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean of every number over curves; NaNs are left out where there are others."""
    table = {name: np.array([getattr(item, name) for item in scores]) for name in asdict(scores[0])}
    known = {name: values[~np.isnan(values)] for name, values in table.items()}
    return Score(**{name: float(values.mean()) if values.size else float("nan") for name, values in known.items()})
