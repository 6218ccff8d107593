"""Robust least squares with a Gaussian prior, by Levenberg-Marquardt with an analytic Jacobian.

    minimise  sum_i w_i h(r_i) / noise**2 + 1/2 sum_j ((x_j - mean_j) / sd_j)**2,   r = ln L_seen - ln L_law(x)
    h(r) = r**2 / 2 for |r| < delta, else delta (|r| - delta / 2)

Whole problems take a few milliseconds: the normal equations of about ten parameters, no line search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dposv

from autosched.schedules.schedule import FloatArray

Residuals = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""x of shape (p,) -> residuals (n,) and their Jacobian (n, p); may hold infinities, which end a step, not the fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Independent normals on the parameters, each shape (p,); sd 0 fixes a parameter at its mean."""

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """How much single points and the prior weigh.

    Attributes:
        delta: residual (log loss) above which a point pulls with constant force.
        noise: residual that counts as one standard deviation; larger than the scatter of one point, because the
            residuals of a curve hang together.
    """

    delta: float = 1e-3
    noise: float = 3e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """Where the descent ended.

    Attributes:
        x: parameters, shape (p,).
        covariance: of x, the inverse of the Gauss-Newton Hessian with the prior, shape (p, p).
        objective: the value that was minimised.
        residuals: at x, shape (n,).
        iterations: steps tried.
        converged: the last accepted step no longer lowered the objective noticeably.
    """

    x: FloatArray
    covariance: FloatArray
    objective: float
    residuals: FloatArray
    iterations: int
    converged: bool


def huber(residuals: FloatArray, delta: float) -> FloatArray:
    """The Huber function of each residual: quadratic below `delta`, linear above."""
    size = np.abs(residuals)
    return np.where(size < delta, 0.5 * residuals**2, delta * (size - 0.5 * delta))


def minimise(  # noqa: PLR0913
    residuals: Residuals,
    start: FloatArray,
    *,
    prior: Prior,
    robustness: Robustness,
    weights: FloatArray,
    iterations: int = 60,
    tolerance: float = 1e-6,
) -> Minimum:
    """Descend from `start`; `weights` (n,) multiply the points' terms. Never raises for a bad fit."""
    free = np.flatnonzero(prior.sd > 0)
    x = np.where(prior.sd > 0, start, prior.mean)
    precision = 1.0 / prior.sd[free] ** 2

    def objective(r: FloatArray, at: FloatArray) -> float:
        data = float(weights @ huber(r, robustness.delta)) / robustness.noise**2
        return data + 0.5 * float(precision @ (at - prior.mean)[free] ** 2)

    r, jacobian = residuals(x)
    value, damping, converged, tried = objective(r, x), 1e-3, False, 0
    hessian = np.diag(precision)
    fresh = True
    while tried < iterations and not converged:
        tried += 1
        if fresh:
            pull = weights * np.minimum(1.0, robustness.delta / np.maximum(np.abs(r), 1e-300)) / robustness.noise**2
            j = jacobian[:, free]
            hessian = (j * pull[:, None]).T @ j + np.diag(precision)
            gradient = j.T @ (pull * r) + precision * (x - prior.mean)[free]
        step = _solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
        candidate = x.copy()
        candidate[free] -= np.clip(step, -2.0, 2.0)
        r_new, jacobian_new = residuals(candidate)
        value_new = objective(r_new, candidate) if _finite(r_new, jacobian_new) else np.inf
        fresh = value_new <= value
        if fresh:
            converged = value - value_new < tolerance * (1.0 + value)
            x, r, jacobian, value = candidate, r_new, jacobian_new, value_new
            damping = max(damping / 5, 1e-9)
        else:
            damping *= 4
            converged = damping > 1e8
    covariance = np.zeros((x.size, x.size))
    covariance[np.ix_(free, free)] = _solve(hessian, np.eye(free.size))
    return Minimum(x=x, covariance=covariance, objective=value, residuals=r, iterations=tried, converged=converged)


def _finite(residuals: FloatArray, jacobian: FloatArray) -> bool:
    return bool(np.all(np.isfinite(residuals)) and np.all(np.isfinite(jacobian)))


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """By Cholesky, as scipy.linalg.cho_solve does, whose checks take most of the time of ten unknowns."""
    jitter = 1e-12 * float(np.trace(matrix)) / matrix.shape[0]
    _, solution, failed = dposv(matrix + jitter * np.eye(matrix.shape[0]), right)
    if failed:
        raise LinAlgError(f"no Cholesky factor of a matrix of {matrix.shape[0]} unknowns: LAPACK says {failed}.")
    found: FloatArray = solution
    return found
