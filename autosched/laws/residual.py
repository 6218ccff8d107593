"""What a law leaves unexplained, as a Gaussian process over runs.

    r(run, t) = ln L_seen - ln L_law = shared(peak, t, z) + near(peak, t) + own(run, t) + scatter

    part     kernel                                                       explains
    shared   RBF in log peak, log t and sqrt(z), z = LR / peak at t       the law's own errors of shape
    near     RBF in log peak x exponential in log t                       runs with nearly the same peak behave alike
    own      same run x exponential in log t                              one run's lasting offset
    scatter  independent                                                  noise of one evaluation

A run that was seen so far is thereby anchored at its own last losses, and borrows how runs of nearby peak LRs ended.
The parts' ratios and lengths are fixed; one common scale is estimated from the residuals. Residuals are in log loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualKernel:
    """Standard deviations (relative loss) and length scales (natural-log units, or sqrt(z)) of the parts."""

    shared: float = 0.04
    near: float = 0.03
    own: float = 0.03
    scatter: float = 0.008
    shared_peak: float = 0.8
    shared_time: float = 1.0
    shared_lr: float = 0.5
    near_peak: float = 0.5
    time: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoints:
    """Points of several runs as the process sees them.

    Attributes:
        run: number of the run each point belongs to, shape (n,).
        features: log peak LR, log of updates done, sqrt(LR / peak), shape (n, 3).
    """

    run: NDArray[np.intp]
    features: FloatArray

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> RunPoints:
        return RunPoints(run=self.run[rows], features=self.features[rows])


def run_points(schedules: list[tuple[Schedule, FloatArray]]) -> RunPoints:
    """Points at some steps (updates done, >= 1) of some schedules; runs are numbered in order."""
    features = []
    for schedule, steps in schedules:
        peak = max(schedule.peak_lr, 1e-300)
        level = schedule.lrs[np.clip(steps.astype(np.intp) - 1, 0, schedule.steps - 1)] / peak
        features.append(np.column_stack([np.full(steps.size, np.log(peak)), np.log(steps), np.sqrt(level)]))
    run = np.repeat(np.arange(len(schedules)), [steps.size for _, steps in schedules])
    return RunPoints(run=run, features=np.concatenate(features))


def covariance(kernel: ResidualKernel, a: RunPoints, b: RunPoints) -> FloatArray:
    """Covariance of the process without scatter between two sets of points, shape (n, m)."""
    gap = a.features[:, None, :] - b.features[None, :, :]
    peak, time, level = gap[..., 0] ** 2, gap[..., 1], gap[..., 2] ** 2
    lasting = np.exp(-np.abs(time) / kernel.time)
    shape = peak / kernel.shared_peak**2 + time**2 / kernel.shared_time**2 + level / kernel.shared_lr**2
    near = kernel.near**2 * np.exp(-0.5 * peak / kernel.near_peak**2)
    own = kernel.own**2 * (a.run[:, None] == b.run[None, :])
    total: FloatArray = kernel.shared**2 * np.exp(-0.5 * shape) + (near + own) * lasting
    return total


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResidualProcess:
    """The process given residuals; `conditioned` on any subset of them it forgets the rest.

    Attributes:
        points, residuals: where and what the law left unexplained, shape (n,).
        matrix: covariance of the residuals, scatter included, shape (n, n).
        scale: factor of all standard deviations, estimated from the residuals.
    """

    kernel: ResidualKernel
    points: RunPoints
    residuals: FloatArray
    matrix: FloatArray
    scale: float

    @classmethod
    def of(
        cls, points: RunPoints, residuals: FloatArray, kernel: ResidualKernel, *, prior_points: int = 20
    ) -> ResidualProcess:
        """Estimate the scale: the residuals' typical size under the kernel, with a prior worth `prior_points` at 1."""
        matrix = covariance(kernel, points, points) + kernel.scatter**2 * np.eye(residuals.size)
        size = float(residuals @ cho_solve(cho_factor(matrix), residuals))
        scale = float(np.sqrt((prior_points + size) / (prior_points + residuals.size)))
        return cls(kernel=kernel, points=points, residuals=residuals, matrix=matrix, scale=scale)

    def conditioned(self, known: NDArray[np.bool_], at: RunPoints) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (scatter included) of the residual at some points, given the `known` ones."""
        rows = np.flatnonzero(known)
        factor = cho_factor(self.matrix[np.ix_(rows, rows)])
        cross = covariance(self.kernel, at, self.points[rows])
        mean = cross @ cho_solve(factor, self.residuals[rows])
        prior = self.kernel.shared**2 + self.kernel.near**2 + self.kernel.own**2 + self.kernel.scatter**2
        explained = np.einsum("ij,ji->i", cross, cho_solve(factor, cross.T))
        return mean, self.scale * np.sqrt(np.maximum(prior - explained, 0.0))
