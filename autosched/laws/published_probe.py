"""The forecast of a probe exactly as AutoLRS published it (Jin et al. 2021; YuchenJin/autolrs, autolrs_server.py).

    L(x) = a * exp(b * x) + c,  b < 0        x = 0 for the probe's first loss

Ten times (once for validation losses): a quadratic spline with scipy's default smoothing, then the 3% of points (the
one point) furthest off it are dropped, unless they lie in the later half. The spline of what is left is fitted by a
one-dimensional Nelder-Mead search over ln(-b), with a and c by least squares.

It is here to be compared with. :mod:`autosched.laws.exponential_forecast` says what is wrong with it and is what to
use. One thing is mended: the published search crashes where the least squares have no unique solution (scipy returns
no residual), here such a b has an infinite residual, and if none has a finite one that is the answer.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import UnivariateSpline
from scipy.optimize import fmin

from autosched.errors import UsageError
from autosched.laws.exponential_forecast import probe_fault
from autosched.laws.fit import FitFailure
from autosched.laws.priors import FEWEST_POINTS
from autosched.schedules.schedule import FloatArray

_DROPPED_SHARE = 0.03
_ROUNDS = 10
_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedForecast:
    """``value = a * exp(b * asked) + c`` nats; `a` may be negative and so may `c` and `value`."""

    value: float
    a: float
    b: float
    c: float


def published_forecast(losses: ArrayLike, asked: float, *, validation: bool = False) -> PublishedForecast | FitFailure:
    """Forecast a probe's loss as the published server does.

    Args:
        losses: one per x = 0, 1, …, nats, shape (n,).
        asked: the x at which the loss is asked.
        validation: whether these are validation losses, of which only one point is dropped.

    Returns:
        A forecast, or the reason why there is none: a loss that is not finite, fewer than 8, or no unique fit.

    Raises:
        UsageError: losses that are no vector.

    Example:
        >>> import numpy as np
        >>> round(published_forecast(2 - 0.001 * np.arange(100), 1000).value, 3)
        1.0
    """
    y = np.asarray(losses, dtype=np.float64)
    if y.ndim != 1:
        raise UsageError(f"losses must be a vector, but have shape {y.shape}.")
    x = np.arange(y.size, dtype=np.float64)
    fault = probe_fault(x, y)
    if fault is not None:
        return fault
    smooth = _spline(*_without_outliers(x, y, validation=validation), x)
    return _fitted(x, smooth, asked)


def _spline(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    with warnings.catch_warnings():  # it warns of losses that it cannot smooth exactly as far as asked
        warnings.simplefilter("ignore")
        values: FloatArray = UnivariateSpline(x, y, k=2)(at)
    return values


def _without_outliers(x: FloatArray, y: FloatArray, *, validation: bool) -> tuple[FloatArray, FloatArray]:
    bound = x[(x.size - 1) // 2]
    for _ in range(1 if validation else _ROUNDS):
        off = np.argsort(np.abs(y - _spline(x, y, x)), kind="stable")
        count = 1 if validation else round(_DROPPED_SHARE * x.size)
        # round(-0.03 n) == 0 is a slice of everything in the published code: few points are all called outliers
        worst = off[-count:] if count else off
        kept = np.ones(x.size, dtype=np.bool_)
        kept[worst[worst < bound]] = False
        if kept.sum() < FEWEST_POINTS:
            break
        x, y = x[kept], y[kept]
    return x, y


def _fitted(x: FloatArray, y: FloatArray, asked: float) -> PublishedForecast | FitFailure:
    with np.errstate(over="ignore"):  # a memory of 0 updates
        log_rate = float(fmin(_residual, 0.0, args=(x, y), xtol=_TOLERANCE, ftol=_TOLERANCE, disp=False)[0])
    found = _linear(log_rate, x, y)
    if found is None:
        return FitFailure(reason="the probe fits no exponential: every rate leaves its least squares undetermined.")
    (a, c), _ = found
    b = -math.exp(log_rate)
    return PublishedForecast(value=a * math.exp(b * asked) + c, a=a, b=b, c=c)


def _residual(log_rate: FloatArray, x: FloatArray, y: FloatArray) -> float:
    found = _linear(float(log_rate[0]), x, y)
    return math.inf if found is None else found[1]


def _linear(log_rate: float, x: FloatArray, y: FloatArray) -> tuple[tuple[float, float], float] | None:
    """a, c and the sum of squares left; None where they are not determined."""
    basis = np.column_stack([np.exp(-np.exp(log_rate) * x), np.ones(x.size)])
    (a, c), _, rank, _ = np.linalg.lstsq(basis, y, rcond=None)
    return ((float(a), float(c)), float(np.sum((basis @ [a, c] - y) ** 2))) if rank == basis.shape[1] else None
