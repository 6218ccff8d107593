"""The cooldowns: how the last n updates fall from the LR the body has where they start.

With u = j / n for the cooldown's update j = 0..n-1, and the LR of update j over the one at the cooldown's start::

    n = floor(cooldown_fraction * steps + 1/2), at least 1 and at most steps - warmup_steps
    linear, sqrt, cosine, mirror_cosine, square, power:  r + (1 - r) * g(u)

    linear                 g(u) = 1 - u
    sqrt                   g(u) = 1 - sqrt(u)
    cosine                 g(u) = (1 + cos(pi * u)) / 2
    mirror_cosine          g(u) = 2 (1 - u) - (1 + cos(pi * u)) / 2
    square                 g(u) = 1 - u**2
    power                  g(u) = (1 - u)**cooldown_power
    exponential            r**u                                  r must be > 0
    inverse_proportional   1 / (1 + u (1 / r - 1))               r must be > 0

`cooldown_fraction` is a share of all updates of the run, warmup included. The cooldown never reaches into the warmup:
when the fraction asks for more updates than the warmup leaves, it takes all that are left. The first update of the
cooldown still has the LR it starts from, the last one is one update before the final LR (see
:mod:`autosched.schedules.progress`, which has the shapes' sources).

There are two of them: `COOLDOWN`, which a WSD schedule always has (r = ``final_lr_ratio``), and `OPTIONAL_COOLDOWN` for
any other body (r = ``cooldown_final_ratio``, a share of the LR at the cooldown's start; ``cooldown_shape`` is ``none``
unless one is asked for).

Example:
    >>> import numpy as np
    >>> OPTIONAL_COOLDOWN.fall({"cooldown_shape": "square", "cooldown_final_ratio": 0.0}, 4)(np.arange(4)).tolist()
    [1.0, 0.9375, 0.75, 0.4375]
    >>> OPTIONAL_COOLDOWN.steps({}, 100)
    0
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from autosched.schedules import progress as shapes
from autosched.schedules.parameter import FINAL_LR_RATIO, Parameter, Params, choice_of, float_of, text_of
from autosched.schedules.parts import Cooldown, no_fall
from autosched.schedules.pieces import Curve
from autosched.schedules.progress import Shape, decay

PLAIN_SHAPES: Mapping[str, Shape] = {
    "linear": shapes.linear,
    "sqrt": shapes.one_minus_sqrt,
    "cosine": shapes.cosine,
    "mirror_cosine": shapes.mirror_cosine,
    "square": shapes.square,
}
ABOVE_ZERO = ("exponential", "inverse_proportional")
"""Shapes whose last LR cannot be 0."""
SHAPES = (*PLAIN_SHAPES, *ABOVE_ZERO, "power")


def cooldown_steps(params: Params, steps: int) -> int:
    """``floor(cooldown_fraction * steps + 1/2)``, at least 1."""
    return max(1, math.floor(float_of(params, "cooldown_fraction") * steps + 0.5))


def cooldown_fall(params: Params, updates: int) -> Curve:
    """LR over the LR at the cooldown's start for a `COOLDOWN`."""
    return _fall(text_of(params, "cooldown_shape"), params, "final_lr_ratio", updates)


def _fall(name: str, params: Params, ratio_name: str, updates: int) -> Curve:
    ratio = float_of(params, ratio_name)
    if name == "exponential":
        return decay(updates, partial(shapes.exponential, final_ratio=ratio))
    if name == "inverse_proportional":
        return decay(updates, partial(shapes.inverse_proportional, final_ratio=ratio))
    if name == "power":
        shape = partial(shapes.power, exponent=float_of(params, "cooldown_power"))
        return decay(updates, shape, final_ratio=ratio)
    return decay(updates, PLAIN_SHAPES[name], final_ratio=ratio)


def _ratio_fault(name: str, ratio_name: str, params: Params) -> str | None:
    if name in ABOVE_ZERO and float_of(params, ratio_name) == 0:
        kind = "an exponential" if name == "exponential" else f"an {name.replace('_', '-')}"
        return f"{ratio_name} must be > 0 for {kind} cooldown, which never reaches 0, but got 0; try 0.01."
    return None


def _fault(params: Params, steps: int) -> str | None:
    return _ratio_fault(text_of(params, "cooldown_shape"), "final_lr_ratio", params)


def _optional_steps(params: Params, steps: int) -> int:
    return 0 if choice_of(params, OPTIONAL_SHAPE) == "none" else cooldown_steps(params, steps)


def _optional_fall(params: Params, updates: int) -> Curve:
    shape = choice_of(params, OPTIONAL_SHAPE)
    return no_fall if shape == "none" else _fall(shape, params, "cooldown_final_ratio", updates)


def _optional_fault(params: Params, steps: int) -> str | None:
    return _ratio_fault(choice_of(params, OPTIONAL_SHAPE), "cooldown_final_ratio", params)


COOLDOWN_SHAPE = Parameter(
    name="cooldown_shape",
    kind="choice",
    meaning="shape of the cooldown",
    choices=SHAPES,
    default="linear",
    search_choices=("linear", "sqrt", "cosine", "exponential", "power"),
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
"""A cooldown that is always there."""

OPTIONAL_SHAPE = replace(
    COOLDOWN_SHAPE,
    meaning="shape of the cooldown, none unless it is asked for",
    choices=("none", *SHAPES),
    default="none",
    implied=True,
    search_choices=(),
)
COOLDOWN_FINAL_RATIO = replace(
    FINAL_LR_RATIO,
    name="cooldown_final_ratio",
    meaning="LR the cooldown ends at, as a share of the LR at its start",
    unit="share of the LR at the cooldown's start",
    when={"cooldown_shape": SHAPES},
)
OPTIONAL_COOLDOWN = Cooldown(
    parameters=(
        OPTIONAL_SHAPE,
        replace(COOLDOWN_FRACTION, when={"cooldown_shape": SHAPES}),
        COOLDOWN_POWER,
        COOLDOWN_FINAL_RATIO,
    ),
    steps=_optional_steps,
    fall=_optional_fall,
    fault=_optional_fault,
)
"""A cooldown for any body, there only when ``cooldown_shape`` is not ``none``."""
