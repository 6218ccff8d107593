"""One cycle: up from a low LR to the peak, then down to a lower one, in two phases or in three.

With n = steps - warmup_steps updates j = 0..n-1, f = rise_fraction, a = f * n - 1 and b = 2 * a::

    two phases     j <= a        from peak_lr * initial_lr_ratio to peak_lr              p = j / a
                   j >  a        from peak_lr to peak_lr * final_lr_ratio                p = (j - a) / (n - 1 - a)
    three phases   j <= a        from peak_lr * initial_lr_ratio to peak_lr              p = j / a
                   a < j <= b    from peak_lr to peak_lr * initial_lr_ratio              p = (j - a) / (b - a)
                   j >  b        from there to peak_lr * final_lr_ratio                  p = (j - b) / (n - 1 - b)
    cosine         lr = end + (begin - end) * (1 + cos(pi * p)) / 2
    linear         lr = end + (begin - end) * (1 - p)

This counts as torch's ``OneCycleLR`` does, unlike the other decays of this package: the last update has the final LR,
and the peak lies at j = a, which an update hits only where f * n is a whole number. The parameters are its ``max_lr``,
``pct_start``, ``anneal_strategy``, ``1 / div_factor`` and ``1 / (div_factor * final_div_factor)``, the defaults too.
With a = 0, where torch divides by zero, the first update has the peak LR.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "anneal_shape": "linear", "initial_lr_ratio": 0.25, "final_lr_ratio": 0.0}
    >>> build("one_cycle", {**params, "rise_fraction": 0.5}, steps=8).lrs.tolist()
    [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0]
    >>> build("one_cycle", {**params, "rise_fraction": 0.375, "phases": "three"}, steps=8).lrs.tolist()
    [0.25, 0.625, 1.0, 0.625, 0.25, 0.16666666666666666, 0.08333333333333333, 0.0]
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.elementary import sin
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of, text_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Curve, Piece

Phase = tuple[float, float, float]
"""The update a phase ends at (a whole number or not), and the LRs it goes from and to, as shares of the peak LR."""


def one_cycle_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formulas."""
    peak, cosine = float_of(params, "peak_lr"), text_of(params, "anneal_shape") == "cosine"
    pieces: list[Piece] = []
    first, begin = 0, 0.0
    for end, high, low in _phases(params, steps - start):
        until = math.floor(end) + 1
        if until > first:
            left = _left(first, begin, end)
            pieces.append(Piece(until - first, _phase(left, peak, (high, low), cosine=cosine)))
            first = until
        begin = end
    return pieces


def _left(first: int, begin: float, end: float) -> Curve:
    """Share of a phase that is still to come, at the updates from `first` on."""
    return lambda j: (end - (j + first)) / (end - begin or 1.0)


def _phase(left: Curve, peak: float, ratios: tuple[float, float], *, cosine: bool) -> Curve:
    high, low = ratios
    # (1 + cos(pi p)) / 2 = sin(pi / 2 * left)**2, which keeps its digits near the end of the phase
    share: Curve = (lambda j: np.square(sin(np.pi / 2 * left(j)))) if cosine else left
    return lambda j: peak * (low + (high - low) * share(j))


def _phases(params: Params, updates: int) -> tuple[Phase, ...]:
    top = float_of(params, "rise_fraction") * updates - 1
    initial, final = float_of(params, "initial_lr_ratio"), float_of(params, "final_lr_ratio")
    if text_of(params, "phases") == "two":
        return (top, initial, 1.0), (updates - 1.0, 1.0, final)
    return (top, initial, 1.0), (2 * top, 1.0, initial), (updates - 1.0, initial, final)


def _fault(params: Params, steps: int) -> str | None:
    fraction = float_of(params, "rise_fraction")
    if text_of(params, "phases") == "three" and fraction > 0.5:
        return f"rise_fraction must be in [0, 0.5] for three phases, as the fall takes as long, but got {fraction:g}."
    return None


ANNEAL_SHAPE = Parameter(
    name="anneal_shape",
    kind="choice",
    meaning="shape of every phase",
    choices=("cosine", "linear"),
    default="cosine",
)
PHASES = Parameter(
    name="phases",
    kind="choice",
    meaning="two: up and down; three: up, down again as long, then further down",
    choices=("two", "three"),
    default="two",
    search_choices=(),
)
RISE_FRACTION = Parameter(
    name="rise_fraction",
    kind="float",
    meaning="updates of the rise over all updates after the warmup",
    unit="share of the updates after the warmup",
    low=0,
    high=1,
    default=0.3,
    search_low=0.1,
    search_high=0.5,
)
INITIAL_LR_RATIO = Parameter(
    name="initial_lr_ratio",
    kind="float",
    meaning="LR of the first update",
    unit="share of the peak LR",
    low=0,
    high=1,
    default=0.04,
    search_low=0.01,
    search_high=0.2,
    search_log=True,
)
LAST_LR_RATIO = replace(
    FINAL_LR_RATIO, meaning="LR of the last update", default=4e-6, search_low=1e-6, search_high=1e-2
)
ONE_CYCLE = composed(
    Body(
        parameters=(PEAK_LR, RISE_FRACTION, INITIAL_LR_RATIO, LAST_LR_RATIO, ANNEAL_SHAPE, PHASES),
        pieces=one_cycle_pieces,
        fault=_fault,
    )
).family(
    "one_cycle",
    summary="up to the peak LR and down to far below where it began",
    source="Smith and Topin 2017, arXiv:1708.07120; torch's OneCycleLR",
    formula="up from peak initial_lr_ratio to peak, down to peak r, each half a cosine or a line",
)
