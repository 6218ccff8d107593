"""Read loss curves from CSV files with the columns ``step,lr,loss``, plain or compressed by gzip.

``step`` counts updates done, ``lr`` is the LR of the update that ended there, ``loss`` is in nats per token. LRs and
losses are two series: a row may have both, or leave a cell empty whose quantity was not logged there. The schedule is
exact when a ``runs.csv`` beside the file, or one folder above, describes the run (see
:mod:`autosched.curves.runs_table`); otherwise the LRs between the logged ones are interpolated.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.gradient_norms import GradientNorms, norms_of
from autosched.curves.logged_series import Series, curve_of
from autosched.curves.runs_table import RUNS_FILE, Described, described_schedule
from autosched.errors import CurveError
from autosched.schedules.schedule import Schedule
from autosched.text_files import opened_lines

MOST_ROWS = 20_000_000
SUFFIXES = (".csv", ".csv.gz")


def read_curve(path: str | Path) -> Curve:
    """The curve in one CSV file; :func:`autosched.curves.logged_series.curve_of` says how rows become a curve.

    Raises:
        CurveError: with file and line: not readable, a column missing, a cell that is no number, a negative LR, what
            :func:`~autosched.curves.logged_series.curve_of` refuses, or a ``runs.csv`` that does not fit the file.
    """
    file = Path(path)
    series = read_series(file, ("lr", "loss"))
    return curve_of(series["loss"], series["lr"], source=str(file), schedule=_described(file, series["lr"]))


def read_begun_run(path: str | Path, schedule: Schedule, source: str | Path) -> Curve:
    """The log so far of a run that follows `schedule`, which came from `source`.

    Raises:
        CurveError: as for :func:`read_curve`, or the log has other LRs than the schedule.
    """
    file = Path(path)
    series = read_series(file, ("lr", "loss"))
    check_lrs(series["lr"], "lr", file)
    Described(schedule=schedule, table=Path(source), line=None).check(series["lr"], str(file))
    return curve_of(series["loss"], series["lr"], source=str(file), schedule=schedule)


def read_norms(path: str | Path, columns: Sequence[str] = ("grad_norm",)) -> GradientNorms:
    """The gradient norms in one CSV file: those of the first of `columns` that it has, beside ``step`` and ``lr``.

    Raises:
        CurveError: as for :func:`read_curve`, and what :func:`~autosched.curves.gradient_norms.norms_of` refuses.
    """
    file = Path(path)
    present = column_names(file)
    metric = next((name for name in columns if name in present), columns[-1])
    series = read_series(file, ("lr", metric))
    described = _described(file, series["lr"])
    return norms_of(series[metric], series["lr"], source=str(file), schedule=described, metric=metric)


def read_curves(*paths: str | Path) -> tuple[Curve, ...]:
    """All curves of files and folders, in the order given; a folder gives its CSV files sorted by name.

    Raises:
        CurveError: a path that does not exist, a folder without curves, or a fault in a file.
    """
    curves: list[Curve] = []
    for path in map(Path, paths):
        if not path.exists():
            raise CurveError("no such file or folder.", file=path)
        curves.extend(map(read_curve, curve_files(path)))
    return tuple(curves)


def curve_files(path: Path) -> list[Path]:
    """The file itself, or a folder's curves sorted by name.

    Raises:
        CurveError: a folder without curves.
    """
    if not path.is_dir():
        return [path]
    for is_log in (lambda name: name.endswith(SUFFIXES) and name != RUNS_FILE, _is_other_log):
        files = sorted(file for file in path.iterdir() if is_log(file.name))
        if files:
            return files
    raise CurveError("the folder has no *.csv with a curve, and no other log.", file=path)


def _is_other_log(name: str) -> bool:
    return "tfevents" in name or name == "trainer_state.json" or name.endswith((".jsonl", ".ndjson", ".tsv", ".log"))


def read_series(file: Path, names: Sequence[str], *, gaps: bool = True) -> Mapping[str, Series]:
    """The columns `names` of one CSV file, each as the series of its cells, in the file's order.

    Args:
        names: capital letters make no difference.
        gaps: whether a cell may be empty (nothing was logged there); it is left out.

    Raises:
        CurveError: with file and line: not readable, a column missing or there twice, a row that ends too early, a cell
            that is no number, a step that is no whole number >= 0, no rows, or more than 20,000,000.
    """
    with opened_lines(file, "a CSV file", CurveError) as lines:
        reader = csv.reader(lines)
        try:
            columns = _columns(_header(reader), ("step", *(name.lower() for name in names)), file)
            logged = [_Logged(name, place, gaps) for name, place in columns[1:]]
            _read_rows(reader, columns[0][1], logged, file)
        except csv.Error as error:
            raise CurveError(f"cannot be read: {error}.", file=file, line=reader.line_num) from None
    if not any(column.steps for column in logged):
        raise CurveError("no rows below the header.", file=file)
    series = {name: column.series() for name, column in zip(names, logged, strict=True)}
    for one in series.values():
        _check_steps(one, file)
    return series


def read_lr_series(file: Path, column: str, *, gaps: bool) -> Series:
    """The LRs of one CSV file, see :func:`read_series`.

    Raises:
        CurveError: as for :func:`read_series`, or an LR that is negative or not finite.
    """
    lrs = read_series(file, (column,), gaps=gaps)[column]
    check_lrs(lrs, column, file)
    return lrs


def check_lrs(lrs: Series, column: str, file: Path) -> None:
    """Refuse LRs that are negative or not finite.

    Raises:
        CurveError: at the first one.
    """
    bad = ~(np.isfinite(lrs.values) & (lrs.values >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        text = f"{column.lower()} must be finite and >= 0, but got {lrs.values[row]}."
        raise CurveError(text, file=file, line=lrs.line(row))


def column_names(file: Path) -> list[str]:
    """The header of a CSV file, in lower case; empty for an empty file.

    Raises:
        CurveError: it cannot be read.
    """
    with opened_lines(file, "a CSV file", CurveError) as lines:
        try:
            return _header(csv.reader(lines))
        except csv.Error as error:
            raise CurveError(f"cannot be read: {error}.", file=file, line=1) from None


class _Logged:
    """One column while it is read; arrays, because a log may have millions of rows."""

    def __init__(self, name: str, place: int, gaps: bool) -> None:
        self.name, self.place, self.gaps = name, place, gaps
        self.steps, self.values, self.lines = array("d"), array("d"), array("q")

    def series(self) -> Series:
        steps, values = np.frombuffer(self.steps), np.frombuffer(self.values)
        return Series(steps=steps, values=values, lines=np.frombuffer(self.lines, dtype=np.int64))


def _described(file: Path, lrs: Series) -> Schedule | None:
    check_lrs(lrs, "lr", file)
    described = described_schedule(file)
    if described is None:
        return None
    described.check(lrs, str(file))
    return described.schedule


def _read_rows(reader: Iterator[list[str]], step_place: int, logged: list[_Logged], file: Path) -> None:
    for count, cells in enumerate(reader):
        if count >= MOST_ROWS:
            raise CurveError(f"must have at most {MOST_ROWS} rows.", file=file)
        line = reader.line_num  # type: ignore[attr-defined]
        if len(cells) < 2 and not "".join(cells).strip():
            continue
        step = _number(cells, step_place, "step", file, line)
        for column in logged:
            value = _number(cells, column.place, column.name, file, line)
            if value is not None and step is not None:
                column.steps.append(step)
                column.values.append(value)
                column.lines.append(line)
            elif value is not None or not column.gaps:
                name = column.name if value is None else "step"
                raise CurveError(f"{name} must be a number, but got ''.", file=file, line=line)


def _number(cells: list[str], place: int, name: str, file: Path, line: int) -> float | None:
    """The number in a cell; None for an empty one."""
    try:
        text = cells[place]
        if "_" not in text:  # Python reads 1_000
            return float(text)
    except IndexError:
        raise CurveError(f"the row ends before its {name}.", file=file, line=line) from None
    except ValueError:
        if not text.strip():
            return None
    raise CurveError(f"{name} must be a number, but got {text.strip()!r:.60}.", file=file, line=line)


def _header(lines: Iterator[list[str]]) -> list[str]:
    return [name.strip().lower() for name in next(lines, [])]


def _columns(header: list[str], wanted: tuple[str, ...], file: Path) -> tuple[tuple[str, int], ...]:
    """Name and place of the step and of the values."""
    needed = tuple(dict.fromkeys(wanted))
    if any(name not in header for name in needed):
        found = ",".join(header) or "nothing"
        raise CurveError(f"the header must have {','.join(needed)}, but has {found:.200}.", file=file, line=1)
    twice = next((name for name in needed if header.count(name) > 1), None)
    if twice is not None:
        raise CurveError(f"the header has {twice} {header.count(twice)} times: keep one.", file=file, line=1)
    return tuple((name, header.index(name)) for name in wanted)


def _check_steps(series: Series, file: Path) -> None:
    steps = series.steps
    bad = ~(np.isfinite(steps) & (steps >= 0) & (np.floor(steps) == steps))
    if bad.any():
        row = int(np.argmax(bad))
        text = f"step must be a whole number >= 0, but got {steps[row]}."
        raise CurveError(text, file=file, line=series.line(row))
