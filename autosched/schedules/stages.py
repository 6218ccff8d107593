"""Families that are constant in stages: step decay and two-stage.

With W = warmup_steps, n = steps - W and j = t - W, for t >= W::

    step decay   lr[t] = peak_lr * drop_factor**k,   k = floor((drops + 1) * j / n)
    two-stage    lr[t] = peak_lr                     before the last m updates of the run
                 lr[t] = peak_lr * second_lr_ratio   in them
                 m     = floor(second_stage_fraction * steps + 1/2), at least 1 and at most n - 1

Step decay has `drops` drops and so drops + 1 stages of equal length (to one update): torch's ``StepLR`` with
``step_size = n / (drops + 1)``. Stages of other lengths are :mod:`piecewise <autosched.schedules.piecewise>`.
`second_stage_fraction` is a share of all updates of the run, warmup included, as a cooldown's is; the first update
after the warmup has the peak LR whatever it asks for.

Example:
    >>> from autosched.schedules import build
    >>> build("step_decay", {"peak_lr": 1.0, "drop_factor": 0.5, "drops": 2}, steps=6).lrs.tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    >>> halved = {"peak_lr": 1.0, "second_stage_fraction": 0.25, "second_lr_ratio": 0.5}
    >>> build("two_stage", halved, steps=8).lrs.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
"""

from __future__ import annotations

import math
from itertools import pairwise

from autosched.schedules.composition import composed
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece


def step_decay_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """The stages of the updates start..steps-1."""
    updates, stages = steps - start, int_of(params, "drops") + 1
    edges = sorted({-(-updates * stage // stages) for stage in range(stages + 1)})
    lr, factor = float_of(params, "peak_lr"), float_of(params, "drop_factor")
    return [Piece(end - first, lr * factor ** (first * stages // updates)) for first, end in pairwise(edges)]


def two_stage_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """The peak LR, then the second one, for the updates start..steps-1."""
    updates, peak = steps - start, float_of(params, "peak_lr")
    second = max(1, math.floor(float_of(params, "second_stage_fraction") * steps + 0.5))
    first = min(updates, max(1, updates - second))
    return [Piece(first, peak), Piece(updates - first, peak * float_of(params, "second_lr_ratio"))]


DROPS = Parameter(
    name="drops", kind="integer", meaning="drops of the LR", low=1, high=1000, default=2, search_low=1, search_high=5
)
DROP_FACTOR = Parameter(
    name="drop_factor",
    kind="float",
    meaning="LR after a drop over the LR before it",
    low=0,
    low_open=True,
    high=1,
    default=0.1,
    search_low=0.1,
    search_high=0.7,
    search_log=True,
)
STEP_DECAY = composed(
    Body(parameters=(PEAK_LR, DROPS, DROP_FACTOR), pieces=step_decay_pieces, non_increasing=True)
).family(
    "step_decay",
    summary="warmup, then equal stages, each at the same share of the LR before it",
    source="He et al. 2016, arXiv:1512.03385; torch's StepLR",
    formula="peak drop_factor**floor((drops + 1) u)",
)

SECOND_STAGE_FRACTION = Parameter(
    name="second_stage_fraction",
    kind="float",
    meaning="updates of the second stage over all updates of the run",
    unit="share of the run",
    low=0,
    low_open=True,
    high=1,
    default=0.5,
    search_low=0.1,
    search_high=0.9,
)
SECOND_LR_RATIO = Parameter(
    name="second_lr_ratio",
    kind="float",
    meaning="LR of the second stage",
    unit="share of the peak LR",
    low=0,
    high=1,
    default=0.3,
    search_low=0.05,
    search_high=0.6,
    search_log=True,
)
TWO_STAGE = composed(
    Body(parameters=(PEAK_LR, SECOND_STAGE_FRACTION, SECOND_LR_RATIO), pieces=two_stage_pieces, non_increasing=True)
).family(
    "two_stage",
    summary="warmup, the peak LR, then a lower one",
    source="Luo et al. 2025 (the multi-power law), arXiv:2503.12811",
    formula="peak; then peak second_lr_ratio",
)
