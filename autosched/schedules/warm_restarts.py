"""Cosine decay with warm restarts (SGDR): every cycle starts at the peak LR and may be longer than the one before it.

With n = steps - warmup_steps updates after the warmup, g = cycle_growth and cycle k = 0, 1, ..::

    T_0   = first_cycle_steps, or n (g - 1) / (g**cycles - 1) when it is 0 (n / cycles for g = 1)
    b[k]  = T_0 (g**k - 1) / (g - 1)               first update of cycle k, rounded to a whole one (k T_0 for g = 1)
    u     = (j - b[k]) / (b[k+1] - b[k])           share of the cycle that is over, for its updates j
    lr    = peak_lr * (r + (1 - r) * (1 + cos(pi * u)) / 2)       r = final_lr_ratio

Whole `cycles` end with the run; with `first_cycle_steps` the end of the run may cut the last cycle off. In the words of
torch's ``CosineAnnealingWarmRestarts``: ``T_0`` as above, ``T_mult = g`` (there a whole number), and
``eta_min = r * peak_lr``.

Example:
    >>> from autosched.schedules import build
    >>> build("warm_restarts", {"peak_lr": 1.0, "cycles": 2, "cycle_growth": 2}, steps=6).lrs.round(3).tolist()
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146]
    >>> cut_off = {"peak_lr": 1.0, "first_cycle_steps": 2, "cycle_growth": 1}
    >>> build("warm_restarts", cut_off, steps=5).lrs.round(3).tolist()
    [1.0, 0.5, 1.0, 0.5, 1.0]
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from autosched.schedules.composition import composed
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of, int_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Curve, Piece
from autosched.schedules.progress import Shape, cosine, decay
from autosched.schedules.schedule import FloatArray


def warm_restart_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formulas."""
    updates = steps - start
    return falling_cycles(params, cycle_edges(params, updates), updates, cosine)


def falling_cycles(params: Params, edges: NDArray[np.int64], updates: int, shape: Shape) -> list[Piece]:
    """One decay from the peak to the final LR for each cycle between two edges; the last one may be cut off.

    Cycles of one length in a row are one piece, which counts its updates anew in each.
    """
    peak, final = float_of(params, "peak_lr"), float_of(params, "final_lr_ratio")
    pieces, done = [], 0
    for length, cycles in itertools.groupby(np.diff(edges).tolist()):
        total = min(length * len(list(cycles)), updates - done)
        pieces.append(Piece(total, _repeated(decay(length, shape, begin=peak, final_ratio=final), length, total)))
        done += total
    return pieces


def _repeated(curve: Curve, length: int, updates: int) -> Curve:
    """The curve begun again every `length` updates."""
    return curve if updates <= length else lambda j: curve(j - length * np.floor(np.minimum(j, updates - 1) / length))


def cycle_edges(params: Params, updates: int) -> NDArray[np.int64]:
    """First update of every cycle up to `updates` or later; strictly rising, shape (cycles + 1,).

    A cycle that would not get an update (more cycles than updates) is left out.

    Example:
        >>> cycle_edges({"first_cycle_steps": 0, "cycles": 3, "cycle_growth": 2.0}, 70).tolist()
        [0, 10, 30, 70]
        >>> cycle_edges({"first_cycle_steps": 10, "cycle_growth": 2.0}, 71).tolist()
        [0, 10, 30, 70, 150]
    """
    growth, first = float_of(params, "cycle_growth"), int_of(params, "first_cycle_steps")
    if first == 0:
        passed = _passed(int_of(params, "cycles"), growth)
        edges = updates * passed / passed[-1]
    elif growth == 1:
        edges = first * _passed(math.ceil(updates / first), growth)
    else:
        edges = first * _passed(math.floor(math.log1p(updates * (growth - 1) / first) / math.log(growth)) + 1, growth)
    whole = np.floor(edges + 0.5).astype(np.int64)
    return np.asarray(whole[np.append(True, np.diff(whole) > 0)])


def _passed(cycles: int, growth: float) -> FloatArray:
    """Lengths of the first k cycles together over that of the first one, ``(g**k - 1) / (g - 1)`` for k = 0..cycles.

    Summed, not by that quotient: exact for a whole growth (so that no edge depends on a machine's rounding) and good
    for one near 1. Of very many cycles only the last ones, 1e260 times as long as the others, are kept.
    """
    if growth > 1:
        cycles = min(cycles, math.floor(600 / math.log(growth)))
    lengths = np.cumprod(np.append(1.0, np.full(cycles - 1, growth)))
    return np.append(0.0, np.cumsum(lengths))


FIRST_CYCLE_STEPS = Parameter(
    name="first_cycle_steps",
    kind="integer",
    meaning="updates of the first cycle; 0 makes whole cycles fill the run",
    unit="updates",
    low=0,
    default=0,
)
CYCLES = Parameter(
    name="cycles",
    kind="integer",
    meaning="cycles after the warmup",
    low=1,
    high=1_000_000,
    default=3,
    when={"first_cycle_steps": (0,)},
    search_low=1,
    search_high=5,
)
CYCLE_GROWTH = Parameter(
    name="cycle_growth",
    kind="float",
    meaning="updates of a cycle over those of the one before it",
    low=1,
    high=100,
    default=2.0,
    search_low=1,
    search_high=3,
)
WARM_RESTARTS = composed(
    Body(
        parameters=(PEAK_LR, FIRST_CYCLE_STEPS, CYCLES, CYCLE_GROWTH, FINAL_LR_RATIO),
        pieces=warm_restart_pieces,
    )
).family(
    "warm_restarts",
    summary="cosine cycles that restart at the peak LR, each longer than the one before",
    source="Loshchilov and Hutter 2017 (SGDR), arXiv:1608.03983; torch's CosineAnnealingWarmRestarts",
    formula="peak (r + (1 - r) (1 + cos(pi v)) / 2) in every cycle, v its share that is over",
)
