"""A schedule as a law sees it: the forward area, and few LR drops with what came after each.

    name    meaning                                                            unit
    k       an update, 0..steps-1; the drop of update k is lrs[k-1] - lrs[k]   update
    W       warmup: the updates of the first strictly increasing run of LRs    updates
    S(t)    forward area: sum of lrs[i] over i < t, warmup included            LR x updates
    S_k(t)  area since drop k: sum of lrs[i] over k <= i < t                   LR x updates

Warmup is defined here, once, for fitting, predicting and optimising: its area counts in S, its rises are no drops.

Constant stretches have no drops and cost nothing. A stretch where the LR changes at every update is cut into at most
`intervals` pieces, the LR taken as linear inside a piece, and each piece's sum over drops is done by a three-point
Gauss rule on ``u = v**2``, u counted back from the piece's end (or from the asked step), because laws vary fastest
just after a drop. A jump is one drop, exact. With the default the error of a law's prediction was below 2e-5 nats on
all published schedules (tested against the literal double loop).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosched.schedules.outline import Outline
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray, Schedule

DEFAULT_INTERVALS = 64
_FEWEST_PIECES = 32  # of a stretch that changes at every update, however short
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_BACK = ((1 + _NODES) / 2) ** 2  # share of a piece between the node and the piece's end
_SHARE = _WEIGHTS * (1 + _NODES) / 2  # share of the piece's drop at the node; sums to 1
_KINK = 1e-12  # second difference, as a share of the peak, above which a stretch is not straight
_SHORT_BEND = 4
LR_FLOOR = 1e-3  # of the peak


def warmup_steps(lrs: FloatArray) -> int:
    """Updates in the warmup: the length of the first strictly increasing run of LRs, its last LR being the peak.

    A schedule that does not rise at its start has no warmup.

    Example:
        >>> warmup_steps(np.array([0.1, 0.2, 0.3, 0.3, 0.0])), warmup_steps(np.array([0.3, 0.2]))
        (3, 0)
    """
    stops = np.flatnonzero(np.diff(lrs) <= 0)
    rising = int(stops[0]) + 1 if stops.size else lrs.size
    return rising if rising > 1 else 0


def warmup_of(outline: Outline) -> int:
    """Updates in the warmup of an outlined schedule."""
    points = warmup_steps(outline.lrs)
    return points if points == 0 else int(outline.updates[points - 1]) + 1


def sum_by_row(row: NDArray[np.intp], values: FloatArray, rows: int) -> FloatArray:
    """Sums of the values that share a row, shape (rows,)."""
    sums: FloatArray = np.bincount(row, weights=values, minlength=rows).astype(np.float64)
    return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTable:
    """Everything a law of LR drops needs about some steps of some schedules; independent of its parameters.

    Attributes:
        area: S(t) at each asked step, shape (q,).
        row: which asked step an entry belongs to, shape (n,), increasing.
        size: LR drop of the entry (negative for a rise), shape (n,).
        log_lr: log of the LR after the drop, floored at 1/1000 of the peak so that decay to zero stays finite, (n,).
        since: S_k(t) from the drop to the asked step, shape (n,).
        updates: updates from the drop to the asked step, the drop's own included, shape (n,).
        horizon: updates of the whole schedule, per entry, shape (n,).
    """

    area: FloatArray
    row: NDArray[np.intp]
    size: FloatArray
    log_lr: FloatArray
    since: FloatArray
    updates: FloatArray
    horizon: FloatArray

    def sum_rows(self, values: FloatArray) -> FloatArray:
        """Sum of entries per asked step, shape (q,)."""
        return sum_by_row(self.row, values, self.area.size)


def drop_table(
    schedule: Schedule, steps: FloatArray, *, intervals: int = DEFAULT_INTERVALS, warmup_drops: bool = False
) -> DropTable:
    """The drops before each of `steps` (updates done, 1..schedule.steps, shape (q,)).

    Args:
        intervals: pieces into which a schedule that changes all the time is cut; the error falls with its square.
        warmup_drops: count the rises of the warmup as (negative) drops, as the published code does. Only to reproduce
            published parameters.
    """
    outline = schedule.outline
    last = np.minimum(np.asarray(steps, dtype=np.float64), schedule.steps) - 1.0  # index of the last update done
    area_before = outline.area()
    area = area_before(last + 1)
    peak = 0 if warmup_drops else max(warmup_of(outline) - 1, 0)
    places = straight_knots(outline, intervals)
    knots = np.append(peak, places[places > peak]).astype(np.float64)
    first, stop, known = knots[:-1], knots[1:], outline.read(knots)
    drops = known[:-1] - known[1:]
    changed = drops != 0
    first, stop, drops = first[changed], stop[changed], drops[changed]
    row, piece = np.nonzero(last[:, None] >= first[None, :] + 1)
    # The pieces as they are, then those that an asked step cuts: few, for many pairs of a step and a piece.
    cut = np.flatnonzero(last[row] < stop[piece])
    pieces = np.arange(first.size)
    node = pieces[piece]
    node[cut] = first.size + np.arange(cut.size)
    of = np.concatenate([pieces, piece[cut]])
    begin, whole = first[of], (stop - first)[of]
    seen = np.concatenate([stop, last[row[cut]]]) - begin  # updates of it done: its drops are begin + 1 .. begin + seen
    position = (begin + seen + 0.5)[:, None] - seen[:, None] * _BACK
    position = np.clip(position, begin[:, None] + 1, (begin + seen)[:, None])
    size = (drops[of] * seen / whole)[:, None] * _SHARE
    log_lr = np.log(np.maximum(outline.read(position), LR_FLOOR * max(schedule.peak_lr, LEAST_PEAK_LR)))
    before = area_before(position)
    return DropTable(
        area=area,
        row=np.repeat(row, _BACK.size),
        size=size[node].ravel(),
        log_lr=log_lr[node].ravel(),
        since=np.maximum(area[row, None] - before[node], 0.0).ravel(),
        updates=((last[row] + 1)[:, None] - position[node]).ravel(),
        horizon=np.full(node.size * _BACK.size, float(schedule.steps)),
    )


def concatenated(tables: Sequence[DropTable]) -> DropTable:
    """Tables of several schedules as one; rows go on counting."""
    if len(tables) == 1:
        return tables[0]
    rows = np.cumsum([0] + [table.area.size for table in tables[:-1]]).astype(np.intp)
    return DropTable(
        area=np.concatenate([table.area for table in tables]),
        row=np.concatenate([table.row + first for table, first in zip(tables, rows, strict=True)]),
        size=np.concatenate([table.size for table in tables]),
        log_lr=np.concatenate([table.log_lr for table in tables]),
        since=np.concatenate([table.since for table in tables]),
        updates=np.concatenate([table.updates for table in tables]),
        horizon=np.concatenate([table.horizon for table in tables]),
    )


def straight_knots(outline: Outline, intervals: int) -> NDArray[np.intp]:
    """Updates between which the LR is taken as linear; jumps and corners are kept, long changes are subdivided.

    Every law asks for them, so they are found once.
    """
    found: NDArray[np.intp] = outline.once(f"{intervals} knots", lambda: _knots(outline, intervals))
    return found


def _knots(outline: Outline, intervals: int) -> NDArray[np.intp]:
    end, last = outline.steps - 1, outline.lrs.size - 1
    if end == 0:
        return np.zeros(1, dtype=np.intp)
    bends = outline.bends(0)
    bent = np.flatnonzero(np.abs(bends) > _KINK * outline.peak_lr)
    corner = np.zeros(last + 1, dtype=np.bool_)  # a mask: bends may be all of millions of updates
    corner[[0, last]] = corner[_corners(bent, np.signbit(bends[bent])) + 1] = True
    kept = outline.updates[corner]
    longest = end / intervals
    fewest = _FEWEST_PIECES if kept.size <= intervals else 1
    if kept.size > 4 * intervals:  # changes everywhere: an even grid
        kept = np.unique(np.linspace(0, end, 4 * intervals + 1).round().astype(np.intp))
    pieces = [
        np.linspace(a, b, int(min(max((b - a) / longest, fewest), b - a)) + 1).round().astype(np.intp)
        if changes
        else [a, b]
        for (a, b), changes in zip(itertools.pairwise(kept.tolist()), _changes(outline, kept), strict=True)
    ]
    return np.unique(np.concatenate(pieces))


def _corners(bends: NDArray[np.intp], signs: NDArray[np.bool_]) -> NDArray[np.intp]:
    """All points of a short run of bends to one side, first and last of a long one (a curve)."""
    if not bends.size:
        return bends
    breaks = np.flatnonzero((np.diff(bends) > 1) | (signs[1:] != signs[:-1]))
    first, last = np.append(0, breaks + 1), np.append(breaks, bends.size - 1)
    kept = np.repeat(last - first < _SHORT_BEND, last - first + 1)
    kept[first] = kept[last] = True
    corners: NDArray[np.intp] = bends[kept]
    return corners


def _changes(outline: Outline, knots: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether the LR changes from each knot to the next."""
    middle = (knots[:-1] + knots[1:]) // 2
    at, between = (outline.read(places.astype(np.float64)) for places in (knots, middle))
    changes: NDArray[np.bool_] = (at[:-1] != at[1:]) | (between != at[:-1])
    return changes
