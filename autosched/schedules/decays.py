"""Families that decay over the whole run: linear and cosine.

With W = warmup_steps, n = steps - W and u = (t - W) / n, for t >= W::

    lr[t] = peak_lr * (final_lr_ratio + (1 - final_lr_ratio) * g(u))
    linear   g(u) = 1 - u
    cosine   g(u) = (1 + cos(pi * u)) / 2

The first update after the warmup has the peak LR; the last update (t = steps - 1) has ``g(1 - 1/n)``, one update before
the final LR (see :mod:`autosched.schedules.progress`).
"""

from __future__ import annotations

from autosched.schedules import progress as shapes
from autosched.schedules.composition import composed
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of
from autosched.schedules.parts import Body
from autosched.schedules.progress import Progress, Shape, down_to
from autosched.schedules.schedule import FloatArray


def decay_body(shape: Shape, *, final: Parameter = FINAL_LR_RATIO) -> Body:
    """A body that follows `shape` from the peak LR to the final one over all updates after the warmup.

    Args:
        shape: a shape that goes from 1 to 0 and never rises.
        final: the parameter that holds the final LR over the peak LR; another one than the default where a cooldown
            follows that has a ``final_lr_ratio`` of its own.
    """

    def lrs(params: Params, start: int, steps: int) -> FloatArray:
        fall = down_to(float_of(params, final.name), shape(Progress(steps - start)))
        return float_of(params, "peak_lr") * fall

    return Body(parameters=(PEAK_LR, final), lrs=lrs, non_increasing=True)


LINEAR = composed(decay_body(shapes.linear)).family(
    "linear",
    summary="warmup, then a straight line to the final LR",
    source="Defazio et al. 2023, arXiv:2310.07831; to exactly zero: Bergsma et al. 2025, arXiv:2502.15938",
)
COSINE = composed(decay_body(shapes.cosine)).family(
    "cosine",
    summary="warmup, then half a cosine to the final LR",
    source="Loshchilov and Hutter 2017, arXiv:1608.03983, one cycle",
)
