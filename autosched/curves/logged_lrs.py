"""A schedule from the LRs that a run logged, in a CSV file or in MLflow.

Logs number their updates in two ways, and nothing in a log says which. `first_update` does:

* 0: `step` is the number of the update that uses the LR, from 0, as :func:`autosched.schedules.to_csv` writes.
* 1: `step` counts updates done, the LR is that of the update that ended there, as in the curves of this package, in
  Hugging Face's logs, and in MLflow. A row of step 0 then belongs to no update and is left out.

Some logs hold the LR of the next update beside the steps done: Hugging Face's of 2022 did, which logged after the
scheduler's step. Their last row then belongs to no update, and a decay to 0 ends with an LR of 0, by which
:func:`ends_like_next_lrs` knows them; `next_update` reads them.

A schedule needs the LR of every update. A log that has not every one is refused, or, when asked for, interpolated:
straight lines between the logged LRs, and a line from 0 to the first, as for curves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autosched.curves.csv_files import column_names, read_lr_series
from autosched.curves.logged_series import Series, check_steps_are_updates, interpolated_schedule, last_logged
from autosched.curves.mlflow_runs import MlflowSource, logged_runs
from autosched.errors import CurveError
from autosched.schedules.schedule import Schedule


def read_lrs(
    path: str | Path,
    *,
    column: str = "lr",
    first_update: int | None = None,
    interpolate: bool = False,
    next_update: bool = False,
) -> Schedule:
    """The schedule in a CSV file with the columns ``step`` and `column`; others are ignored.

    Args:
        path: the file; `step` must rise from row to row.
        column: what the LR is called; capital letters make no difference.
        first_update: 0 or 1, see the module. Without it, a file with a column ``loss`` is a log of updates done, and a
            file without one numbers its updates from its own first step, 0 or 1.
        interpolate: whether updates that are not in the file, or have an empty cell, get an LR on the line between
            their neighbours.
        next_update: whether each row has the LR of the update after its step, see the module. The first update's, which
            no row has, lies on the line through the first two.

    Raises:
        CurveError: with file and line: not readable, a column missing, a cell that is no number, a negative or
            non-finite LR, steps that repeat, go back or leave updates out, or a log that begins with step 0 without
            `first_update`.
    """
    file = Path(path)
    lrs = read_lr_series(file, column, gaps=interpolate)
    check_steps_are_updates(lrs, str(file))
    unsorted = np.flatnonzero(np.diff(lrs.steps) <= 0)
    if unsorted.size:
        before, step = (int(lrs.steps[unsorted[0] + i]) for i in (0, 1))
        fault = "was given in the row before" if step == before else f"comes after step {before}"
        text = f"step {step} {fault}: each update once, in order."
        raise CurveError(text, file=file, line=lrs.line(unsorted[0] + 1))
    if first_update is None and "loss" not in column_names(file):
        first_update = 0 if lrs.steps[0] == 0 else 1
    if next_update:
        return _of_next_updates(lrs, str(file), interpolate=interpolate)
    return schedule_of_lrs(lrs, source=str(file), first_update=first_update, interpolate=interpolate)


def ends_like_next_lrs(schedule: Schedule) -> bool:
    """Whether the last update alone has an LR of 0, as where each row of a log held the next update's.

    Example:
        >>> ends_like_next_lrs(Schedule([0.2, 0.1, 0.0])), ends_like_next_lrs(Schedule([0.3, 0.2, 0.1]))
        (True, False)
    """
    return schedule.steps > 1 and schedule.final_lr == 0 < float(schedule.lrs[-2])


def _of_next_updates(lrs: Series, source: str, *, interpolate: bool) -> Schedule:
    """The schedule of rows that hold the LR of the update after their step."""
    if len(lrs) < 2:
        raise CurveError("one row does not show a schedule: add rows.", file=source)
    steps, values, lines = lrs.steps + 1, lrs.values, lrs.lines
    if steps[0] > 1:
        slope = (values[1] - values[0]) / (steps[1] - steps[0])
        steps, values = np.append(1.0, steps), np.append(max(0.0, values[0] - slope * (steps[0] - 1)), values)
        lines = None if lines is None else np.append(lines[:1], lines)
    shifted = Series(steps=steps, values=values, lines=lines)
    made = schedule_of_lrs(shifted, source=source, first_update=1, interpolate=interpolate)
    return Schedule(made.lrs[:-1])


def read_mlflow_lrs(
    source: MlflowSource, *, first_update: int | None = None, interpolate: bool = False, next_update: bool = False
) -> Schedule:
    """The schedule of the one run that `source` names: its artifact ``schedule.json``, else its LR metric.

    Of what a resumed run logged twice, the later counts.

    Raises:
        CurveError: no such run, several runs, or LRs that :func:`read_lrs` would refuse.
        TrackingError: the store cannot be reached.
    """
    runs = logged_runs(source, (source.lr, source.loss))
    if len(runs) > 1:
        choice = "choose one, e.g. with the filter \"attributes.run_name = 'NAME'\""
        raise CurveError(f"{len(runs)} runs of {source.experiment!r} match: {choice}.", file=source.uri)
    (run,) = runs
    if run.schedule is not None:
        return run.schedule
    lrs = last_logged(run.lrs, run.name)
    if next_update:
        return _of_next_updates(lrs, run.name, interpolate=interpolate)
    return schedule_of_lrs(lrs, source=run.name, first_update=first_update, interpolate=interpolate)


def schedule_of_lrs(lrs: Series, *, source: str, first_update: int | None, interpolate: bool) -> Schedule:
    """The schedule of LRs in rising order of their steps; see the module.

    Raises:
        CurveError: no `first_update` although there is a step 0, an LR that is negative or not finite, updates left
            out, or one row to interpolate.
    """
    if first_update not in (None, 0, 1):
        raise CurveError(f"the first update must be 0 or 1, but got {first_update}.", file=source)
    if first_update is None and lrs.steps[0] == 0:
        text = "step 0 is the first update, or the state before it: say that the first update is 0, or that it is 1."
        raise CurveError(text, file=source, line=lrs.line(0))
    bad = np.flatnonzero(~((lrs.values >= 0) & (lrs.values < np.inf)))
    if bad.size:
        text = f"the LR must be finite and >= 0, but got {lrs.values[bad[0]]}."
        raise CurveError(text, file=source, line=lrs.line(bad[0]))
    done = Series(steps=lrs.steps + (first_update == 0), values=lrs.values, lines=lrs.lines)
    if interpolate:
        return interpolated_schedule(done, source)
    updates = done[done.steps > 0]
    if not len(updates):
        raise CurveError("no row belongs to an update.", file=source)
    missing = np.diff(updates.steps, prepend=0.0) - 1
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        where = "between this row and the one before" if row else "before the first row"
        count = f"{missing[row]:.0f} update{'s' * int(missing[row] > 1)}"
        text = f"no LR for {count} {where}: log every update, or interpolate."
        raise CurveError(text, file=source, line=updates.line(row))
    return Schedule(updates.values)
