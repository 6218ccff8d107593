"""Constant LR after the warmup: ``lr[t] = peak_lr``."""

from __future__ import annotations

from autosched.schedules.composition import composed
from autosched.schedules.parameter import PEAK_LR, Params, float_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece


def constant_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """``peak_lr`` for the updates start..steps-1."""
    return [Piece(steps - start, float_of(params, "peak_lr"))]


CONSTANT_BODY = Body(parameters=(PEAK_LR,), pieces=constant_pieces, non_increasing=True)
CONSTANT = composed(CONSTANT_BODY).family(
    "constant",
    summary="warmup, then the peak LR to the end",
    source="the baseline of every comparison",
    formula="peak",
)
