"""All runs of a group from a ``runs.csv``: their curves, their schedules as families, and how well they ended.

Beside the columns of :mod:`autosched.curves.runs_table` two more are read: ``group`` (which model and data; the folder
of the file when the column is missing) and ``full_val_loss`` (loss on the full validation set after the last update;
empty when it was not measured).

A row's exact LRs end at the final LR; this package's families end one update before it (see
:mod:`autosched.schedules.progress`), so a decay of the family is that of the table one update later. `RecordedRun`
has both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosched.curves.csv_files import check_lrs, read_series
from autosched.curves.curve import Curve
from autosched.curves.logged_series import curve_of
from autosched.curves.runs_table import RUNS_FILE, Described, RunRow, read_table, row_schedule
from autosched.errors import CurveError, ScheduleError
from autosched.schedules.registry import build
from autosched.schedules.schedule import ParameterValue, Schedule


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecordedRun:
    """One training run that was made, as its row describes it.

    Attributes:
        name: the file, relative to the table's folder.
        curve: logged losses with the exact LRs of the row.
        schedule: the row as a schedule of a family, which carries the family's name and parameters.
        full_val_loss: nats, on the full validation set after the last update; None when it was not measured.
    """

    name: str
    curve: Curve
    schedule: Schedule
    full_val_loss: float | None

    @property
    def horizon(self) -> int:
        """Updates of the planned run; the log may end earlier."""
        return self.schedule.steps


def read_runs(folder: str | Path, group: str) -> tuple[RecordedRun, ...]:
    """The runs of `group`, in the order of ``folder/runs.csv``.

    Raises:
        CurveError: with file and line: no table, no such group (the text names those there are), a cell that is not
            allowed, a curve that is missing or faulty.
    """
    table = Path(folder) / RUNS_FILE
    rows = read_table(table)
    chosen = [(line, row) for line, row in rows if _group(row) == group]
    if not chosen:
        known = ", ".join(sorted({_group(row) for _, row in rows})) or "none"
        raise CurveError(f"group must be one of {known}, but got {group!r}.", file=table)
    return tuple(_run(row, table, line) for line, row in chosen)


def full_minus_logged(runs: Iterable[RecordedRun]) -> float:
    """How far the full validation set's loss lies above the loss that is logged, nats; 0 when nothing says.

    The median over runs of ``full_val_loss`` less the end that the log leads to: the loss goes on falling per sum of
    LRs as it did between the last two logged losses.
    """
    gaps = []
    for run in runs:
        steps, losses, lrs = run.curve.steps.astype(int), run.curve.losses, run.curve.schedule.lrs
        if run.full_val_loss is None or steps.size < 2 or steps[-1] < 0.9 * run.horizon:
            continue
        fall = (losses[-1] - losses[-2]) / max(float(lrs[steps[-2] : steps[-1]].sum()), 1e-300)
        gaps.append(run.full_val_loss - losses[-1] - fall * float(lrs[steps[-1] :].sum()))
    return float(np.median(gaps)) if gaps else 0.0


def _group(row: RunRow) -> str:
    return (row.get("group") or "").strip() or str(Path(row["file"] or "").parent)


def _run(row: RunRow, table: Path, line: int) -> RecordedRun:
    name = (row["file"] or "").strip()
    file = table.parent / name
    if not file.is_file():
        raise CurveError(f"file {name!r} does not exist in {table.parent}.", file=table, line=line)
    series = read_series(file, ("lr", "loss"))
    check_lrs(series["lr"], "lr", file)
    described = Described(schedule=row_schedule(row, table, line), table=table, line=line)
    described.check(series["lr"], str(file))
    curve = curve_of(series["loss"], series["lr"], source=str(file), schedule=described.schedule)
    try:
        schedule = _family_schedule(row, curve.schedule.steps)
    except ScheduleError as error:
        raise CurveError(str(error), file=table, line=line) from None
    return RecordedRun(name=name, curve=curve, schedule=schedule, full_val_loss=_full_val_loss(row, table, line))


def _family_schedule(row: RunRow, steps: int) -> Schedule:
    """The row by family and parameters; :func:`row_schedule` has checked its cells."""

    def number(name: str, default: float = 0.0) -> float:
        text = (row.get(name) or "").strip()
        return float(text) if text else default

    kind, shape = row.get("schedule"), row.get("decay_shape") or "linear"
    params: dict[str, ParameterValue] = {"peak_lr": number("peak_lr"), "warmup_steps": int(number("warmup_steps"))}
    if kind == "two_stage" or shape == "step":
        return _two_stage(params, steps, number("cooldown_fraction"), number("final_lr_ratio"))
    if kind == "constant":
        return build("constant", params, steps=steps)
    params["final_lr_ratio"] = number("final_lr_ratio")
    if kind == "cosine":
        return build("cosine", params, steps=steps)
    params |= {"cooldown_fraction": number("cooldown_fraction"), "cooldown_shape": shape}
    return build("wsd", params, steps=steps)


def _two_stage(params: Mapping[str, ParameterValue], steps: int, fraction: float, ratio: float) -> Schedule:
    """The peak LR, then `ratio` of it from one update before the last `fraction` on, as the table counts."""
    peak, warmup = float(str(params["peak_lr"])), int(str(params["warmup_steps"]))
    begin = max(warmup, round(steps * (1 - fraction)) - 1)
    staged: dict[str, ParameterValue] = {
        "values": [peak, peak * ratio],
        "boundaries": [float(begin)],
        "warmup_steps": warmup,
    }
    return build("piecewise", staged, steps=steps)


def _full_val_loss(row: RunRow, table: Path, line: int) -> float | None:
    text = (row.get("full_val_loss") or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise CurveError(f"full_val_loss must be a number or empty, but got {text!r}.", file=table, line=line) from None
    return value if math.isfinite(value) else None
