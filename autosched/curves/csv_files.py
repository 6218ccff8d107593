"""Read loss curves from CSV files with the columns ``step,lr,loss``.

``step`` counts updates done, ``lr`` is the LR of the update that ended there, ``loss`` is in nats per token.
The schedule is exact when a ``runs.csv`` beside the file, or one folder above, describes the run (see
:mod:`autosched.curves.runs_table`); otherwise the ``lr`` column is interpolated.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from autosched.curves.curve import Curve
from autosched.curves.gradient_norms import GradientNorms, norms_of_rows
from autosched.curves.logged_rows import Row, curve_of_rows
from autosched.curves.runs_table import RUNS_FILE, described_schedule
from autosched.errors import CurveError


def read_curve(path: str | Path) -> Curve:
    """The curve in one CSV file; :func:`autosched.curves.logged_rows.curve_of_rows` says how rows become a curve.

    Raises:
        CurveError: with file and line: not readable, a column missing, a cell that is no number, a negative LR, a
            loss that is not finite in the middle, unsorted steps, no rows, or one row and no ``runs.csv``.
    """
    file = Path(path)
    return curve_of_rows(read_rows(file), source=str(file), schedule=described_schedule(file))


def read_norms(path: str | Path, columns: Sequence[str] = ("grad_norm",)) -> GradientNorms:
    """The gradient norms in one CSV file: those of the first of `columns` that it has, beside ``step`` and ``lr``.

    Raises:
        CurveError: as for :func:`read_curve`, and what :func:`~autosched.curves.gradient_norms.norms_of_rows` refuses.
    """
    file = Path(path)
    present = column_names(file)
    metric = next((name for name in columns if name in present), columns[-1])
    schedule = described_schedule(file)
    return norms_of_rows(read_rows(file, metric), source=str(file), schedule=schedule, metric=metric)


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


def read_rows(file: Path, value: str = "loss", *, lr: str = "lr") -> list[Row]:
    """The logged rows of one CSV file, in its order, with the LRs of its column `lr` and the values of `value`.

    Raises:
        CurveError: with file and line: not readable, a column missing, a cell that is no number or negative, no rows.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            columns = _columns(_header(reader), ("step", lr.lower(), value.lower()), file)
            rows = [_row(cells, columns, file, reader.line_num) for cells in reader if any(c.strip() for c in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CurveError(f"cannot be read: {error}.", file=file) from None
    if not rows:
        raise CurveError("no rows below the header.", file=file)
    return rows


def column_names(file: Path) -> list[str]:
    """The header of a CSV file, in lower case; empty for an empty file.

    Raises:
        CurveError: it cannot be read.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return _header(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CurveError(f"cannot be read: {error}.", file=file) from None


def _header(lines: Iterator[list[str]]) -> list[str]:
    return [name.strip().lower() for name in next(lines, [])]


def _columns(header: list[str], wanted: tuple[str, str, str], file: Path) -> tuple[tuple[str, int], ...]:
    """Name and place of the step, of the LR and of the value, which may be the LR."""
    if any(name not in header for name in wanted):
        needed, found = ",".join(dict.fromkeys(wanted)), ",".join(header) or "nothing"
        raise CurveError(f"the header must have {needed}, but has {found}.", file=file, line=1)
    return tuple((name, header.index(name)) for name in wanted)


def _row(cells: list[str], columns: tuple[tuple[str, int], ...], file: Path, line: int) -> Row:
    numbers: list[float] = []
    for name, column in columns:
        text = cells[column].strip() if column < len(cells) else ""
        try:
            numbers.append(float(text))
        except ValueError:
            raise CurveError(f"{name} must be a number, but got {text!r}.", file=file, line=line) from None
    step, lr, value = numbers
    if not (math.isfinite(step) and step >= 0 and step == math.floor(step)):
        raise CurveError(f"step must be a whole number >= 0, but got {step}.", file=file, line=line)
    if not (math.isfinite(lr) and lr >= 0):
        raise CurveError(f"{columns[1][0]} must be finite and >= 0, but got {lr}.", file=file, line=line)
    return Row(line=line, step=int(step), lr=lr, value=value)
