"""Read loss curves from CSV files with the columns ``step,lr,loss``.

``step`` counts updates done, ``lr`` is the LR of the update that ended there, ``loss`` is in nats per token.
The schedule is exact when a ``runs.csv`` beside the file, or one folder above, describes the run (see
:mod:`autosched.curves.runs_table`); otherwise the ``lr`` column is interpolated.
"""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.runs_table import RUNS_FILE, described_schedule
from autosched.errors import CurveError
from autosched.schedules.schedule import FloatArray, Schedule

MOST_LOST_TO_RESUMES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    step: int
    lr: float
    loss: float


def read_curve(path: str | Path) -> Curve:
    """The curve in one CSV file.

    A step that goes back is a resumed run: what had been logged from there on is dropped, unless that would lose
    more than half of the file, which is then refused as unsorted. Of two rows with one step the later one counts.
    Losses that are not finite may only end the file (a diverged run) and are left out. Without a ``runs.csv`` the
    schedule ends at the last row, LRs between rows are interpolated, and a linear warmup leads to the first row.

    Raises:
        CurveError: with file and line: not readable, a column missing, a cell that is no number, a negative LR, a
            loss that is not finite in the middle, unsorted steps, no rows, or one row and no ``runs.csv``.
    """
    file = Path(path)
    rows = _without_overwritten(_rows(file), file)
    finite = [row for row in rows if math.isfinite(row.loss)]
    if not finite:
        raise CurveError("no row has a finite loss.", file=file)
    for row in rows:
        if not math.isfinite(row.loss) and row.step < finite[-1].step:
            raise CurveError(
                f"loss must be finite before the end of the run, but got {row.loss}.", file=file, line=row.line
            )
    schedule = described_schedule(file) or _interpolated(rows, file)
    seen = [row for row in finite if row.step <= schedule.steps]
    if len(seen) < len(finite):
        line = finite[len(seen)].line
        raise CurveError(f"step {finite[len(seen)].step} lies past the horizon {schedule.steps}.", file=file, line=line)
    steps = np.array([row.step for row in finite], dtype=np.float64)
    return Curve(schedule=schedule, steps=steps, losses=np.array([row.loss for row in finite]), name=str(file))


def read_curves(*paths: str | Path) -> tuple[Curve, ...]:
    """All curves of files and folders, in the order given; a folder gives its ``*.csv`` sorted by name.

    Raises:
        CurveError: a path that does not exist, a folder without curves, or a fault in a file.
    """
    curves: list[Curve] = []
    for path in map(Path, paths):
        if not path.exists():
            raise CurveError("no such file or folder.", file=path)
        files = sorted(f for f in path.glob("*.csv") if f.name != RUNS_FILE) if path.is_dir() else [path]
        if not files:
            raise CurveError("the folder has no *.csv with a curve.", file=path)
        curves.extend(read_curve(file) for file in files)
    return tuple(curves)


def _rows(file: Path) -> list[_Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = [name.strip().lower() for name in next(reader, [])]
            columns = _columns(header, file)
            rows = [_row(cells, columns, file, reader.line_num) for cells in reader if any(c.strip() for c in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CurveError(f"cannot be read: {error}.", file=file) from None
    if not rows:
        raise CurveError("no rows below the header.", file=file)
    return rows


def _columns(header: list[str], file: Path) -> dict[str, int]:
    missing = [name for name in ("step", "lr", "loss") if name not in header]
    if missing:
        found = ",".join(header) or "nothing"
        raise CurveError(f"the header must have step,lr,loss, but has {found}.", file=file, line=1)
    return {name: header.index(name) for name in ("step", "lr", "loss")}


def _row(cells: list[str], columns: dict[str, int], file: Path, line: int) -> _Row:
    values: dict[str, float] = {}
    for name, column in columns.items():
        text = cells[column].strip() if column < len(cells) else ""
        try:
            values[name] = float(text)
        except ValueError:
            raise CurveError(f"{name} must be a number, but got {text!r}.", file=file, line=line) from None
    if not (values["step"] >= 0 and values["step"] == math.floor(values["step"]) and math.isfinite(values["step"])):
        raise CurveError(f"step must be a whole number >= 0, but got {values['step']}.", file=file, line=line)
    if not (math.isfinite(values["lr"]) and values["lr"] >= 0):
        raise CurveError(f"lr must be finite and >= 0, but got {values['lr']}.", file=file, line=line)
    return _Row(line=line, step=int(values["step"]), lr=values["lr"], loss=values["loss"])


def _without_overwritten(rows: list[_Row], file: Path) -> list[_Row]:
    kept: list[_Row] = []
    for row in rows:
        while kept and kept[-1].step >= row.step:
            kept.pop()
        kept.append(row)
    if len(kept) < MOST_LOST_TO_RESUMES * len(rows):
        line = next(b.line for a, b in itertools.pairwise(rows) if b.step <= a.step)
        raise CurveError("steps are not sorted: sort the rows by step.", file=file, line=line)
    return kept


def _interpolated(rows: list[_Row], file: Path) -> Schedule:
    if len(rows) < 2:
        raise CurveError(f"one row does not show a schedule: add rows, or a {RUNS_FILE} that describes it.", file=file)
    steps: FloatArray = np.array([row.step for row in rows], dtype=np.float64)
    lrs: FloatArray = np.array([row.lr for row in rows])
    if steps[0] > 0:  # linear warmup from 0 to the first logged LR
        steps, lrs = np.append(0.0, steps), np.append(0.0, lrs)
    return Schedule(np.interp(np.arange(1, steps[-1] + 1), steps, lrs))
