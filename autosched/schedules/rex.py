"""REX, the reflected exponential: slower than a straight line at first, faster at the end, and no parameter to tune.

With W = warmup_steps, n = steps - W, z = 1 - (t - W) / n, d = reflection and r = final_lr_ratio, for t >= W::

    lr[t] = peak_lr * (r + (1 - r) * g(z))
    g(z)  = z / ((1 - d) + d * z)            the paper: d = 1/2, that is z / (1/2 + z / 2)

d = 0 is a straight line, and the nearer d is to 1, the longer the LR stays high. Only d = 1/2 is the paper's; public
implementations made it a parameter (some with 0.9), which is how the search may bend the curve here.

Source: Chen, Wolfe and Kyrillidis 2021, arXiv:2107.04197. The formula was checked against three public implementations
that cite it.

Example:
    >>> from autosched.schedules import build
    >>> build("rex", {"peak_lr": 1.0}, steps=4).lrs.round(4).tolist()
    [1.0, 0.8571, 0.6667, 0.4]
"""

from __future__ import annotations

from functools import partial

from autosched.schedules.composition import composed
from autosched.schedules.decays import falling
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import Progress, Real


def rex_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formula."""
    shape = partial(reflected, reflection=float_of(params, "reflection"))
    return falling(params, steps - start, shape, final_ratio=float_of(params, "final_lr_ratio"))


def reflected(progress: Progress, reflection: float) -> Real:
    """``z / ((1 - d) + d z)`` with z the share still to come; written ``z / (z + (1 - d) done)``, which starts at 1."""
    return progress.left / (progress.left + (1 - reflection) * progress.done)


REFLECTION = Parameter(
    name="reflection",
    kind="float",
    meaning="how long the LR stays high: 0 is a straight line, 0.5 the paper's",
    low=0,
    high=1,
    high_open=True,
    default=0.5,
    search_low=0.0,
    search_high=0.95,
)
REX = composed(Body(parameters=(PEAK_LR, REFLECTION, FINAL_LR_RATIO), pieces=rex_pieces, non_increasing=True)).family(
    "rex",
    summary="warmup, then a decay that is slow at first and fast at the end",
    source="Chen et al. 2021 (REX), arXiv:2107.04197",
    formula="peak (r + (1 - r) z / ((1 - d) + d z)), z = 1 - u",
)
