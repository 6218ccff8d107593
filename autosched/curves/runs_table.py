"""Exact schedules from a ``runs.csv`` that lies beside the curves or one folder above.

Columns: ``file`` (relative to the folder of ``runs.csv``), ``schedule`` (constant, cosine, wsd, two_stage),
``peak_lr``, ``warmup_steps``, ``horizon``, ``cooldown_fraction``, ``decay_shape`` (linear, sqrt, exponential, cosine,
step) and ``final_lr_ratio``; others are ignored.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from autosched.errors import CurveError, ScheduleError
from autosched.schedules.schedule import FloatArray, Schedule

RUNS_FILE = "runs.csv"


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


def described_schedule(curve_file: Path) -> Schedule | None:
    """The schedule that a ``runs.csv`` gives for this curve; None when there is no such table or no such row.

    Raises:
        CurveError: with the table's file and line: a cell that is missing, no number, or not allowed.
    """
    for folder in (curve_file.parent, curve_file.parent.parent):
        table = folder / RUNS_FILE
        if table.is_file():
            schedule = _lookup(table, curve_file)
            if schedule is not None:
                return schedule
    return None


def _lookup(table: Path, curve_file: Path) -> Schedule | None:
    with table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if "file" not in (reader.fieldnames or []):
            raise CurveError("the header must have a column 'file'.", file=table, line=1)
        for row in reader:
            if (table.parent / row["file"]).resolve() == curve_file.resolve():
                return row_schedule(row, table, reader.line_num)
    return None


def row_schedule(row: Mapping[str, str | None], table: Path, line: int) -> Schedule:
    """The schedule of one row of the table.

    Raises:
        CurveError: a cell that is missing, no number, or not allowed.
    """

    def number(name: str, default: float | None = None) -> float:
        text = (row.get(name) or "").strip()
        if not text and default is not None:
            return default
        try:
            return float(text)
        except ValueError:
            raise CurveError(f"{name} must be a number, but got {text!r}.", file=table, line=line) from None

    family, horizon, warmup = row.get("schedule"), int(number("horizon")), int(number("warmup_steps", 0.0))
    if family not in {"constant", "cosine", "wsd", "two_stage"}:
        allowed = "constant, cosine, wsd or two_stage"
        raise CurveError(f"schedule must be {allowed}, but got {family!r}.", file=table, line=line)
    shape = _SHAPES.get("cosine" if family == "cosine" else (row.get("decay_shape") or "linear"))
    if shape is None:
        allowed = ", ".join(_SHAPES)
        raise CurveError(
            f"decay_shape must be one of {allowed}, but got {row['decay_shape']!r}.", file=table, line=line
        )
    fraction = {"constant": 0.0, "cosine": 1.0}.get(family)
    fraction = number("cooldown_fraction") if fraction is None else fraction
    if not (horizon >= 1 and 0 <= warmup <= horizon and 0 <= fraction <= 1):
        raise CurveError("need 0 <= warmup_steps <= horizon and cooldown_fraction in [0, 1].", file=table, line=line)
    done = np.arange(1, horizon + 1, dtype=np.float64)
    begin = max(warmup, round(horizon * (1 - fraction)) - (family == "two_stage"))
    progress = np.clip((done - begin) / max(horizon - begin, 1), 0.0, 1.0)
    ramp = np.minimum(done / warmup, 1.0) if warmup else np.ones(horizon)
    try:
        return Schedule(number("peak_lr") * ramp * shape(progress, number("final_lr_ratio", 0.0)))
    except ScheduleError as error:
        raise CurveError(str(error), file=table, line=line) from None
