"""Warmup, stable, decay: the peak LR until a cooldown at the end.

With n updates of cooldown, the last n of the run, and u = j / n for its update j = 0..n-1::

    n      = floor(cooldown_fraction * steps + 1/2), at least 1 and at most steps - warmup_steps
    lr[t]  = peak_lr                                               before the cooldown
    lr[t]  = peak_lr * (r + (1 - r) * g(u))                        r = final_lr_ratio
    linear g(u) = 1 - u
    sqrt   g(u) = 1 - sqrt(u)
    cosine g(u) = (1 + cos(pi * u)) / 2
    power  g(u) = (1 - u)**cooldown_power
    exponential: lr[t] = peak_lr * r**u, so r must be > 0

`cooldown_fraction` is a share of all updates of the run, warmup included. The cooldown never reaches into the warmup:
when the fraction asks for more updates than the warmup leaves, it takes all that are left. So with a warmup of 30 of
600 updates every fraction from 0.95 to 1 gives the same curve, the one that starts to decay right after the warmup. The
first update of the cooldown still has the peak LR, the last one is one update before the final LR (see
:mod:`autosched.schedules.progress`).
"""

from __future__ import annotations

import math

from autosched.schedules import progress as shapes
from autosched.schedules.constant import CONSTANT_BODY
from autosched.schedules.parameter import FINAL_LR_RATIO, Parameter, Params, float_of, text_of
from autosched.schedules.parts import Cooldown, Parts
from autosched.schedules.progress import Progress, Shape, down_to
from autosched.schedules.schedule import FloatArray


def cooldown_steps(params: Params, steps: int) -> int:
    """``floor(cooldown_fraction * steps + 1/2)``, at least 1."""
    return max(1, math.floor(float_of(params, "cooldown_fraction") * steps + 0.5))


def cooldown_fall(params: Params, updates: int) -> FloatArray:
    """LR over the LR at the cooldown's start, shape (updates,)."""
    name, ratio, progress = text_of(params, "cooldown_shape"), float_of(params, "final_lr_ratio"), Progress(updates)
    if name == "exponential":
        return shapes.exponential(progress, ratio)
    if name == "power":
        return down_to(ratio, shapes.power(progress, float_of(params, "cooldown_power")))
    return down_to(ratio, PLAIN_SHAPES[name](progress))


def _fault(params: Params, steps: int) -> str | None:
    if text_of(params, "cooldown_shape") == "exponential" and float_of(params, "final_lr_ratio") == 0:
        return "final_lr_ratio must be > 0 for an exponential cooldown, which never reaches 0, but got 0; try 0.01."
    return None


PLAIN_SHAPES: dict[str, Shape] = {
    "linear": shapes.linear,
    "sqrt": shapes.one_minus_sqrt,
    "cosine": shapes.cosine,
}
COOLDOWN_SHAPE = Parameter(
    name="cooldown_shape",
    kind="choice",
    meaning="shape of the cooldown",
    choices=(*PLAIN_SHAPES, "exponential", "power"),
    default="linear",
)
COOLDOWN_FRACTION = Parameter(
    name="cooldown_fraction",
    kind="float",
    meaning="updates of the cooldown over all updates of the run",
    unit="share of the run",
    low=0,
    low_open=True,
    high=1,
    default=0.2,
    search_low=0.05,
    search_high=1,
)
COOLDOWN_POWER = Parameter(
    name="cooldown_power",
    kind="float",
    meaning="exponent of the power cooldown; 1 is linear, above 1 drops early, below 1 late",
    low=0,
    low_open=True,
    default=2.0,
    when={"cooldown_shape": ("power",)},
    search_low=0.5,
    search_high=4,
    search_log=True,
)
COOLDOWN = Cooldown(
    parameters=(COOLDOWN_FRACTION, COOLDOWN_SHAPE, COOLDOWN_POWER, FINAL_LR_RATIO),
    steps=cooldown_steps,
    fall=cooldown_fall,
    fault=_fault,
)
WSD = Parts(body=CONSTANT_BODY, cooldown=COOLDOWN).family(
    "wsd",
    summary="linear warmup, the peak LR, then a cooldown at the end",
    source="Hu et al. 2024 (MiniCPM), arXiv:2404.06395; 1 - sqrt: Hägele et al. 2024, arXiv:2405.18392",
)
