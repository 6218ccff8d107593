"""The floor: how low a schedule falls, from which update on it stays there, and how long each LR is kept.

With E = ``decay_steps`` (0: the run's updates), m = ``min_lr``, k = ``stair_steps``, and lr the LR that warmup, body
and cooldown would have in a run of E updates::

    lr[t] = lr[E]                                     from update E on: the LR that the body or the cooldown ends at
    lr[t] = m + (1 - m / peak_lr) * lr[t]             after the warmup, which rises to that
    lr[t] = lr[k floor(t / k)]

So a decay to 0 ends at ``min_lr``, whatever the peak is; ``decay_steps`` one below the run's updates makes the last
update have the final LR; and ``stair_steps``, the updates of an epoch, changes the LR once an epoch. The names are
those of codes: ``decay_steps`` counts the warmup in, as optax's does.

Example:
    >>> from autosched.schedules import build
    >>> floor = {"decay_steps": 6, "min_lr": 0.1}
    >>> build("linear", {"peak_lr": 1.0, "warmup_steps": 2, **floor}, steps=8).lrs.round(3).tolist()
    [0.5, 1.0, 1.0, 0.775, 0.55, 0.325, 0.1, 0.1]
    >>> build("linear", {"peak_lr": 1.0, "stair_steps": 4}, steps=8).lrs.tolist()
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autosched.schedules.parameter import Parameter, Params, float_of, int_of
from autosched.schedules.pieces import Curve, Piece, lr_at

DECAY_STEPS = Parameter(
    name="decay_steps",
    kind="integer",
    meaning="update that has reached the final LR, which stays; 0 is the one after the last",
    unit="updates",
    low=0,
    default=0,
    implied=True,
)
MIN_LR = Parameter(
    name="min_lr",
    kind="float",
    meaning="LR that a fall to 0 ends at, whatever the peak LR is",
    unit="LR",
    low=0,
    default=0.0,
    implied=True,
)
STAIR_STEPS = Parameter(
    name="stair_steps",
    kind="integer",
    meaning="updates with one LR in a row, as those of an epoch",
    unit="updates",
    low=1,
    default=1,
    implied=True,
)
FLOOR = (DECAY_STEPS, MIN_LR, STAIR_STEPS)


def decay_end(params: Params, steps: int) -> int:
    """The update from which on the final LR stays; `steps` for none."""
    asked = int_of(params, DECAY_STEPS.name) if DECAY_STEPS.name in params else 0
    return min(asked or steps, steps)


def floored(pieces: Sequence[Piece], updates: int) -> list[Piece]:
    """The pieces, and `updates` more with the LR that the last of them would go on with."""
    if not updates:
        return list(pieces)
    last = next(piece for piece in reversed(pieces) if piece.updates)
    end = last.value(last.updates)
    return [*pieces, Piece(updates, end if math.isfinite(end) and end >= 0 else last.value(last.updates - 1))]


def lifted(pieces: Sequence[Piece], params: Params) -> list[Piece]:
    """The pieces with 0 lifted to ``min_lr`` and the peak LR where it is."""
    low = float_of(params, MIN_LR.name) if MIN_LR.name in params else 0.0
    if low == 0:
        return list(pieces)
    return [Piece(piece.updates, _lifted(piece.curve, low, float_of(params, "peak_lr"))) for piece in pieces]


def _lifted(curve: Curve | float, low: float, peak: float) -> Curve | float:
    def lift(lr: Any) -> Any:
        return np.minimum(low * (1 - lr / peak) + lr, peak)  # its last bit may lie above

    return (lambda j: lift(curve(j))) if callable(curve) else float(lift(curve))


def in_stairs(pieces: Sequence[Piece], params: Params) -> list[Piece]:
    """The pieces with the LR of every ``stair_steps``-th update kept until the next of these."""
    length = int_of(params, STAIR_STEPS.name) if STAIR_STEPS.name in params else 1
    if length == 1:
        return list(pieces)
    kept: list[Piece] = []
    first = 0
    for piece in pieces:
        begun = min(-first % length, piece.updates)
        if begun:
            kept.append(Piece(begun, lr_at(pieces, first - first % length)))
        if piece.updates > begun:
            kept.append(Piece(piece.updates - begun, _stairs(piece.curve, begun, length)))
        first += piece.updates
    return kept


def _stairs(curve: Curve | float, first: int, length: int) -> Curve | float:
    return (lambda j: curve(first + length * np.floor(j / length))) if callable(curve) else curve


def floor_fault(params: Params, warmup_steps: int) -> str | None:
    """What is wrong with the floor's parameters beside the others; None when nothing is."""
    end = int_of(params, DECAY_STEPS.name) if DECAY_STEPS.name in params else 0
    if 0 < end <= warmup_steps:
        return f"decay_steps must be 0 or above warmup_steps ({warmup_steps}), but got {end}."
    if MIN_LR.name in params and float_of(params, MIN_LR.name) > float_of(params, "peak_lr"):
        low, peak = float_of(params, MIN_LR.name), float_of(params, "peak_lr")
        return f"min_lr must be <= peak_lr ({peak:g}), but got {low:g}."
    return None
