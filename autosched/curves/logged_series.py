"""What one run logged, from whatever file or server: LRs and losses are two series on one axis, made into a curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosched.curves.curve import Curve
from autosched.errors import CurveError
from autosched.schedules.schedule import MOST_UPDATES, FloatArray, Schedule

MOST_LOST_TO_RESUMES = 0.5
UNIX_TIMES = (1e9, 4e9)
"""Seconds since 1970 of the years 2001 to 2096."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Series:
    """Logged values of one quantity (LRs, losses, gradient norms), in the order of logging.

    Attributes:
        steps: updates done at each, whole numbers >= 0, shape (n,).
        values: shape (n,).
        lines: where each stands in its file, shape (n,); None when they come from no file.
    """

    steps: FloatArray
    values: FloatArray
    lines: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.steps.size)

    def __getitem__(self, rows: NDArray[np.bool_] | slice) -> Series:
        lines = None if self.lines is None else self.lines[rows]
        return Series(steps=self.steps[rows], values=self.values[rows], lines=lines)

    def line(self, row: int | np.intp) -> int | None:
        """The line of one value."""
        return None if self.lines is None else int(self.lines[row])


def curve_of(losses: Series, lrs: Series, *, source: str, schedule: Schedule | None) -> Curve:
    """A curve from losses, with the LRs of `schedule`, or without one with those that were logged.

    Of what a resumed run logged again the later counts, see :func:`last_logged`. Losses that are not finite may only
    end the run (it diverged) and are left out. See :func:`interpolated_schedule` for LRs that were not logged.

    Raises:
        CurveError: with `source` and the row's line: unsorted steps, several runs, steps that count no updates, a loss
            that is not finite in the middle or everywhere, a loss that is not > 0 (laws are about its logarithm), a
            step past the schedule's end, LRs that are all 0, or too few LRs to show a schedule.
    """
    kept = last_logged(losses, source)
    finite = np.isfinite(kept.values)
    if not finite.any():
        raise CurveError("no row has a finite loss.", file=source)
    last = int(np.flatnonzero(finite)[-1])
    _check_losses(kept[: last + 1], source)
    planned = schedule or interpolated_schedule(last_logged(lrs, source), source, until=kept)
    kept = kept[: last + 1]
    if kept.steps[-1] > planned.steps:
        row = int(np.argmax(kept.steps > planned.steps))
        text = f"step {int(kept.steps[row])} lies past the horizon {planned.steps}."
        raise CurveError(text, file=source, line=kept.line(row))
    if planned.peak_lr == 0:
        raise CurveError("every LR is 0: log the LRs that the run was trained with.", file=source)
    return Curve(schedule=planned, steps=kept.steps, losses=kept.values, name=source)


def _check_losses(losses: Series, source: str) -> None:
    bad = ~(np.isfinite(losses.values) & (losses.values > 0))
    if not bad.any():
        return
    row = int(np.argmax(bad))
    text = f"loss must be finite before the end of the run, but got {losses.values[row]}."
    if np.isfinite(losses.values[row]):
        offset = float(np.ceil(1 - losses.values[np.isfinite(losses.values)].min()))
        text = (
            f"loss must be > 0 for a law, but got {losses.values[row]}: empty the cell if it is no measurement, or add "
            f"one number, e.g. {offset:g}, to all losses of all runs; what is predicted is then larger by it."
        )
    raise CurveError(text, file=source, line=losses.line(row))


def last_logged(series: Series, source: str) -> Series:
    """The series without what a resumed run logged again later, in rising order of steps.

    A step that goes back is a resumed run: what had been logged from there on is dropped. Of two rows with one step the
    later one counts.

    Raises:
        CurveError: steps that count no updates; a return to the first step, which is another run; or more than half of
            the rows would be dropped, which are unsorted.
    """
    check_steps_are_updates(series, source)
    steps = series.steps
    if steps.size < 2 or bool(np.all(steps[1:] > steps[:-1])):
        return series
    lowest_later = np.minimum.accumulate(steps[::-1])[::-1]
    kept = np.append(steps[:-1] < lowest_later[1:], True)
    back = np.flatnonzero(steps[1:] < steps[:-1]) + 1
    starts = back[steps[back] <= steps[0]]
    if starts.size and steps.size >= 2 * (starts.size + 1):
        lines = "" if series.lines is None else f", beginning at the lines {_listed(series.lines[[0, *starts]])}"
        text = f"the steps begin again: {starts.size + 1} runs in one log{lines}; keep one run, or one file per run."
        raise CurveError(text, file=source, line=series.line(starts[0]))
    if starts.size or kept.sum() < MOST_LOST_TO_RESUMES * steps.size:
        row = int(np.argmax(steps[1:] <= steps[:-1])) + 1
        raise CurveError("steps are not sorted: sort the rows by step.", file=source, line=series.line(row))
    return series[kept]


def check_steps_are_updates(series: Series, source: str) -> None:
    """Refuse steps that are Unix times, or tokens or samples, or are more than any run's updates.

    Raises:
        CurveError: at the first step of more than 10,000,000.
    """
    far = series.steps > MOST_UPDATES
    if not far.any():
        return
    row, steps = int(np.argmax(far)), series.steps
    text = f"step must be a number of updates, at most {MOST_UPDATES}, but got {steps[row]:.12g}"
    if steps.min() >= UNIX_TIMES[0] and steps.max() <= UNIX_TIMES[1] and np.ptp(steps) < 0.1 * steps.min():
        text += ": this looks like seconds of Unix time; number the updates"
    elif steps.max() < 2**53:
        unit = int(np.gcd.reduce(steps.astype(np.int64)))
        if unit > 1:
            text += (
                f": this looks like tokens or samples, all steps are multiples of {unit}; divide by those per update"
            )
    raise CurveError(f"{text}.", file=source, line=series.line(row))


def interpolated_schedule(lrs: Series, source: str, *, until: Series | None = None) -> Schedule:
    """The logged LRs with lines between them, a linear warmup from 0 to the first.

    Args:
        lrs: in rising order of steps, as :func:`last_logged` returns them.
        until: a series of the same run that may go on after the last LR, which then stays: for no more updates than
            lie between the farthest two LRs in a row.

    Raises:
        CurveError: fewer than two LRs, or too many updates after the last one.
    """
    if len(lrs) < 2:
        many = "one row does" if len(lrs) == 1 else "rows without an LR do"
        raise CurveError(f"{many} not show a schedule: add rows, or a runs.csv that describes it.", file=source)
    steps, values, end = lrs.steps, lrs.values, float(lrs.steps[-1])
    if until is not None and until.steps[-1] > end:
        reach = end + float(np.diff(steps).max())
        end = float(until.steps[-1])
        if end > reach:
            row = int(np.argmax(until.steps > reach))
            text = f"step {until.steps[row]:.0f} has no LR near it: the last one is logged at step {steps[-1]:.0f}."
            raise CurveError(text, file=source, line=until.line(row))
    if steps[0] > 0:  # linear warmup from 0 to the first logged LR
        steps, values = np.append(0.0, steps), np.append(0.0, values)
    return Schedule(np.interp(np.arange(1, end + 1), steps, values))


def _listed(lines: NDArray[np.int64]) -> str:
    return ", ".join(str(line) for line in lines[:4]) + (", …" if lines.size > 4 else "")
