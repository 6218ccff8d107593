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
from numpy.typing import NDArray

from autosched.schedules.portable import whole

FloatArray = NDArray[np.float64]
Curve = Callable[[Any], Any]
"""An elementwise function of float64 arrays, made of operators and :mod:`autosched.schedules.elementary`."""

BLOCK = 16_384
"""Updates whose LRs are computed at once: what a curve needs in between then stays in the processor's cache."""


Updates = NDArray[np.intp]


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

    def write(self, lrs: FloatArray, start: int = 0) -> None:
        """Put the LRs of as many updates as an array has, from update `start` of the piece on, into it."""
        if not callable(self.curve):
            lrs[:] = self.curve
            return
        for first in range(0, lrs.size, BLOCK):
            end = min(first + BLOCK, lrs.size)
            lrs[first:end] = self.curve(np.arange(start + first, start + end, dtype=np.float64))

    def at(self, j: Updates) -> FloatArray:
        """LR of some of its updates, shape of `j`."""
        if not callable(self.curve):
            return np.full(j.shape, float(self.curve))
        return np.broadcast_to(np.asarray(self.curve(j.astype(np.float64)), dtype=np.float64), j.shape)

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


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Pieces in a row, whose LRs are computed where they are asked for.

    Attributes:
        pieces: none of them empty.
        ends: how many updates each of them and those before it have, shape (pieces,).
    """

    pieces: tuple[Piece, ...]
    ends: Updates

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> Pieces:
        """These pieces, without the empty ones."""
        kept = tuple(piece for piece in pieces if piece.updates)
        return cls(kept, np.cumsum([piece.updates for piece in kept], dtype=np.intp))

    @property
    def steps(self) -> int:
        """Updates of all."""
        return int(self.ends[-1]) if self.ends.size else 0

    def part(self, start: int, stop: int) -> FloatArray:
        """LR of the updates `start` to `stop` - 1, the same bits whatever is asked for beside them."""
        lrs = np.empty(stop - start, dtype=np.float64)
        for piece, end in zip(self.pieces, self.ends.tolist(), strict=True):
            begin = end - piece.updates
            first, last = max(start, begin), min(stop, end)
            if first < last:
                piece.write(lrs[first - start : last - start], first - begin)
        return lrs

    def at(self, updates: Updates) -> FloatArray:
        """LR of some updates, shape (n,)."""
        lrs = np.empty(updates.shape, dtype=np.float64)
        number = np.searchsorted(self.ends, updates, side="right")
        for place in np.unique(number).tolist():
            here = number == place
            begin = int(self.ends[place]) - self.pieces[place].updates
            lrs[here] = self.pieces[place].at(updates[here] - begin)
        return lrs

    def first(self, updates: int) -> Pieces:
        """Those of the first updates."""
        return Pieces.of(cut(self.pieces, updates))


def lrs_of(pieces: Iterable[Piece], steps: int) -> FloatArray:
    """LR of every update, float64 of shape (steps,)."""
    whole_run = Pieces.of(pieces)
    if whole_run.steps != steps:
        raise ValueError(f"pieces of {whole_run.steps} updates for a schedule of {steps}")
    return whole_run.part(0, steps)


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
