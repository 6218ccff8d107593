"""Schedules side by side, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autosched.errors import ScheduleError
from autosched.report import canvas
from autosched.report.curves import thinned
from autosched.schedules.schedule import FloatArray, Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS, LR = "optimizer update", "learning rate"
WIDE_PEAKS = 8.0
"""Peak LRs further apart than this factor are drawn on a log axis."""


def schedule_plot(schedules: Sequence[Schedule], labels: Sequence[str]) -> bytes:
    """A PNG of some schedules, told apart by colour and, from the eighth on, by dashes too.

    Raises:
        ScheduleError: no schedule, or another number of labels.
    """
    check_labels(schedules, labels)
    figure = canvas.new_figure(7.2, 3.9)
    axes = canvas.dress(figure.add_subplot(), x=STEPS, y=LR)
    curves = [thinned(schedule) for schedule in schedules]
    for index, ((steps, lrs), label) in enumerate(zip(curves, labels, strict=True)):
        dashes = canvas.DASHES[index // len(canvas.CYCLE) % len(canvas.DASHES)]
        axes.plot(steps, lrs, color=canvas.CYCLE[index % len(canvas.CYCLE)], ls=dashes, lw=1.8, label=label)
    scale_lr_axis(axes, [lrs for _, lrs in curves])
    axes.set_xlim(0, max(schedule.steps for schedule in schedules))
    figure.legend(
        loc="outside upper left",
        ncols=1 if max(map(len, labels)) > 40 else 3,
        frameon=False,
        fontsize=8.5,
    )
    return canvas.png(figure)


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
