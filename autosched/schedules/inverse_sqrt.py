"""Inverse square root of the update's number, which knows no horizon.

With W = warmup_steps and s = timescale_steps, for t >= W::

    lr[t] = peak_lr * sqrt(s / (t - W + s))

After 3 s updates the LR is half of the peak, after 99 s a tenth. With s = W it is ``peak_lr * sqrt(W / t)``, the
schedule of Vaswani et al. 2017 (arXiv:1706.03762); s = 10,000 is that of T5 (Raffel et al. 2020, arXiv:1910.10683),
whose LR is constant for the first s updates where a warmup of s updates rises here. Elsewhere: transformers'
``get_inverse_sqrt_schedule`` with ``timescale=s``.

Example:
    >>> from autosched.schedules import build
    >>> lrs = build("inverse_sqrt", {"peak_lr": 1.0, "warmup_steps": 2, "timescale_steps": 3}, steps=12).lrs
    >>> lrs[[0, 1, 2, 11]].tolist()
    [0.5, 1.0, 1.0, 0.5]
"""

from __future__ import annotations

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece


def inverse_sqrt_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """``peak_lr * sqrt(s / (j + s))`` for the update j after the warmup."""
    peak, scale = float_of(params, "peak_lr"), int_of(params, "timescale_steps")
    return [Piece(steps - start, lambda j: peak * np.sqrt(scale / (j + scale)))]


TIMESCALE_STEPS = Parameter(
    name="timescale_steps",
    kind="integer",
    meaning="updates after the warmup in which the LR falls to 1 / sqrt(2) of the peak",
    unit="updates",
    low=1,
    default=10_000,
    search_low=10,
    search_high=10_000,
    search_log=True,
)
INVERSE_SQRT = composed(
    Body(parameters=(PEAK_LR, TIMESCALE_STEPS), pieces=inverse_sqrt_pieces, non_increasing=True)
).family(
    "inverse_sqrt",
    summary="warmup, then the inverse square root of the update's number",
    source="Vaswani et al. 2017, arXiv:1706.03762; T5: Raffel et al. 2020, arXiv:1910.10683",
    formula="peak sqrt(s / (j + s)), s = timescale_steps",
)
