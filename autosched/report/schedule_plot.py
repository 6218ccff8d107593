"""Schedules side by side, as a PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autosched.errors import ScheduleError
from autosched.report import canvas
from autosched.report.curves import thinned
from autosched.schedules.schedule import FloatArray, Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS, LR = "optimizer update", "learning rate"
WIDTH, AXES_HEIGHT, LEGEND_LINE = 7.2, 3.4, 0.18
"""Inches: of the figure, of the axes with their labels, of a line of the legend."""
LEGEND_CHARACTERS = 90
"""Characters of a legend that fit the figure's width."""
COLUMNS = {3: 26, 2: 42}
"""Columns of a legend -> characters of its longest label."""
WIDE_PEAKS = 8.0
"""Peak LRs further apart than this factor are drawn on a log axis."""


def schedule_plot(schedules: Sequence[Schedule], labels: Sequence[str]) -> bytes:
    """A PNG of some schedules, told apart by colour and, from the eighth on, by dashes too.

    Raises:
        ScheduleError: no schedule, or another number of labels.
    """
    check_labels(schedules, labels)
    legend, columns = _legend(labels)
    lines = sum(max(label.count("\n") + 1 for label in row) for row in _rows(legend, columns))
    figure = canvas.new_figure(WIDTH, AXES_HEIGHT + LEGEND_LINE * lines)
    axes = canvas.dress(figure.add_subplot(), x=STEPS, y=LR)
    curves = [thinned(schedule) for schedule in schedules]
    for index, ((steps, lrs), label) in enumerate(zip(curves, legend, strict=True)):
        dashes = canvas.DASHES[index // len(canvas.CYCLE) % len(canvas.DASHES)]
        axes.plot(steps, lrs, color=canvas.CYCLE[index % len(canvas.CYCLE)], ls=dashes, lw=1.8, label=label)
    scale_lr_axis(axes, [lrs for _, lrs in curves])
    axes.set_xlim(0, max(schedule.steps for schedule in schedules))
    figure.legend(
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
    )
    return canvas.png(figure)


def _legend(labels: Sequence[str]) -> tuple[list[str], int]:
    """The labels, the longest of them broken into lines, and in how many columns they fit the figure's width."""
    longest = max(map(len, labels))
    columns = next((count for count, most in COLUMNS.items() if longest <= most), 1)
    return ["\n".join(textwrap.wrap(label, LEGEND_CHARACTERS)) for label in labels], min(columns, len(labels))


def _rows(labels: Sequence[str], columns: int) -> list[Sequence[str]]:
    """The labels that stand side by side: the legend fills one column after another."""
    rows = -(-len(labels) // columns)
    return [labels[row::rows] for row in range(rows)]


def scale_lr_axis(axes: Axes, curves: Sequence[FloatArray]) -> None:
    """From 0 on a linear axis, or a log axis when the peak LRs lie far apart."""
    peaks = [float(lrs.max()) for lrs in curves if lrs.max() > 0]
    if peaks and max(peaks) > WIDE_PEAKS * min(peaks):
        axes.set_yscale("log")
        axes.set_ylim(min(peaks) / 20, max(peaks) * 1.5)
    else:
        axes.set_ylim(0, 1.08 * max(peaks, default=1.0))


def check_labels(schedules: Sequence[Schedule], labels: Sequence[str]) -> None:
    """Refuse a plot of nothing, and labels that do not fit.

    Raises:
        ScheduleError: as said.
    """
    if not schedules:
        raise ScheduleError("schedules must hold at least one schedule, but got none: nothing to plot.")
    if len(schedules) != len(labels):
        raise ScheduleError(f"labels must name each of {len(schedules)} schedules, but got {len(labels)} labels.")
