"""Schedules as text for a terminal, drawn with Braille dots: 2 x 4 dots in every character."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autosched.report.schedule_plot import check_labels
from autosched.schedules.schedule import FloatArray, Schedule

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bit of the dot in row r, column c of one Braille character (Unicode block U+2800)."""
_MARGIN = 10


def terminal_plot(schedules: Sequence[Schedule], labels: Sequence[str], *, width: int = 72, height: int = 8) -> str:
    """Lines of text: one panel per schedule, one below another, all on the same axes.

    Args:
        width: characters of a line, labels of the axis included, at least 30.
        height: lines of a panel, at least 3.

    Raises:
        ScheduleError: no schedule, or another number of labels.

    Example:
        >>> print(terminal_plot([Schedule([0.5, 1.0, 1.0, 0.5])], ["short"], width=30, height=3))
        short
                1 │⠀⠀⠀⠀⢸⠉⠉⠉⠉⠉⠉⠉⠉⠉⡆⠀⠀⠀⠀
                  │⠤⠤⠤⠤⠜⠀⠀⠀⠀⠀⠀⠀⠀⠀⠧⠤⠤⠤⠤
                0 │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
                  └───────────────────
                   0         4 updates
    """
    check_labels(schedules, labels)
    columns, rows = max(width, 30) - _MARGIN - 1, max(height, 3)
    top = max(schedule.peak_lr for schedule in schedules) or 1.0
    steps = max(schedule.steps for schedule in schedules)
    panels = []
    for schedule, label in zip(schedules, labels, strict=True):
        canvas = _braille(_dots(schedule, steps=steps, top=top, size=(4 * rows, 2 * columns)))
        panels.append("\n".join([label, *_with_axis(canvas, top=top)]))
    foot = f"{'':{_MARGIN}}└{'─' * columns}\n{'':{_MARGIN}} 0{f'{steps} updates':>{columns - 1}}"
    return "\n".join([*panels, foot])


def _with_axis(canvas: list[str], *, top: float) -> list[str]:
    """The peak beside the first line, 0 beside the last."""
    marks = {0: f"{top:.3g}", len(canvas) - 1: "0"}
    return [f"{marks.get(row, ''):>{_MARGIN - 1}} │{line}" for row, line in enumerate(canvas)]


def _dots(schedule: Schedule, *, steps: int, top: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which dots are set, shape `size` = (rows, columns); neighbours in a steep curve are joined."""
    rows, columns = size
    dots = np.zeros(size, dtype=bool)
    heights = _heights(schedule, steps=steps, columns=columns)
    levels = np.round((rows - 1) * (1 - heights / top)).astype(int)
    for column, level in enumerate(levels):
        before = levels[column - 1] if column else level
        first, last = sorted((int(level), int(before)))
        dots[first + (level > before) : last + 1 - (level < before), column] = True
        dots[level, column] = True
    return dots


def _heights(schedule: Schedule, *, steps: int, columns: int) -> FloatArray:
    """LR in the middle of every column that the schedule reaches, shape (at most columns,)."""
    updates = np.floor((np.arange(columns) + 0.5) * steps / columns).astype(int)
    heights: FloatArray = schedule.lr_at(updates[updates < schedule.steps])
    return heights


def _braille(dots: NDArray[np.bool_]) -> list[str]:
    """Lines of text of a dot matrix whose rows are a multiple of 4 and columns of 2."""
    rows, columns = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(rows, 4, columns, 2)
    codes = 0x2800 + np.einsum("rick,ik->rc", cells.astype(int), _DOTS)
    return ["".join(map(chr, line)) for line in codes.tolist()]
