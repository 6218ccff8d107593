"""The Gaussian process over log LR that proposes a stage's next LR, and the lower confidence bound.

    name   meaning                                                             unit
    u      (ln lr - ln low) / (ln high - ln low)                               share of the range
    y      ln(1 + (worth - best worth of its stage) / typical distance)        -
    k      amplitude^2 * Matern-5/2(u) * RBF(stage) + offset^2 * [same stage]

Worths span orders of magnitude (an LR that is much too high, one that is about right), so their distances to the best
are compressed; the order stays. Each point brings its own noise, the variance of its forecast.

Why scikit-learn: its regressor takes a variance per point (`alpha`), which is what forecasts have; Optuna's Gaussian
process is not public, fits one noise level for all points, and its sampler has no lower confidence bound. The kernel's
length and amplitude are the most likely ones of a small grid under a mild prior: with ten points the likelihood is
nearly flat, and gradient ascent ends at a bound more often than not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.schedules.schedule import FloatArray
from autosched.search.autolrs.priors import (
    AMPLITUDE,
    DIVERGED_WORSE,
    LENGTH,
    STAGE_DRIFT,
    STAGE_OFFSET,
    UNSAID_SD,
)

GRID = 241
"""LRs that can be proposed, even in log LR."""
_FAR, _APART = 1e5, 1e-3  # lengths at which a coordinate does not matter, and at which only equals count


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """LRs that were tried.

    Attributes:
        u: of each LR, shape (n,).
        stage: how many stages ago, shape (n,); 0 is the present one.
        worth: forecast loss, nats, NaN for one that diverged, shape (n,).
        sd: of the worth, nats, shape (n,).
    """

    u: FloatArray
    stage: FloatArray
    worth: FloatArray
    sd: FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Surrogate:
    """A fitted process; asked about the present stage."""

    process: Any
    y: FloatArray

    @classmethod
    def fit(cls, points: Points) -> Surrogate:
        """Fit to at least one point."""
        from sklearn.gaussian_process import GaussianProcessRegressor

        y, noise = compressed(points)
        inputs, variance = np.column_stack([points.u, points.stage]), noise**2 + UNSAID_SD**2
        length, amplitude = _most_likely(inputs, y, variance)
        kernel = amplitude**2 * _shape(length) + _offset()
        process = GaussianProcessRegressor(kernel, alpha=variance, optimizer=None).fit(inputs, y)
        return cls(process=process, y=y)

    def at(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of y in the present stage, each of the shape of `u`."""
        mean, sd = self.process.predict(np.column_stack([u, np.zeros_like(u)]), return_std=True)
        return mean, sd

    def believing(self, points: Points, u: Sequence[float]) -> Surrogate:
        """The process as if LRs that are still being tried had turned out as it expects (constant liar, believer)."""
        if not u:
            return self
        asked = np.asarray(u, dtype=np.float64)
        process = self.process
        inputs = np.column_stack([np.append(points.u, asked), np.append(points.stage, np.zeros_like(asked))])
        again = type(process)(process.kernel_, alpha=np.append(process.alpha, np.full(asked.size, UNSAID_SD**2)))
        again.optimizer = None
        y = np.append(self.y, self.at(asked)[0])
        again.fit(inputs, y)
        return Surrogate(process=again, y=y)

    def lowest_bound(self, kappa: float, taken: Sequence[float], apart: float) -> float:
        """The u of the grid with the lowest ``mean - kappa * sd``, at least `apart` from those that are taken."""
        u = np.linspace(0.0, 1.0, GRID)
        mean, sd = self.at(u)
        distance = np.abs(u[:, None] - np.asarray(taken, dtype=np.float64)[None, :]).min(axis=1, initial=1.0)
        free = distance >= apart if np.any(distance >= apart) else distance == distance.max()
        return float(u[int(np.argmin(np.where(free, mean - kappa * sd, np.inf)))])


def compressed(points: Points) -> tuple[FloatArray, FloatArray]:
    """y and the standard deviation of its noise, each shape (n,)."""
    y, noise = np.zeros(points.u.size), np.zeros(points.u.size)
    for stage in np.unique(points.stage):
        rows = np.flatnonzero(points.stage == stage)
        fine = rows[np.isfinite(points.worth[rows])]
        worst = 0.0
        if fine.size:
            above = points.worth[fine] - points.worth[fine].min()
            typical = max(float(np.median(above)), float(np.mean(points.sd[fine])), 1e-9)
            y[fine] = np.log1p(above / typical)
            noise[fine] = points.sd[fine] / (typical + above)
            worst = float(y[fine].max())
            y[fine] -= y[fine].mean()
            worst = float(y[fine].max()) if fine.size > 1 else worst
        y[np.setdiff1d(rows, fine)] = worst + DIVERGED_WORSE
    return y, noise


def _shape(length: float) -> Any:
    from sklearn.gaussian_process.kernels import RBF, Matern

    return Matern(length_scale=[length, _FAR], nu=2.5) * RBF(length_scale=[_FAR, STAGE_DRIFT])


def _offset() -> Any:
    from sklearn.gaussian_process.kernels import RBF

    return STAGE_OFFSET**2 * RBF(length_scale=[_FAR, _APART])


def _most_likely(inputs: FloatArray, y: FloatArray, variance: FloatArray) -> tuple[float, float]:
    """Length and amplitude of the grid with the highest likelihood times prior."""
    rest = _offset()(inputs) + np.diag(variance)
    scored = []
    for doubled in np.linspace(-2.0, 2.0, 9):
        length = LENGTH * 2**doubled
        shape = _shape(length)(inputs)
        for louder in (-1, 0, 1):
            amplitude = AMPLITUDE * 2.0**louder
            factor = np.linalg.cholesky(amplitude**2 * shape + rest)
            whitened = np.linalg.solve(factor, y)
            log_likelihood = -0.5 * float(whitened @ whitened) - float(np.log(np.diag(factor)).sum())
            log_prior = -0.5 * (doubled**2 + louder**2)
            scored.append((log_likelihood + log_prior, float(length), amplitude))
    return max(scored)[1:]
