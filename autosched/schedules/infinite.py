"""Infinite LR: down from the peak once, then constant for as long as data comes, and an anneal when a model is due.

With W = warmup_steps, m = descent updates, c = constant_lr_ratio and x = (t - W) / m, for t >= W::

    m     = floor(descent_fraction * steps + 1/2), at least 1 and at most steps - W
    lr[t] = peak_lr * (c + (1 - c) * g(x))      for t < W + m, the descent
    lr[t] = peak_lr * c                         from there on, without end
    cosine        g(x) = (1 + cos(pi * x)) / 2
    inverse_sqrt  g(x) = 1 - h(x) / h(1),  h(x) = 1 / sqrt(1 + alpha x) - 1,  alpha = descent_timescale

and in the last updates, the anneal, unless ``cooldown_shape`` is ``none``: the usual cooldown of
:mod:`autosched.schedules.cooldowns`, exponential by default as in the papers, ``lr = c * peak_lr * q**u`` with
q = ``cooldown_final_ratio`` and u the share of the anneal that is over. The next data set goes on from the weights
before the anneal, at the constant LR, with no new warmup; schedules that differ in the anneal alone share all updates
before it.

The papers call the descent a cooldown and the end an annealing; here a cooldown is what ends a run.

Source: Ibrahim et al. 2024, arXiv:2403.08763; Singh et al. 2025, arXiv:2503.02844, equation 1. Not read there, but in a
public implementation that follows them, with the same h and alpha = 10, and in three of equation 1. Some of these
divide the anneal's progress by ``anneal updates + its first update``, which would make its length depend on when it
begins; here it is divided by its updates.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "descent_fraction": 0.25, "constant_lr_ratio": 0.5}
    >>> build("infinite", {**params, "cooldown_shape": "none"}, steps=8).lrs.tolist()
    [1.0, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    >>> anneal = {"cooldown_fraction": 0.25, "cooldown_final_ratio": 0.0625}
    >>> build("infinite", {**params, **anneal}, steps=8).lrs.tolist()
    [1.0, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.125]
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from autosched.schedules.cooldowns import COOLDOWN_FINAL_RATIO, OPTIONAL_COOLDOWN, OPTIONAL_SHAPE
from autosched.schedules.floors import FLOOR
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, text_of
from autosched.schedules.parts import Body, Parts
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import Progress, Real, Shape, cosine, decay
from autosched.schedules.warmups import WARMUP


def infinite_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """Descent and constant LR for the updates start..steps-1."""
    peak, ratio, updates = float_of(params, "peak_lr"), float_of(params, "constant_lr_ratio"), steps - start
    descent = min(max(1, math.floor(float_of(params, "descent_fraction") * steps + 0.5)), updates)
    fall = decay(descent, _descent(params), begin=peak, final_ratio=ratio)
    return [Piece(descent, fall), Piece(updates - descent, peak * ratio)]


def _descent(params: Params) -> Shape:
    if text_of(params, "descent_shape") == "cosine":
        return cosine
    return partial(inverse_sqrt, timescale=float_of(params, "descent_timescale"))


def inverse_sqrt(progress: Progress, timescale: float) -> Real:
    """``1 - h(x) / h(1)`` with ``h(x) = 1 / sqrt(1 + alpha x) - 1``: from 1 to 0, and constant soon for a large alpha.

    Written ``(1 / sqrt(1 + alpha x) - q) / (1 - q)`` with ``q = 1 / sqrt(1 + alpha)``, which starts at 1 to the bit.
    """
    end = 1 / math.sqrt(1 + timescale)
    return (1 / np.sqrt(1 + timescale * progress.done) - end) / (1 - end)


CONSTANT_LR_RATIO = Parameter(
    name="constant_lr_ratio",
    kind="float",
    meaning="constant LR as a share of the peak LR",
    unit="share of the peak LR",
    low=0,
    low_open=True,
    high=1,
    default=0.3,
    search_low=0.1,
    search_high=0.9,
)
DESCENT_FRACTION = Parameter(
    name="descent_fraction",
    kind="float",
    meaning="updates from the peak to the constant LR over all updates of the run",
    unit="share of the run",
    low=0,
    low_open=True,
    high=1,
    default=0.3,
    search_low=0.05,
    search_high=0.6,
)
DESCENT_SHAPE = Parameter(
    name="descent_shape",
    kind="choice",
    meaning="shape of the way from the peak to the constant LR",
    choices=("cosine", "inverse_sqrt"),
    default="cosine",
)
DESCENT_TIMESCALE = Parameter(
    name="descent_timescale",
    kind="float",
    meaning="alpha of the inverse square root: how early it drops",
    low=0.01,
    high=1e6,
    default=10.0,
    when={"descent_shape": ("inverse_sqrt",)},
)
ANNEAL_SHAPE = replace(
    OPTIONAL_SHAPE,
    meaning="shape of the anneal at the end; none goes on at the constant LR",
    default="exponential",
    implied=False,
    search_choices=("exponential", "linear", "sqrt"),
)
ANNEAL_RATIO = replace(
    COOLDOWN_FINAL_RATIO, meaning="LR the anneal ends at, as a share of the LR at its start", default=0.01
)
ANNEAL = replace(
    OPTIONAL_COOLDOWN,
    parameters=tuple(
        {ANNEAL_SHAPE.name: ANNEAL_SHAPE, ANNEAL_RATIO.name: ANNEAL_RATIO}.get(parameter.name, parameter)
        for parameter in OPTIONAL_COOLDOWN.parameters
    ),
)
"""The optional cooldown, asked for by default."""

INFINITE = Parts(
    body=Body(
        parameters=(PEAK_LR, CONSTANT_LR_RATIO, DESCENT_FRACTION, DESCENT_SHAPE, DESCENT_TIMESCALE),
        pieces=infinite_pieces,
        non_increasing=True,
    ),
    warmup=WARMUP,
    cooldown=ANNEAL,
    floor=FLOOR,
).family(
    "infinite",
    summary="warmup, down to a constant LR that needs no end, and an anneal when a model is due",
    source="Ibrahim et al. 2024, arXiv:2403.08763; Singh et al. 2025, arXiv:2503.02844",
    formula="peak (c + (1 - c) g(x)) in the descent, then peak c",
)
