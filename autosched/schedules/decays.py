"""Families that decay over the whole run: linear, cosine, polynomial and exponential.

With W = warmup_steps, n = steps - W, u = (t - W) / n and r = final_lr_ratio, for t >= W::

    linear, cosine, polynomial:  lr[t] = peak_lr * (r + (1 - r) * g(u))

    linear        g(u) = 1 - u                              to exactly 0 with r = 0 ("D2Z")
    cosine        g(u) = (1 + cos(pi * u)) / 2
    polynomial    g(u) = (1 - u)**decay_power
    exponential   lr[t] = peak_lr * r**u                    r must be > 0; a factor of r**(1/n) for each update

The first update after the warmup has the peak LR; the last update (t = steps - 1) has ``g(1 - 1/n)``, one update before
the final LR (see :mod:`autosched.schedules.progress`). Elsewhere: torch's ``LinearLR``, ``CosineAnnealingLR``,
``PolynomialLR`` and ``ExponentialLR`` (``gamma = r**(1/n)``), transformers' linear and cosine schedules.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "warmup_steps": 2}
    >>> build("linear", params, steps=6).lrs.tolist()
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    >>> build("cosine", {**params, "final_lr_ratio": 0.5}, steps=6).lrs.round(4).tolist()
    [0.5, 1.0, 1.0, 0.9268, 0.75, 0.5732]
    >>> build("polynomial", {**params, "decay_power": 2}, steps=6).lrs.tolist()
    [0.5, 1.0, 1.0, 0.5625, 0.25, 0.0625]
    >>> build("exponential", {**params, "final_lr_ratio": 0.0625}, steps=6).lrs.tolist()
    [0.5, 1.0, 1.0, 0.5, 0.25, 0.125]
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from autosched.schedules import progress as shapes
from autosched.schedules.composition import composed
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import Shape, decay


def decay_body(shape: Shape, *, final: Parameter = FINAL_LR_RATIO) -> Body:
    """A body that follows `shape` from the peak LR to the final one over all updates after the warmup.

    Args:
        shape: a shape that goes from 1 to 0 and never rises.
        final: the parameter that holds the final LR over the peak LR; another one than the default where a cooldown
            follows that has a ``final_lr_ratio`` of its own.
    """

    def pieces(params: Params, start: int, steps: int) -> list[Piece]:
        return falling(params, steps - start, shape, final_ratio=float_of(params, final.name))

    return Body(parameters=(PEAK_LR, final), pieces=pieces, non_increasing=True)


def falling(params: Params, updates: int, shape: Shape, *, final_ratio: float) -> list[Piece]:
    """One piece that follows `shape` from the peak LR to `final_ratio` of it."""
    return [Piece(updates, decay(updates, shape, begin=float_of(params, "peak_lr"), final_ratio=final_ratio))]


def _polynomial(params: Params, start: int, steps: int) -> list[Piece]:
    shape = partial(shapes.power, exponent=float_of(params, "decay_power"))
    return falling(params, steps - start, shape, final_ratio=float_of(params, "final_lr_ratio"))


def _exponential(params: Params, start: int, steps: int) -> list[Piece]:
    shape = partial(shapes.exponential, final_ratio=float_of(params, "final_lr_ratio"))
    return falling(params, steps - start, shape, final_ratio=0.0)


DECAY_POWER = Parameter(
    name="decay_power",
    kind="float",
    meaning="exponent of the decay; 1 is linear, above 1 drops early, below 1 late",
    low=0,
    low_open=True,
    default=2.0,
    search_low=0.5,
    search_high=4,
    search_log=True,
)
POSITIVE_FINAL_LR_RATIO = replace(FINAL_LR_RATIO, low_open=True, default=0.01)
LINEAR = composed(decay_body(shapes.linear)).family(
    "linear",
    summary="warmup, then a straight line to the final LR",
    source="Defazio et al. 2023, arXiv:2310.07831; to exactly zero: Bergsma et al. 2025, arXiv:2502.15938",
    formula="peak (r + (1 - r) (1 - u))",
)
COSINE = composed(decay_body(shapes.cosine)).family(
    "cosine",
    summary="warmup, then half a cosine to the final LR",
    source="Loshchilov and Hutter 2017, arXiv:1608.03983, one cycle",
    formula="peak (r + (1 - r) (1 + cos(pi u)) / 2)",
)
POLYNOMIAL = composed(
    Body(parameters=(PEAK_LR, DECAY_POWER, FINAL_LR_RATIO), pieces=_polynomial, non_increasing=True)
).family(
    "polynomial",
    summary="warmup, then a power of what is left of the run, to the final LR",
    source="Chen et al. 2017 (DeepLab), arXiv:1606.00915, the poly policy",
    formula="peak (r + (1 - r) (1 - u)**decay_power)",
)
EXPONENTIAL = composed(
    Body(parameters=(PEAK_LR, POSITIVE_FINAL_LR_RATIO), pieces=_exponential, non_increasing=True)
).family(
    "exponential",
    summary="warmup, then the same factor for every update, to the final LR",
    source="torch's ExponentialLR",
    formula="peak r**u",
)
