"""LR sensitivity: how much is lost when the LR is not the best one (Wortsman et al. 2023, arXiv:2309.14322).

name       meaning                                                                                  unit
l(lr)      final loss of a run at this LR                                                           nats
l_0        loss of an untrained model: no run counts as worse, diverged ones neither                nats
l_best     smallest l(lr) in the range                                                              nats
sensitivity = E[min(l(lr), l_0)] - l_best, the LR log-uniform over its range (low, high)            nats

The paper measures l on a grid from 3e-4 to 3e-1, everything else equal. Here the runs are those a search made: they
crowd where it is good, and other parameters differ too. So the LRs are put into cells of a quarter decade, a cell
stands for its best run (what the LR gives when the rest is chosen well), and between the cells' best runs l is linear
in the log LR. The range is that of the runs: sensitivities compare over equal ranges only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autosched.schedules.schedule import FloatArray

CELL = 0.25
"""Width of a cell, in decades of the LR."""
FEWEST_CELLS = 4
NARROWEST = 0.5
"""Decades that the cells' best runs must span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """A sensitivity.

    Attributes:
        value: expected excess loss, nats; 0 when the LR does not matter.
        low, high: the range of LRs it is an expectation over.
        best_lr, best_loss: the best run.
        runs: how many runs were looked at; `cells` of them, the best of their cells, were interpolated.
    """

    value: float
    low: float
    high: float
    best_lr: float
    best_loss: float
    runs: int
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSensitivity:
    """Why there is none."""

    reason: str


def lr_sensitivity(lrs: FloatArray, losses: FloatArray, *, start_loss: float) -> Sensitivity | NoSensitivity:
    """The sensitivity that runs at these LRs show.

    Args:
        lrs: LR of each run, > 0, shape (n,).
        losses: final loss of each run, shape (n,); whatever is not finite, or above `start_loss`, counts as that.
        start_loss: loss of an untrained model.

    Example:
        >>> lrs = np.geomspace(1e-3, 1.0, 13)
        >>> lr_sensitivity(lrs, 2.0 + np.abs(np.log10(lrs) + 1.5), start_loss=9.0).value
        0.75
    """
    usable = np.isfinite(losses) & (losses <= start_loss)
    clipped = np.where(usable, losses, start_loss)
    x = np.log10(lrs)
    cells: dict[int, int] = {}
    for index in np.lexsort((x, clipped)).tolist():
        cells.setdefault(math.floor(x[index] / CELL + 1e-9), index)
    chosen = np.array([cells[cell] for cell in sorted(cells)], dtype=int)
    span = float(np.ptp(x[chosen])) if chosen.size else 0.0
    if chosen.size < FEWEST_CELLS or span < NARROWEST:
        return NoSensitivity(
            reason=f"{lrs.size} runs in {chosen.size} quarter decades of the LR, {span:.2g} decades apart, say too "
            f"little: at least {FEWEST_CELLS} quarter decades and {NARROWEST:g} decades are needed."
        )
    if not usable.any():
        return NoSensitivity(reason="no run ended below the loss of an untrained model.")
    best = int(np.argmin(clipped))
    mean = float(np.trapezoid(clipped[chosen], x[chosen])) / span
    return Sensitivity(
        value=max(mean - float(clipped[best]), 0.0),
        low=float(lrs[chosen[0]]),
        high=float(lrs[chosen[-1]]),
        best_lr=float(lrs[best]),
        best_loss=float(clipped[best]),
        runs=int(lrs.size),
        cells=int(chosen.size),
    )
