"""An LR range test as a figure: losses, the smoothed curve, the valley, the divergence, the suggested bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autosched.curves.range_test import RangeTest, RangeTestFailure
from autosched.ledger.state import StudyState
from autosched.ledger.sweeps import read_sweep
from autosched.report import canvas
from autosched.report.schedule_plot import LR
from autosched.space.records import Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def range_test_plot(found: RangeTest | RangeTestFailure, *, title: str = "") -> Figure | None:
    """The sweep against the LR, on a log axis; of a failed test the losses alone, None when there are none.

    The loss axis ends a little above the start, beyond which an exploding loss says no more.
    """
    if not found.losses.size:
        return None
    figure = canvas.new_figure(7.2, 3.9)
    axes = canvas.dress(figure.add_subplot(), x=LR, y="training loss (nats)", title=title)
    axes.set_xscale("log")
    axes.plot(found.lrs, found.losses, ".", color=canvas.MUTED, ms=3, label="loss of each update")
    if isinstance(found, RangeTest):
        _draw_reading(axes, found)
        top, bottom = found.start_loss, float(found.losses[found.losses <= found.start_loss].min())
    else:
        top, bottom = float(np.median(found.losses)), float(found.losses.min())
    pad = 0.08 * max(top - bottom, 1e-3 * max(abs(top), 1e-9))
    axes.set_ylim(bottom - pad, top + 6 * pad)
    axes.set_xlim(found.lrs[0], found.lrs[-1] * 1.1)
    canvas.legend_below(axes, columns=3)
    return figure


def study_range_test(state: StudyState, space: Space) -> Figure | None:
    """The plot of a study's range test; None when there was none."""
    seen = None if state.range_test is None else state.observations.get(state.range_test.segment)
    return None if seen is None else range_test_plot(read_sweep(space.range_test, seen))


def _draw_reading(axes: Axes, found: RangeTest) -> None:
    bounds = f"suggested bounds {found.low:.2g} to {found.high:.2g}"
    axes.axvspan(found.low, found.high, color=canvas.GREEN, alpha=0.13, lw=0, label=bounds)
    axes.plot(found.smoothed_lrs, found.smoothed, color=canvas.BLUE, lw=2, label="smoothed")
    axes.axvline(found.steepest_lr, color=canvas.ORANGE, lw=1.4, ls=":", label=f"steepest {found.steepest_lr:.2g}")
    level = found.lowest_loss + 0.1 * (found.start_loss - found.lowest_loss)
    valley = f"valley {found.valley_low:.2g} to {found.valley_high:.2g}"
    axes.plot([found.valley_low, found.valley_high], [level, level], color=canvas.INK, lw=1.4, label=valley)
    if found.divergence_lr is not None:
        label = f"diverges at {found.divergence_lr:.2g}"
        axes.axvline(found.divergence_lr, color=canvas.VERMILION, lw=1.6, ls="--", label=label)
