"""Cosine power annealing: between a cosine, which drops late, and an exponential, which drops early.

With W = warmup_steps, n = steps - W, u = (t - W) / n, p = power_base and r = final_lr_ratio, for t >= W::

    lr[t] = peak_lr * (r + (1 - r) * (p**c - 1) / (p - 1))
    c     = (1 + cos(pi * u)) / 2                              p = 1: c itself, a cosine

Source: Hundt, Jain and Hager 2019 (sharpDARTS), arXiv:1903.09900, whose code counts epochs e = 1..E, so that the first
epoch has the largest LR and the last one the smallest: its values are these at u = e / E, scaled and shifted to the
range of the LRs that occur. ``r * peak_lr`` is its ``min_lr``, p its ``exponent_order``, 10 there too.

Example:
    >>> from autosched.schedules import build
    >>> build("cosine_power", {"peak_lr": 1.0}, steps=4).lrs.round(4).tolist()
    [1.0, 0.682, 0.2403, 0.0446]
"""

from __future__ import annotations

import math
from functools import partial

from autosched.schedules.composition import composed
from autosched.schedules.decays import falling
from autosched.schedules.elementary import expm1
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import Progress, Real, cosine


def cosine_power_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formula."""
    shape = partial(powered_cosine, base=float_of(params, "power_base"))
    return falling(params, steps - start, shape, final_ratio=float_of(params, "final_lr_ratio"))


def powered_cosine(progress: Progress, base: float) -> Real:
    """``(base**c - 1) / (base - 1)``, by ``expm1``, which loses no digits for a base near 1.

    The first c is 1, so its own ``base**c - 1`` is the divisor: the first LR is the peak to the bit.
    """
    share = cosine(progress)
    return share if base == 1 else expm1(math.log(base) * share) / float(expm1(math.log(base)))


POWER_BASE = Parameter(
    name="power_base",
    kind="float",
    meaning="1 is a cosine, larger ones drop earlier",
    low=1,
    high=1e6,
    default=10.0,
    search_low=1,
    search_high=100,
    search_log=True,
)
COSINE_POWER = composed(
    Body(parameters=(PEAK_LR, POWER_BASE, FINAL_LR_RATIO), pieces=cosine_power_pieces, non_increasing=True)
).family(
    "cosine_power",
    summary="warmup, then a cosine taken as an exponent: it drops earlier than the cosine",
    source="Hundt et al. 2019 (sharpDARTS), arXiv:1903.09900",
    formula="peak (r + (1 - r) (p**c - 1) / (p - 1)), c = (1 + cos(pi u)) / 2",
)
