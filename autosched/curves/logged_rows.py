"""Logged rows of one run, from whatever file or server, made into a curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosched.curves.curve import Curve
from autosched.errors import CurveError
from autosched.schedules.schedule import FloatArray, Schedule

MOST_LOST_TO_RESUMES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One logged value (a loss, a gradient norm), in the order of logging; `line` is its place in the file, if any."""

    step: int
    lr: float
    value: float
    line: int | None = None


def curve_of_rows(rows: Sequence[Row], *, source: str, schedule: Schedule | None) -> Curve:
    """A curve from rows in the order in which they were logged.

    A step that goes back is a resumed run: what had been logged from there on is dropped, unless that would lose
    more than half of the rows, which are then refused as unsorted. Of two rows with one step the later one counts.
    Losses that are not finite may only end the run (it diverged) and are left out. Without a schedule the LRs between
    rows are interpolated, a linear warmup leads to the first row, and the schedule ends at the last row.

    Raises:
        CurveError: with `source` and the row's line: unsorted steps, a loss that is not finite in the middle or
            everywhere, a step past the schedule's end, or one row and no schedule.
    """
    kept = without_overwritten(rows, source)
    finite = [row for row in kept if math.isfinite(row.value)]
    if not finite:
        raise CurveError("no row has a finite loss.", file=source)
    for row in kept:
        if not math.isfinite(row.value) and row.step < finite[-1].step:
            text = f"loss must be finite before the end of the run, but got {row.value}."
            raise CurveError(text, file=source, line=row.line)
    planned = schedule or interpolated_schedule(kept, source)
    for row in finite:
        if row.step > planned.steps:
            raise CurveError(f"step {row.step} lies past the horizon {planned.steps}.", file=source, line=row.line)
    steps = np.array([row.step for row in finite], dtype=np.float64)
    return Curve(schedule=planned, steps=steps, losses=np.array([row.value for row in finite]), name=source)


def without_overwritten(rows: Sequence[Row], source: str) -> list[Row]:
    """The rows without those that a resumed run logged again later.

    Raises:
        CurveError: that would be most of them; the steps are unsorted.
    """
    kept: list[Row] = []
    for row in rows:
        while kept and kept[-1].step >= row.step:
            kept.pop()
        kept.append(row)
    if len(kept) < MOST_LOST_TO_RESUMES * len(rows):
        line = next(b.line for a, b in itertools.pairwise(rows) if b.step <= a.step)
        raise CurveError("steps are not sorted: sort the rows by step.", file=source, line=line)
    return kept


def interpolated_schedule(rows: Sequence[Row], source: str) -> Schedule:
    """The logged LRs with lines between them, a linear warmup to the first, up to the last row.

    Raises:
        CurveError: one row only.
    """
    if len(rows) < 2:
        raise CurveError("one row does not show a schedule: add rows, or a runs.csv that describes it.", file=source)
    steps: FloatArray = np.array([row.step for row in rows], dtype=np.float64)
    lrs: FloatArray = np.array([row.lr for row in rows])
    if steps[0] > 0:  # linear warmup from 0 to the first logged LR
        steps, lrs = np.append(0.0, steps), np.append(0.0, lrs)
    return Schedule(np.interp(np.arange(1, steps[-1] + 1), steps, lrs))
