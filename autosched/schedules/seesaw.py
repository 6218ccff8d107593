"""Seesaw: where a decay would halve the LR, it falls by the square root of 2 and the batch doubles.

With W = warmup_steps, n = steps - W, x = (t - W) / n and k the halvings of a cosine to zero so far, for t >= W::

    k       = floor(-log2((1 + cos(pi x)) / 2)), at most `doublings`
    lr[t]   = peak_lr / sqrt(2)**k
    batch   = 2**k of the trainer's

Meterez et al. 2025, arXiv:2510.14717: stages whose LR falls by a and whose batch grows by b do the same to Adam's loss
per token as long as ``a * sqrt(b)`` is the same, and a = sqrt(2), b = 2 is the largest batch that is stable. Every t is
one batch of the trainer's own size, so `steps` is the same number of tokens with any `doublings`, and the weights have
fewer updates (:mod:`autosched.schedules.batch_ramp`). The schedule says where the batch doubles in its hyperparameter
``double_batch_at``, which the trainer must have as an option. Stages are rounded to whole updates, so that no batch is
left over.

Example:
    >>> from autosched.schedules import build
    >>> schedule = build("seesaw", {"peak_lr": 1.0, "doublings": 2}, steps=24)
    >>> schedule.hyperparameters["double_batch_at"], schedule.lrs[[0, 12, 16]].round(3).tolist()
    ([12, 16], [1.0, 0.707, 0.5])
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of
from autosched.schedules.parts import Body, Parts
from autosched.schedules.pieces import Piece
from autosched.schedules.warmups import WARMUP


def doublings_at(params: Params, start: int, steps: int) -> list[int]:
    """Where the batch doubles in the updates start..steps-1; fewer times where the run is too short for whole updates.

    A cosine has fallen to ``2**-k`` at the share ``1 - 2 / pi * asin(2**(-k / 2))`` of its way.
    """
    for count in range(int_of(params, "doublings"), 0, -1):
        found: list[int] = []
        end = steps
        for k in range(count, 0, -1):
            wanted = start + (1 - 2 / math.pi * math.asin(2 ** (-k / 2))) * (steps - start)
            end -= max(1, round((end - wanted) / 2**k)) * 2**k
            found.insert(0, end)
        if end > start:
            return found
    return []


def seesaw_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """The stages of the updates start..steps-1."""
    edges, peak = [start, *doublings_at(params, start, steps), steps], float_of(params, "peak_lr")
    return [Piece(end - first, peak * math.sqrt(0.5**k)) for k, (first, end) in enumerate(pairwise(edges))]


DOUBLINGS = Parameter(
    name="doublings",
    kind="integer",
    meaning="how often the batch doubles at most",
    low=1,
    high=16,
    default=4,
    search_low=1,
    search_high=6,
)
SEESAW = replace(
    Parts(body=Body(parameters=(PEAK_LR, DOUBLINGS), pieces=seesaw_pieces, non_increasing=True), warmup=WARMUP).family(
        "seesaw",
        summary="warmup, then a cosine's halvings, each as an LR lower by sqrt(2) and a batch twice as large",
        source="Meterez et al. 2025, arXiv:2510.14717",
        formula="peak / sqrt(2)**k, k = floor(-log2((1 + cos(pi u)) / 2)) <= doublings",
    ),
    ramp=lambda params, steps: doublings_at(params, WARMUP.steps(params), steps),
)
