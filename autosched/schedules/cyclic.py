"""Cyclical LRs: up and down in straight lines between a base LR and the peak, the same or lower every cycle.

With W = warmup_steps, the updates j = t - W of the n = steps - W that follow the warmup, and cycles of L updates::

    L       = cycle_steps, or n / cycles when cycle_steps is 0
    k       = floor(j / L)                         cycles that are over
    x       = j / L - k                            share of this one that is over
    s       = x / f                                while x <= f, f = rise_fraction
    s       = (1 - x) / (1 - f)                    then
    lr[t]   = peak_lr * (b + (1 - b) * s * h)      b = base_lr_ratio

    triangular    h = 1
    triangular2   h = 2**-k
    exp_range     h = final_height_ratio**(j / n)

Whole `cycles` end where a cycle should, at the base LR. In the words of torch's ``CyclicLR``: ``max_lr`` is the peak,
``base_lr = b * peak_lr``, ``step_size_up = f * L``, ``step_size_down = (1 - f) * L`` and
``gamma = final_height_ratio**(1 / n)``.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "base_lr_ratio": 0.0, "cycles": 2}
    >>> build("cyclic", params, steps=8).lrs.tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0, 0.5]
    >>> build("cyclic", {**params, "cycle_shape": "triangular2"}, steps=8).lrs.tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    >>> shrinking = {**params, "cycle_shape": "exp_range", "final_height_ratio": 0.0625}
    >>> build("cyclic", shrinking, steps=8).lrs.round(3).tolist()
    [0.0, 0.354, 0.5, 0.177, 0.0, 0.088, 0.125, 0.044]
"""

from __future__ import annotations

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.elementary import power
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of, text_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import Real, down_to


def cyclic_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formulas."""
    n, length, rise = steps - start, int_of(params, "cycle_steps"), float_of(params, "rise_fraction")
    cycles = 0.0 if length else float_of(params, "cycles")
    peak, base, shape = float_of(params, "peak_lr"), float_of(params, "base_lr_ratio"), text_of(params, "cycle_shape")
    final = float_of(params, "final_height_ratio") if shape == "exp_range" else 1.0

    def lr(j: Real) -> Real:
        # divided last: where a cycle begins, the quotient is a whole number without rounding
        passed = j / length if length else j * cycles / n
        over = np.floor(passed)
        share = passed - over
        height = np.minimum(share / rise, (1 - share) / (1 - rise))  # the lower one of the two lines is the one due
        if shape == "triangular2":
            height = height * power(0.5, over)
        elif shape == "exp_range":
            height = height * power(final, j / n)
        return peak * down_to(base, height)

    return [Piece(n, lr)]


CYCLE_STEPS = Parameter(
    name="cycle_steps",
    kind="integer",
    meaning="updates of a cycle; 0 makes the cycles fill the run",
    unit="updates",
    low=0,
    default=0,
)
CYCLES = Parameter(
    name="cycles",
    kind="float",
    meaning="cycles after the warmup",
    low=0,
    low_open=True,
    high=1_000_000,
    default=4.0,
    when={"cycle_steps": (0,)},
)
BASE_LR_RATIO = Parameter(
    name="base_lr_ratio",
    kind="float",
    meaning="LR a cycle begins and ends at",
    unit="share of the peak LR",
    low=0,
    high=1,
    default=0.25,
    search_low=0.01,
    search_high=0.5,
    search_log=True,
)
RISE_FRACTION = Parameter(
    name="rise_fraction",
    kind="float",
    meaning="updates of a cycle's rise over all updates of the cycle",
    unit="share of a cycle",
    low=1e-6,
    high=0.999999,
    default=0.5,
    search_low=0.1,
    search_high=0.9,
)
CYCLE_SHAPE = Parameter(
    name="cycle_shape",
    kind="choice",
    meaning="height of the cycles: the same, halved from cycle to cycle, or shrinking with every update",
    choices=("triangular", "triangular2", "exp_range"),
    default="triangular",
)
FINAL_HEIGHT_RATIO = Parameter(
    name="final_height_ratio",
    kind="float",
    meaning="what is left of the height at the end of the run",
    low=0,
    low_open=True,
    high=1,
    default=0.1,
    when={"cycle_shape": ("exp_range",)},
    search_low=0.01,
    search_high=0.5,
    search_log=True,
)
CYCLIC = composed(
    Body(
        parameters=(PEAK_LR, BASE_LR_RATIO, CYCLE_STEPS, CYCLES, RISE_FRACTION, CYCLE_SHAPE, FINAL_HEIGHT_RATIO),
        pieces=cyclic_pieces,
    )
).family(
    "cyclic",
    summary="up and down between a base LR and the peak: triangular, triangular2 or exp_range",
    source="Smith 2017, arXiv:1506.01186; torch's CyclicLR",
    formula="peak (b + (1 - b) s h), s up and down in lines, h the height of the cycle",
)
