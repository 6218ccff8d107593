"""Cyclic trade-off: every cycle is longer than the one before it and ends low, so that one run holds many budgets.

With n = steps - warmup_steps, g = cycle_growth, K = cycles and r = final_lr_ratio::

    b[k]  = n (g**k - 1) / (g**K - 1)           first update of cycle k = 0..K-1, rounded (n k / K for g = 1)
    u     = (j - b[k]) / (b[k+1] - b[k])        share of the cycle that is over, for its updates j
    cosine  lr = peak_lr * (r + (1 - r) * (1 + cos(pi * u)) / 2)
    linear  lr = peak_lr * (r + (1 - r) * (1 - u))

The losses at the ends of the cycles, after b[1], b[2], .. updates, trace the curve of quality over training time that
otherwise takes one tuned run for every point. With ``cosine`` it is :mod:`warm_restarts
<autosched.schedules.warm_restarts>` under other defaults, to the bit.

Source: Portes et al. 2022, arXiv:2206.00832 (abstract read: "multiplicative cyclic", each cycle a point of the curve).
Growth 2 and the cosine are those of the runs in the authors' notebooks, named "cwr, T0 10 epochs, Tmult 2".

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "cycles": 2, "cycle_shape": "linear"}
    >>> build("cyclic_tradeoff", params, steps=6).lrs.tolist()
    [1.0, 0.5, 1.0, 0.75, 0.5, 0.25]
"""

from __future__ import annotations

from dataclasses import replace

from autosched.schedules.composition import composed
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, text_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import cosine, linear
from autosched.schedules.warm_restarts import CYCLE_GROWTH, CYCLES, cycle_edges, falling_cycles


def cyclic_tradeoff_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formulas."""
    edges = cycle_edges({**params, "first_cycle_steps": 0}, steps - start)
    shape = cosine if text_of(params, "cycle_shape") == "cosine" else linear
    return falling_cycles(params, edges, steps - start, shape)


CYCLE_SHAPE = Parameter(
    name="cycle_shape",
    kind="choice",
    meaning="shape of a cycle's fall",
    choices=("cosine", "linear"),
    default="cosine",
)
CYCLIC_TRADEOFF = composed(
    Body(
        parameters=(
            PEAK_LR,
            replace(CYCLES, default=4, when={}, search_low=2),
            replace(CYCLE_GROWTH, search_low=1.5),
            CYCLE_SHAPE,
            FINAL_LR_RATIO,
        ),
        pieces=cyclic_tradeoff_pieces,
    )
).family(
    "cyclic_tradeoff",
    summary="growing cycles that each end low: one run for many training budgets",
    source="Portes et al. 2022, arXiv:2206.00832",
    formula="peak (r + (1 - r) g(u)) in every cycle, each cycle_growth times as long as the one before",
)
