"""What a law leaves unexplained, as a Gaussian process over runs and their histories.

    r(run, t) = ln L_seen - ln L_law = shared(history) + near(peak, t) + own(run, t) + scatter

    part     kernel                                                      explains
    shared   RBF with a length per feature of the history                the law's own errors of shape
    near     RBF in log peak x exponential in log t                      runs with nearly the same peak behave alike
    own      same run x exponential in log t                             one run's lasting offset
    scatter  independent                                                 noise of one evaluation

The history of a run up to update t is five numbers (z = LR / peak, u = update / t):

    log peak | mean of z | mean of 2 u z | mean of z over the last 5% | log t

Where hyperparameters are searched beside the schedule, their places in the space (0 to 1, see
:func:`autosched.space.hyperparameters.coordinates`) are further features of the shared part: what they do to the loss
is left to the process, which learns a length for each, so that one that does not matter gets a long one. Of a weight
decay there is one more, ``log10(weight decay x sum of LRs)``: the updates done over AdamW's timescale 1 / (LR x weight
decay), which has a best value (Bergsma et al. 2025, arXiv:2505.13738).

They tell a long cooldown from a short one, a bent one from a straight one, and at any t, not only at the end. So a run
that was seen so far is anchored at its own last losses, and borrows how runs of like history ended. Amplitudes and
lengths start from the residuals' own size and scatter; with enough points the marginal likelihood refines them.
Residuals are in log loss; standard deviations are relative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from autosched.laws.priors import (
    COORDINATE_LENGTH,
    COORDINATE_LENGTH_SD,
    KERNEL_SD,
    LASTING_EFOLDS,
    LEAST_RESIDUAL,
    NEAR_PEAK,
    RECENT_SHARE,
    KernelPrior,
)
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray, Schedule

HISTORY = 5
"""Features of a history, before the coordinates."""
RECENT, LOG_STEP = 3, 4
"""Columns of a history: the mean of z over the last 5%, and log t."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoints:
    """Points of several runs as the process sees them.

    Attributes:
        run: number of the run each point belongs to, shape (n,).
        features: the history up to each point, and the coordinates of the run, shape (n, 5 + k).
    """

    run: NDArray[np.intp]
    features: FloatArray

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> RunPoints:
        return RunPoints(run=self.run[rows], features=self.features[rows])


def run_points(asked: Sequence[tuple[Schedule, FloatArray]], *, first_run: int = 0) -> RunPoints:
    """Points at some steps (updates done, >= 1) of some schedules; runs are numbered in order from `first_run`."""
    features = np.concatenate([history(schedule, steps) for schedule, steps in asked])
    run = np.repeat(np.arange(first_run, first_run + len(asked)), [steps.size for _, steps in asked])
    return RunPoints(run=run, features=features)


def history(schedule: Schedule, steps: FloatArray) -> FloatArray:
    """The five features of a schedule up to each of `steps` (updates done), then its coordinates, shape (q, 5 + k)."""
    peak = max(schedule.peak_lr, LEAST_PEAK_LR)
    done = np.clip(steps.astype(np.intp), 1, schedule.steps)
    before = np.minimum(((1 - RECENT_SHARE) * done).astype(np.intp), done - 1)
    stops = np.unique(np.concatenate(([0], done, before)))
    area, moment = (sums / peak for sums in schedule.outline.sums_to(stops))
    done_at, before_at = np.searchsorted(stops, done), np.searchsorted(stops, before)
    return np.column_stack(
        [
            np.full(done.size, np.log(peak)),
            area[done_at] / done,
            2 * moment[done_at] / done**2,
            (area[done_at] - area[before_at]) / (done - before),
            np.log(done),
            *(np.full(done.size, place) for place in schedule.coordinates.places),
            *_timescale(schedule, area[done_at]),
        ]
    )


def _timescale(schedule: Schedule, area: FloatArray) -> list[FloatArray]:
    """log10 of the updates done over AdamW's timescale, ``weight decay x sum of LRs``; none without a weight decay.

    Args:
        area: sum of the LRs up to each step, over the peak.
    """
    decay = schedule.coordinates.log_decay
    if decay is None:
        return []
    return [(decay + schedule.log_peak_lr + np.log(np.maximum(area, LEAST_PEAK_LR))) / math.log(10)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResidualKernel:
    """Amplitudes of the parts (relative loss) and the lengths of the shared one, all > 0.

    Attributes:
        lengths: per feature, shape (5 + k,).
    """

    shared: float
    near: float
    own: float
    scatter: float
    lengths: FloatArray

    @classmethod
    def guess(cls, points: RunPoints, residuals: FloatArray, prior: KernelPrior) -> ResidualKernel:
        """From the residuals' size, and their scatter about the line through their neighbours in the same run."""
        size = max(float(np.sqrt(np.mean(residuals**2))), LEAST_RESIDUAL)
        inner = (points.run[2:] == points.run[:-2]) if residuals.size > 2 else np.zeros(0, dtype=np.bool_)
        bends = (residuals[1:-1] - 0.5 * (residuals[2:] + residuals[:-2]))[inner]
        scatter = 1.21 * float(np.median(np.abs(bends))) if bends.size else 0.3 * size  # normal: sd / sqrt(1.5) x 1.48
        scatter = min(max(scatter, 0.05 * size, LEAST_RESIDUAL), size)
        shared, near, own = prior.shared * size, prior.near * size, prior.own * size
        beside = points.features.shape[1] - len(prior.lengths)
        lengths = np.array([*prior.lengths, *([COORDINATE_LENGTH] * beside)])
        return cls(shared=shared, near=near, own=own, scatter=scatter, lengths=lengths)

    @property
    def variance(self) -> float:
        """Of one evaluation of an unknown run."""
        return self.shared**2 + self.near**2 + self.own**2 + self.scatter**2

    def logs(self) -> FloatArray:
        """Natural logs of amplitudes and lengths, shape (9 + k,)."""
        return np.log([self.shared, self.near, self.own, self.scatter, *self.lengths])

    @classmethod
    def from_logs(cls, logs: FloatArray) -> ResidualKernel:
        """The kernel behind :meth:`logs`."""
        shared, near, own, scatter, *lengths = np.exp(logs).tolist()
        return cls(shared=shared, near=near, own=own, scatter=scatter, lengths=np.array(lengths))


def _parts(kernel: ResidualKernel, a: RunPoints, b: RunPoints) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The shared, near and own covariance, each shape (n, m)."""
    gaps = cdist(a.features / kernel.lengths, b.features / kernel.lengths, "sqeuclidean")
    ages = np.abs(a.features[:, None, LOG_STEP] - b.features[None, :, LOG_STEP]) / LASTING_EFOLDS
    apart = (a.features[:, None, 0] - b.features[None, :, 0]) / NEAR_PEAK
    same = a.run[:, None] == b.run[None, :]
    own = np.zeros(same.shape)
    own[same] = kernel.own**2 * np.exp(-ages[same])
    return kernel.shared**2 * np.exp(-0.5 * gaps), kernel.near**2 * np.exp(-0.5 * apart**2 - ages), own


def covariance(kernel: ResidualKernel, a: RunPoints, b: RunPoints) -> FloatArray:
    """Covariance of the process without scatter between two sets of points, shape (n, m)."""
    shared, near, own = _parts(kernel, a, b)
    return shared + near + own


def learned(
    points: RunPoints, residuals: FloatArray, prior: KernelPrior, *, most: int = 240, iterations: int = 30
) -> ResidualKernel:
    """The kernel of highest marginal likelihood (with a prior around the guess), from at most `most` of the points."""
    guess = ResidualKernel.guess(points, residuals, prior)
    if residuals.size > most:
        rows = np.unique(np.linspace(0, residuals.size - 1, most).round().astype(np.intp))
        points, residuals = points[rows], residuals[rows]
    centre = guess.logs()
    spread = np.array([*KERNEL_SD, *([COORDINATE_LENGTH_SD] * (centre.size - len(KERNEL_SD)))])

    def cost(logs: FloatArray) -> tuple[float, FloatArray]:
        value, slope = evidence(ResidualKernel.from_logs(logs), points, residuals)
        return value + 0.5 * float(np.sum(((logs - centre) / spread) ** 2)), slope + (logs - centre) / spread**2

    bounds = list(zip(centre - 6 * spread, centre + 6 * spread, strict=True))
    found = minimize(cost, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})
    return ResidualKernel.from_logs(np.asarray(found.x, dtype=np.float64))


def evidence(kernel: ResidualKernel, points: RunPoints, residuals: FloatArray) -> tuple[float, FloatArray]:
    """Negative log marginal likelihood and its derivatives by the logs of the kernel."""
    shared, near, own = _parts(kernel, points, points)
    matrix = shared + near + own
    matrix[np.diag_indices_from(matrix)] += kernel.scatter**2
    try:
        factor = cho_factor(matrix, lower=True)
    except LinAlgError:
        return 1e10, np.zeros(4 + kernel.lengths.size)
    solved = cho_solve(factor, residuals)
    pull = cho_solve(factor, np.eye(residuals.size)) - np.outer(solved, solved)
    value = 0.5 * float(residuals @ solved) + float(np.log(np.diag(factor[0])).sum())
    amplitudes = [float((pull * part).sum()) for part in (shared, near, own)]
    scaled = points.features.T / kernel.lengths[:, None]
    gaps = (scaled[:, :, None] - scaled[:, None, :]) ** 2
    lengths = 0.5 * np.einsum("ij,kij->k", pull * shared, gaps)
    return value, np.array([*amplitudes, float(np.trace(pull)) * kernel.scatter**2, *lengths])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResidualProcess:
    """The process given residuals; its posterior may be that of any subset of them.

    Attributes:
        points, residuals: where and what the law left unexplained, shape (n,).
        matrix: covariance of the residuals, scatter included, shape (n, n).
        factor: its lower Cholesky factor.
        solved: the matrix's inverse times the residuals, shape (n,).
    """

    kernel: ResidualKernel
    points: RunPoints
    residuals: FloatArray
    matrix: FloatArray
    factor: FloatArray
    solved: FloatArray

    @classmethod
    def of(cls, points: RunPoints, residuals: FloatArray, kernel: ResidualKernel) -> ResidualProcess:
        """The process with this kernel."""
        matrix = covariance(kernel, points, points) + kernel.scatter**2 * np.eye(residuals.size)
        factor = cholesky(matrix, lower=True)
        return cls(
            kernel=kernel,
            points=points,
            residuals=residuals,
            matrix=matrix,
            factor=factor,
            solved=cho_solve((factor, True), residuals),
        )

    def mean(self, at: RunPoints) -> FloatArray:
        """Mean of the residual at some points, given all, shape (m,)."""
        return covariance(self.kernel, at, self.points) @ self.solved

    def posterior(self, at: RunPoints, known: NDArray[np.bool_] | None = None) -> tuple[FloatArray, FloatArray]:
        """Mean (m,) and covariance (m, m), scatter included, of the residual at m points together.

        Args:
            known: which residuals count, shape (n,); None for all.
        """
        rows = np.arange(self.residuals.size) if known is None else np.flatnonzero(known)
        factor = self.factor if known is None else cholesky(self.matrix[np.ix_(rows, rows)], lower=True)
        cross = solve_triangular(factor, covariance(self.kernel, self.points[rows], at), lower=True)
        mean: FloatArray = cross.T @ solve_triangular(factor, self.residuals[rows], lower=True)
        prior = covariance(self.kernel, at, at) + self.kernel.scatter**2 * np.eye(at.run.size)
        return mean, prior - cross.T @ cross
