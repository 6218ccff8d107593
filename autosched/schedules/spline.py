"""A spline through knots of the log LR, evenly spaced over what follows the warmup: a free form with few numbers.

With K = knots, n = steps - warmup_steps and u = (t - warmup_steps) / n, for t >= warmup_steps::

    y[0] = 0                       at u = 0: the peak LR
    y[i] = log(knot_i)             at u = i / K, i = 1..K          spline_kind free: shares of the peak LR
    y[i] = y[i-1] + log(knot_i)                                    falling: shares of the LR at the knot before
    lr[t] = peak_lr * exp(p(u)),   p the monotone cubic (PCHIP) through (i / K, y[i])

The interpolant stays between two neighbouring knots and has no turn of its own: a ``falling`` spline never rises
whatever its numbers, which makes every point of a search space a decay; a ``free`` one may go down and up again below
the peak. ``free`` and ``falling`` with one knot are the same, an exponential. All knots at 1 are a constant.

`K` numbers in [0.02, 1] on a log scale are the space by name, with K = 4; a space with another `knots` is one with as
many numbers. The last update is one before the last knot (see :mod:`autosched.schedules.progress`).

Source: Fritsch and Carlson 1980 (monotone piecewise cubic interpolation), here ``scipy.interpolate.PchipInterpolator``.

Example:
    >>> from autosched.schedules import build
    >>> halving = {"knot_1": 0.5, "knot_2": 0.5, "knots": 2, "peak_lr": 1.0}
    >>> build("spline", halving, steps=4).lrs.round(4).tolist()
    [1.0, 0.7071, 0.5, 0.3536]
    >>> build("spline", {**halving, "spline_kind": "free"}, steps=4).lrs.round(4).tolist()
    [1.0, 0.6209, 0.5, 0.5]
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.elementary import exp
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of, text_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Curve, Piece
from autosched.schedules.progress import Real
from autosched.schedules.schedule import FloatArray

MOST_KNOTS = 12


def spline_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1, a piece for each two knots; see the module's formulas."""
    from scipy.interpolate import PchipInterpolator

    heights, updates = knot_heights(params), steps - start
    knots = heights.size - 1
    cubics = PchipInterpolator(np.arange(knots + 1) / knots, heights).c.T.tolist()
    edges = [-(-updates * knot // knots) for knot in range(knots + 1)]
    pieces = []
    for knot, (first, end) in enumerate(pairwise(edges)):
        place = _place(first, updates, knot / knots)
        pieces.append(Piece(end - first, _stretch(float_of(params, "peak_lr"), cubics[knot], place)))
    return pieces


def _place(first: int, updates: int, knot: float) -> Curve:
    """How far past its knot an update is, as a share of the run."""
    return lambda j: (j + first) / updates - knot


def _stretch(peak: float, cubic: list[float], place: Curve) -> Curve:
    a, b, c, d = cubic

    def lr(j: Real) -> Real:
        x = place(j)
        # the cubic's last bit may lie above its knots
        return peak * exp(np.minimum(((a * x + b) * x + c) * x + d, 0.0))

    return lr


def knot_heights(params: Params) -> FloatArray:
    """``y``: log of the LR over the peak LR at every knot, the peak's included, shape (knots + 1,)."""
    logs = [math.log(float_of(params, f"knot_{i}")) for i in range(1, int_of(params, "knots") + 1)]
    heights = np.array([0.0, *logs])
    return np.cumsum(heights) if text_of(params, "spline_kind") == "falling" else heights


def _knot(number: int) -> Parameter:
    return Parameter(
        name=f"knot_{number}",
        kind="float",
        meaning="LR at the end of this one of knots equal parts of the run; there are as many as knots says",
        unit="share of the LR at the knot before; of the peak LR for free",
        low=1e-6,
        high=1,
        default=0.5,
        when={"knots": tuple(range(number, MOST_KNOTS + 1))},
        search_low=0.02,
        search_high=1,
        search_log=True,
    )


KNOTS = Parameter(
    name="knots",
    kind="integer",
    meaning="knots after the peak, evenly spaced, the last one at the end",
    low=1,
    high=MOST_KNOTS,
    default=4,
)
SPLINE_KIND = Parameter(
    name="spline_kind",
    kind="choice",
    meaning="falling never rises: each knot is a share of the one before; free: of the peak LR",
    choices=("falling", "free"),
    default="falling",
    search_choices=(),
)
SPLINE = composed(
    Body(
        parameters=(PEAK_LR, SPLINE_KIND, KNOTS, *(_knot(number) for number in range(1, MOST_KNOTS + 1))),
        pieces=spline_pieces,
    )
).family(
    "spline",
    summary="warmup, then a spline through knots of the log LR, never rising unless it may",
    source="Fritsch and Carlson 1980, SIAM J. Numer. Anal. 17; scipy's PchipInterpolator",
    formula="peak exp(p(u)), p the PCHIP through (i / K, log LR of knot i over the peak)",
)
