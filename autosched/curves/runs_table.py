"""Exact schedules from a ``runs.csv`` that lies beside the curves or one folder above.

Columns: ``file`` (relative to the folder of ``runs.csv``), ``schedule`` (constant, cosine, wsd, two_stage),
``peak_lr``, ``warmup_steps``, ``horizon``, ``cooldown_fraction``, ``decay_shape`` (linear, sqrt, exponential, cosine,
step) and ``final_lr_ratio``; others are ignored. A table that describes curves of a folder describes all of them, each
once, and its schedules have the LRs that the curves' own files say.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosched.curves.logged_series import Series
from autosched.errors import CurveError, ScheduleError
from autosched.schedules.schedule import FloatArray, Schedule, check_updates
from autosched.text_files import opened_lines

RUNS_FILE = "runs.csv"
LR_TOLERANCE = 0.01
"""Of the peak LR; published tables differ from their files' LRs by 0.2% at most, see the tests."""
MOST_OTHER_LRS = 0.05
"""Share of a file's LRs that may differ by more, e.g. beside a jump that was logged an update late."""
RunRow = Mapping[str, str | None]


def _linear(progress: FloatArray, final: float) -> FloatArray:
    return 1 - (1 - final) * progress


def _sqrt(progress: FloatArray, final: float) -> FloatArray:
    return 1 - (1 - final) * np.sqrt(progress)


def _cosine(progress: FloatArray, final: float) -> FloatArray:
    return final + (1 - final) * 0.5 * (1 + np.cos(np.pi * progress))


def _exponential(progress: FloatArray, final: float) -> FloatArray:
    return final**progress


def _step(progress: FloatArray, final: float) -> FloatArray:
    return np.where(progress > 0, final, 1.0)


_SHAPES: Mapping[str, Callable[[FloatArray, float], FloatArray]] = {
    "linear": _linear,
    "sqrt": _sqrt,
    "cosine": _cosine,
    "exponential": _exponential,
    "step": _step,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The schedule that one row of a table gives, or a schedule file (`line` None)."""

    schedule: Schedule
    table: Path
    line: int | None

    def check(self, lrs: Series, source: str) -> None:
        """Compare with the LRs that the run's own file has.

        Raises:
            CurveError: they are others.
        """
        rows = (lrs.steps >= 1) & (lrs.steps <= self.schedule.steps)
        seen = lrs[rows]
        expected = self.schedule.lr_at(seen.steps.astype(np.intp) - 1)
        differs = np.abs(seen.values - expected) > LR_TOLERANCE * self.schedule.peak_lr
        if differs.sum() <= MOST_OTHER_LRS * differs.size:
            return
        row = int(np.argmax(differs))
        text = (
            f"LR {expected[row]:g} at update {int(seen.steps[row])} is not what {source}:{seen.line(row)} says, "
            f"{seen.values[row]:g} ({int(differs.sum())} of {differs.size} LRs differ): correct one of them."
        )
        raise CurveError(text, file=self.table, line=self.line)


def described_schedule(curve_file: Path) -> Described | None:
    """The schedule that a ``runs.csv`` gives for this curve; None when no table describes curves of its folder.

    Raises:
        CurveError: with the table's file and line: a cell that is missing, no number, or not allowed; two rows for one
            file; or no row for this curve, but for others in its folder.
    """
    for folder in (curve_file.parent, curve_file.parent.parent):
        table = folder / RUNS_FILE
        if not table.is_file():
            continue
        rows = read_table(table)
        here = curve_file.resolve()
        found = next(((line, row) for line, row in rows if _file_of(row, table) == here), None)
        if found is not None:
            return Described(schedule=row_schedule(found[1], table, found[0]), table=table, line=found[0])
        if any(_file_of(row, table).parent == here.parent for _, row in rows):
            raise CurveError(f"no row is about {curve_file.name}: add one, or move the file elsewhere.", file=table)
    return None


def absent_files(curve_files: Iterable[Path]) -> list[str]:
    """What the tables of these curves name that is not there: one sentence for each table that does.

    A table with a fault says nothing here: reading the curves that it is about does.
    """
    folders = {folder for file in curve_files for folder in (file.parent, file.parent.parent)}
    notes = []
    for table in sorted(folder / RUNS_FILE for folder in folders if (folder / RUNS_FILE).is_file()):
        absent = []
        with suppress(CurveError):
            absent = [(line, row["file"]) for line, row in read_table(table) if not _file_of(row, table).exists()]
        if absent:
            more = f" (nor {len(absent) - 1} more that rows are about)" if len(absent) > 1 else ""
            notes.append(f"{table}:{absent[0][0]}: there is no file {absent[0][1]}{more}.")
    return notes


def read_table(table: Path) -> list[tuple[int, RunRow]]:
    """The rows that name a file, with their lines.

    Raises:
        CurveError: it cannot be read, has no column ``file``, or has two rows about one file.
    """
    rows: list[tuple[int, RunRow]] = []
    with opened_lines(table, "a CSV file", CurveError) as lines:
        reader = csv.DictReader(lines)
        try:
            if "file" not in (reader.fieldnames or []):
                raise CurveError("the header must have a column 'file'.", file=table, line=1)
            rows = [(reader.line_num, row) for row in reader if (row.get("file") or "").strip()]
        except csv.Error as error:
            raise CurveError(f"cannot be read: {error}.", file=table, line=reader.line_num) from None
    first: dict[Path, int] = {}
    for line, row in rows:
        beyond = [cell for cell in row.get(None, ()) if cell.strip()]  # type: ignore[call-overload]
        if beyond:
            text = f"the row goes on after the header's last column: {beyond[0]!r:.60}."
            raise CurveError(text, file=table, line=line)
        earlier = first.setdefault(_file_of(row, table), line)
        if earlier != line:
            raise CurveError(f"line {earlier} is about {row['file']} too: keep one.", file=table, line=line)
    return rows


def _file_of(row: RunRow, table: Path) -> Path:
    return (table.parent / (row["file"] or "").strip()).resolve()


def row_schedule(row: RunRow, table: Path, line: int) -> Schedule:
    """The schedule of one row of the table.

    Raises:
        CurveError: a cell that is missing, no number, or not allowed.
    """
    family = row.get("schedule")
    if family not in {"constant", "cosine", "wsd", "two_stage"}:
        allowed = "constant, cosine, wsd or two_stage"
        raise CurveError(f"schedule must be {allowed}, but got {family!r}.", file=table, line=line)
    shape = _SHAPES.get("cosine" if family == "cosine" else (row.get("decay_shape") or "linear"))
    if shape is None:
        text = f"decay_shape must be one of {', '.join(_SHAPES)}, but got {row['decay_shape']!r}."
        raise CurveError(text, file=table, line=line)
    cells = _Cells(row, table, line)
    peak, horizon, warmup = cells.peak(), cells.updates("horizon"), cells.number("warmup_steps", 0.0)
    fraction = {"constant": 0.0, "cosine": 1.0}.get(family)
    fraction = cells.number("cooldown_fraction") if fraction is None else fraction
    if not (0 <= warmup <= horizon and warmup.is_integer() and 0 <= fraction <= 1):
        raise CurveError("need 0 <= warmup_steps <= horizon and cooldown_fraction in [0, 1].", file=table, line=line)
    final = cells.number("final_lr_ratio", 0.0)
    if not 0 <= final <= 1:
        raise CurveError(f"final_lr_ratio must be in [0, 1], but got {final}.", file=table, line=line)
    done = np.arange(1, horizon + 1, dtype=np.float64)
    begin = max(int(warmup), round(horizon * (1 - fraction)) - (family == "two_stage"))
    progress = np.clip((done - begin) / max(horizon - begin, 1), 0.0, 1.0)
    ramp = np.minimum(done / warmup, 1.0) if warmup else np.ones(horizon)
    return Schedule(peak * ramp * shape(progress, final))


class _Cells:
    """The numbers of one row."""

    def __init__(self, row: RunRow, table: Path, line: int) -> None:
        self.row, self.table, self.line = row, table, line

    def number(self, name: str, default: float | None = None) -> float:
        text = (self.row.get(name) or "").strip()
        if not text and default is not None:
            return default
        try:
            value = math.nan if "_" in text else float(text)
        except ValueError:
            raise CurveError(
                f"{name} must be a number, but got {text!r:.60}.", file=self.table, line=self.line
            ) from None
        if not math.isfinite(value):
            raise CurveError(f"{name} must be a finite number, but got {text!r:.60}.", file=self.table, line=self.line)
        return value

    def peak(self) -> float:
        value = self.number("peak_lr")
        if value <= 0:
            raise CurveError(f"peak_lr must be > 0, but got {value:g}.", file=self.table, line=self.line)
        return value

    def updates(self, name: str) -> int:
        value = self.number(name)
        try:
            return check_updates(int(value) if value.is_integer() else value, name)
        except ScheduleError as error:
            raise CurveError(str(error), file=self.table, line=self.line) from None
