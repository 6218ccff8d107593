"""A schedule as pieces: stretches of updates whose LRs follow one curve each.

A piece is a few numbers and a function however many updates it has; its LRs are computed when they are asked for, and
its curve can be written down (:mod:`autosched.schedules.term`), which is how exports stay short.

name      meaning                                                             shape        unit
j         updates of the piece before this one, 0..updates - 1                (updates,)   -
curve     ``curve(j)``: their LRs, elementwise                                (updates,)   LR
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.schedules.portable import whole
from autosched.schedules.schedule import FloatArray

Curve = Callable[[Any], Any]
"""An elementwise function of float64 arrays, made of operators and :mod:`autosched.schedules.elementary`."""


BLOCK = 16_384
"""Updates whose LRs are computed at once: what a curve needs in between then stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`updates` updates in a row with the LRs ``curve(j)``; a number for a curve is the LR of all of them."""

    updates: int
    curve: Curve | float

    def lrs(self) -> FloatArray:
        """LR of every update, shape (updates,)."""
        lrs = np.empty(self.updates, dtype=np.float64)
        self.write(lrs)
        return lrs

    def write(self, lrs: FloatArray) -> None:
        """Put the LR of every update into an array of shape (updates,)."""
        if not callable(self.curve):
            lrs[:] = self.curve
            return
        for first in range(0, self.updates, BLOCK):
            end = min(first + BLOCK, self.updates)
            lrs[first:end] = self.curve(np.arange(first, end, dtype=np.float64))

    def value(self, j: int) -> float:
        """LR of its update `j`."""
        return float(np.asarray(self.curve(np.float64(j)))) if callable(self.curve) else float(self.curve)

    def first(self, updates: int) -> Piece:
        """Its first updates."""
        return Piece(updates, self.curve)

    def scaled(self, factor: float) -> Piece:
        """The piece with every LR times `factor`."""
        curve = self.curve
        return Piece(self.updates, (lambda j: factor * curve(j)) if callable(curve) else factor * curve)


def listed(lrs: FloatArray) -> Piece:
    """Any LRs as one piece; its curve cannot be written down."""
    return Piece(lrs.size, lambda j: lrs[whole(j)])


def lrs_of(pieces: Iterable[Piece], steps: int) -> FloatArray:
    """LR of every update, float64 of shape (steps,)."""
    lrs = np.empty(steps, dtype=np.float64)
    done = 0
    for piece in pieces:
        piece.write(lrs[done : done + piece.updates])
        done += piece.updates
    if done != steps:
        raise ValueError(f"pieces of {done} updates for a schedule of {steps}")
    return lrs


def cut(pieces: Sequence[Piece], updates: int) -> list[Piece]:
    """The pieces of the first `updates` updates."""
    kept: list[Piece] = []
    for piece in pieces:
        length = min(piece.updates, updates)
        if length > 0:
            kept.append(piece.first(length))
        updates -= length
    return kept


def lr_at(pieces: Sequence[Piece], update: int) -> float:
    """LR of one update."""
    for piece in pieces:
        if update < piece.updates:
            return piece.value(update)
        update -= piece.updates
    raise ValueError("the pieces end before this update")
