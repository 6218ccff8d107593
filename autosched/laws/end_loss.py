"""The predicted loss at the end of a schedule given by few nodes, and its derivatives by the LRs.

The LR is linear between nodes. The sums of :mod:`autosched.laws.multi_power` and :mod:`autosched.laws.functional` over
updates become integrals over pieces, by a three-point Gauss rule each, so an evaluation costs the number of nodes.

    name     meaning                                                       shape     unit
    at       update index of a node, from 0 to steps - 1                   (n,)      updates
    log_z    ln(LR / peak) of a node                                       (n,)
    s        share of a piece that lies before a Gauss point               (3, 1)
    rest_b   LR area (Multi-Power Law) or intrinsic time (functional law)      (n,)
             that passes from a node to the end

Update i fills the time from i - 1/2 to i + 1/2, so half an update lies before the first node and after the last one.

The integral is deliberate. The Multi-Power Law weighs a drop by the LR after it, so in its sum over updates one big
jump scores better than the same drop spread over a few updates: an optimum over single LRs is a staircase (0.003 nats
lower than the smooth one at 400M parameters) that no run backs. The integral does not know that gain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from autosched.laws.drops import LR_FLOOR
from autosched.laws.functional import FunctionalLaw
from autosched.laws.multi_power import MultiPowerLaw
from autosched.schedules.schedule import FloatArray, Schedule

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_S: FloatArray = ((1 + _NODES) / 2)[:, None]
_W: FloatArray = (_WEIGHTS / 2)[:, None]
_WARMUP_PIECES = 16


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NodeGrid:
    """Where the nodes of a schedule lie.

    Attributes:
        steps: updates of the schedule.
        warmup_steps: updates of its linear warmup.
        at: update index of each node, increasing, from 0 to ``steps - 1``, shape (n,).
        fixed: how many first nodes the warmup fixes; the last of them has the peak LR.
    """

    steps: int
    warmup_steps: int
    at: FloatArray
    fixed: int

    @classmethod
    def of(cls, steps: int, warmup_steps: int, pieces: int) -> NodeGrid:
        """At most `pieces` pieces after the warmup, their lengths growing with the distance from the end."""
        peak = max(warmup_steps - 1, 0)
        back = (steps - 1 - peak) * (np.arange(pieces + 1) / pieces) ** 2
        body = steps - 1 - np.unique(back.round())[::-1]
        rise = np.unique(np.linspace(0, peak, _WARMUP_PIECES + 1).round())
        return cls(steps=steps, warmup_steps=warmup_steps, at=np.append(rise[:-1], body), fixed=rise.size)

    @property
    def warmup_log_z(self) -> FloatArray:
        """``ln(LR / peak)`` of the fixed nodes, shape (fixed,)."""
        return np.log(np.minimum((self.at[: self.fixed] + 1) / max(self.warmup_steps, 1), 1.0))

    def schedule(self, peak_lr: float, log_z: FloatArray) -> Schedule:
        """The LR of every update, linear between the nodes."""
        lrs = peak_lr * np.interp(np.arange(self.steps, dtype=np.float64), self.at, np.exp(log_z))
        lrs[: self.warmup_steps] = peak_lr * np.arange(1, self.warmup_steps + 1) / max(self.warmup_steps, 1)
        return Schedule(lrs)


EndLoss = Callable[[NodeGrid, float, FloatArray], tuple[float, FloatArray]]
"""(grid, peak LR, log_z (n,)) -> loss after the last update (nats) and its derivatives by log_z, shape (n,)."""


def multi_power_end(law: MultiPowerLaw, grid: NodeGrid, peak_lr: float, log_z: FloatArray) -> tuple[float, FloatArray]:
    """See :data:`EndLoss`; the warmup's rises are no drops, whatever ``law.warmup_drops`` says."""
    lr = peak_lr * np.exp(log_z)
    area, since, back = _passing(lr, np.diff(grid.at), power=1.0)
    counts = np.arange(lr.size - 1) >= grid.fixed - 1
    drop = np.where(counts, lr[:-1] - lr[1:], 0.0)
    here = lr[:-1] * (1 - _S) + lr[1:] * _S
    floored = np.maximum(here, LR_FLOOR * peak_lr)
    rate = law.speed * floored**-law.lr_power
    rest = (1 + rate * since) ** -law.saturation
    paid = np.where(counts, law.drop * (_W * (1 - rest)).sum(axis=0), 0.0)
    power = law.scale * area**-law.exponent

    by_since = -law.drop * _W * drop * law.saturation * rest / (1 + rate * since) * rate
    by_here = np.where(here > LR_FLOOR * peak_lr, -law.lr_power * by_since * since / floored, 0.0)
    slope = back(-law.exponent * power / area, by_since)
    slope[:-1] += (by_here * (1 - _S)).sum(axis=0) - paid
    slope[1:] += (by_here * _S).sum(axis=0) + paid
    return float(law.floor + power - (drop * paid).sum()), slope * lr


def functional_end(law: FunctionalLaw, grid: NodeGrid, peak_lr: float, log_z: FloatArray) -> tuple[float, FloatArray]:
    """See :data:`EndLoss`."""
    z = np.exp(log_z)
    u = peak_lr / law.reference_lr
    pace = u**law.time_peak_power / law.reference_steps
    level = law.noise * u**law.noise_peak_power
    whole, since, back = _passing(z, np.diff(grid.at), power=law.time_power)
    size = z**law.noise_power
    rise = np.diff(size)
    first, first_slope = _forgotten(law, pace, np.array(whole))
    each, each_slope = _forgotten(law, pace, since)
    share = (_W * each).sum(axis=0)
    power = law.scale * (whole * pace + law.start) ** -law.exponent

    by_whole = -law.exponent * power / (whole + law.start / pace) + level * size[0] * float(first_slope)
    slope = back(by_whole, level * _W * rise * each_slope) * z
    by_size = -np.diff(share, prepend=first, append=0.0)  # of a node: the piece before it ends there, the next begins
    return float(law.floor + power + level * (size[0] * first + (rise * share).sum())), slope + (
        level * by_size * law.noise_power * size
    )


def _forgotten(law: FunctionalLaw, pace: float, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The share of noise forgotten after some intrinsic time at the peak's pace, and its derivative by that time."""
    rate = law.speed * pace
    rest = (1 + rate * time) ** -law.saturation
    return 1 - rest, law.saturation * rate * rest / (1 + rate * time)


_Back = Callable[[float, FloatArray], FloatArray]


def _passing(x: FloatArray, length: FloatArray, *, power: float) -> tuple[float, FloatArray, _Back]:
    """What passes while ``x**power`` adds up over updates, x being linear between nodes.

    Returns:
        The whole sum; the sum from each Gauss point of each piece to the end, shape (3, n - 1); and a function that
        takes some loss's derivatives by these two to its derivatives by x, shape (n,).
    """
    here = x[:-1] * (1 - _S) + x[1:] * _S
    later = (here + x[1:]) / 2  # middle of what is left of the piece
    passed = length * (_W * here**power).sum(axis=0)
    rest_b = np.append(np.cumsum(passed[::-1])[::-1], 0.0) + 0.5 * x[-1] ** power
    whole = float(rest_b[0] + 0.5 * x[0] ** power)
    since = rest_b[1:] + length * (1 - _S) * later**power

    def back(by_whole: float, by_since: FloatArray) -> FloatArray:
        by_rest = np.append(by_whole, by_since.sum(axis=0))
        by_here = np.cumsum(by_rest)[:-1] * length * _W * power * here ** (power - 1)
        by_later = by_since * length * (1 - _S) * power * later ** (power - 1)
        slope = np.zeros_like(x)
        slope[:-1] += ((by_here + by_later / 2) * (1 - _S)).sum(axis=0)
        slope[1:] += (by_here * _S + by_later * (1 + _S) / 2).sum(axis=0)
        slope[0] += 0.5 * power * x[0] ** (power - 1) * by_whole
        slope[-1] += 0.5 * power * x[-1] ** (power - 1) * by_rest.sum()
        return slope

    return whole, since, back


def weighted(parts: list[tuple[float, EndLoss]]) -> EndLoss:
    """The weighted mean of several laws' losses."""

    def mean(grid: NodeGrid, peak_lr: float, log_z: FloatArray) -> tuple[float, FloatArray]:
        losses = [(weight, *end(grid, peak_lr, log_z)) for weight, end in parts]
        slope: FloatArray = np.sum([weight * by_log_z for weight, _, by_log_z in losses], axis=0)
        return sum(weight * loss for weight, loss, _ in losses), slope

    return mean


END_LOSSES: Mapping[str, Callable[..., tuple[float, FloatArray]]] = {
    MultiPowerLaw.name: multi_power_end,
    FunctionalLaw.name: functional_end,
}
"""By law name: ``function(law, grid, peak_lr, log_z)``. Laws that are not here have no optimum of free form."""
