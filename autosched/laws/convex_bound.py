"""The last-iterate bound of SGD on convex problems, as a functional of the schedule (Schaipp et al. 2025, A4).

For updates x(t+1) = x(t) - lrs[t] g(t), t = 1..T, with |g(t)| <= G(t) and |x(1) - x*| <= D (arXiv:2501.18965; the bound
is Theorem 10 of arXiv:2310.07831)::

    E f(x_T) - f*  <=  T1 + T2 + T3
    T1 = D**2 / (2 S_1)
    T2 = Q_1 / (2 S_1)
    T3 = 1/2 sum over k < T of (lrs[k] / S_{k+1}) (Q_k / S_k)

    name   meaning                                                 shape   unit
    S_k    tail area, sum of lrs[t] over t >= k                    (T,)    LR
    Q_k    tail of squares, sum of (lrs[t] G(t))**2 over t >= k    (T,)    LR**2 G**2

Since lrs[k] / (S_{k+1} S_k) = 1 / S_{k+1} - 1 / S_k, summing by parts leaves a single sum, from which the gradient and
the law of :mod:`autosched.laws.convex_law` follow::

    T2 + T3 = 1/2 sum over k < T of (lrs[k] G(k))**2 / S_{k+1} + 1/2 lrs[T] G(T)**2

A schedule here holds the LRs of the updates that are made: a decay to zero ends one update before zero (as everywhere
in this package), so every tail area is positive. Updates with an LR of exactly 0 move nothing and are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from autosched.errors import ScheduleError
from autosched.schedules.schedule import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexBound:
    """The three terms of the bound, in units of the loss.

    Attributes:
        start: T1, what is left of the distance to the optimum.
        average: T2, the noise of the averaged iterate.
        last: T3, what the last iterate has above the average.
    """

    start: float
    average: float
    last: float

    @property
    def total(self) -> float:
        """The bound on the expected suboptimality of the last iterate."""
        return self.start + self.average + self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLr:
    """The factor of a schedule's shape that minimises its bound, and that bound."""

    lr: float
    bound: float


def convex_bound(lrs: ArrayLike, *, grad_norms: ArrayLike = 1.0, distance: float = 1.0) -> ConvexBound:
    """The bound after the last update; O(T).

    Args:
        lrs: LR of every update, finite, >= 0, not all 0, shape (T,).
        grad_norms: bound on the gradient's norm, one number or shape (T,).
        distance: distance of the start from the optimum.

    Raises:
        ScheduleError: LRs or gradient norms that the bound does not hold for.

    Example:
        >>> round(convex_bound([0.01] * 100).total, 6)
        0.530887
    """
    moved, norms = _moves(lrs, grad_norms)
    area, squares = _tails(moved), _tails((moved * norms) ** 2)
    return ConvexBound(
        start=float(distance**2 / (2 * area[0])),
        average=float(squares[0] / (2 * area[0])),
        last=0.5 * float(np.sum(moved[:-1] / area[1:] * (squares[:-1] / area[:-1]))),
    )


def optimal_base_lr(shape: ArrayLike, *, grad_norms: ArrayLike = 1.0, distance: float = 1.0) -> BaseLr:
    """The base LR that a shape should be multiplied by, in closed form.

    With lrs = lr * shape: ``lr = sqrt(T1 / (T2 + T3))`` and ``bound = 2 sqrt(T1 (T2 + T3))``, the terms being those
    of the shape itself. Ratios of such LRs transfer a tuned peak LR to another horizon, cooldown or shape without
    any training: multiply it by ``optimal_base_lr(new).lr / optimal_base_lr(old).lr``.

    Args:
        shape: the schedule over its base LR, as `lrs` of :func:`convex_bound`.
        grad_norms, distance: as there.

    Example:
        >>> linear = optimal_base_lr([1 - t / 4000 for t in range(4000)])
        >>> round(linear.lr, 6), round(linear.bound, 5)
        (0.015793, 0.03165)
    """
    terms = convex_bound(shape, grad_norms=grad_norms, distance=distance)
    noise = terms.average + terms.last
    return BaseLr(lr=math.sqrt(terms.start / noise), bound=2 * math.sqrt(terms.start * noise))


def _moves(lrs: ArrayLike, grad_norms: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The LRs above 0 and their gradient norms."""
    given = np.asarray(lrs, dtype=np.float64)
    if given.ndim != 1 or not np.all(np.isfinite(given)) or np.any(given < 0) or not np.any(given > 0):
        raise ScheduleError("lrs must be a vector of finite numbers >= 0, one of them > 0, for the convex bound.")
    norms = np.asarray(grad_norms, dtype=np.float64)
    if norms.shape not in {(), given.shape} or not np.all(np.isfinite(norms)) or np.any(norms < 0):
        raise ScheduleError(f"grad_norms must be one number >= 0 or {given.size} of them, but has shape {norms.shape}.")
    return given[given > 0], np.broadcast_to(norms, given.shape)[given > 0]


def _tails(values: FloatArray) -> FloatArray:
    """Sums from each entry to the end, from the back, so that small tails keep their digits; shape as `values`."""
    return np.asarray(np.cumsum(values[::-1])[::-1])
