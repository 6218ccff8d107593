"""Regret against updates spent: how far each method is from the best that any of them found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autosched.compare.scores import by_method, references
from autosched.compare.trace import Trace
from autosched.report import canvas
from autosched.schedules.schedule import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def regret_curves(traces: Sequence[Trace]) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Method -> (updates at which a regret changes, shape (n,); regrets by seed, shape (seeds, n), infinite before)."""
    reference = references(traces)
    at = np.unique([end.spent for trace in traces for end in trace.ends]).astype(np.float64)
    return {
        name: (at, np.array([trace.best_after(at) - reference[seed] for seed, trace in own.items()]))
        for name, own in by_method(traces).items()
        if any(trace.ends for trace in own.values())
    }


def regret_plot(traces: Sequence[Trace], *, tolerance: float, order: Sequence[str]) -> bytes | None:
    """Median regret over seeds, and the range of the first method's; None when nothing was found.

    The axis of regrets is logarithmic above the tolerance and linear below it, so that 0 can be seen. Methods often
    agree for a while, so a later one's line is wider and lies beneath.

    Args:
        tolerance: nats; drawn as a dotted line.
        order: methods in the order of the legend, the best first.
    """
    curves = regret_curves(traces)
    if not curves:
        return None
    horizon = traces[0].horizon
    last = max(trace.spent for trace in traces) / horizon
    figure = canvas.new_figure(7.2, 4.2)
    title = "Distance to the best final loss found, median over seeds"
    axes = canvas.dress(figure.add_subplot(), x="full runs spent", y="regret (nats)", title=title)
    for number, name in enumerate(name for name in order if name in curves):
        at, regrets = curves[name]
        _draw(axes, np.append(at / horizon, last), np.column_stack([regrets, regrets[:, -1]]), name, number)
    top = max(_largest(regrets) for _, regrets in curves.values())
    _scale(axes, tolerance=tolerance, top=top)
    axes.set_xlim(0, 1.03 * last)
    axes.axhline(tolerance, color=canvas.MUTED, lw=1, ls=":")
    canvas.legend_below(axes, columns=4)
    return canvas.png(figure)


def _draw(axes: Axes, x: FloatArray, regrets: FloatArray, name: str, number: int) -> None:
    """A stepped line from where half of the seeds have something; for the first, a band from where all have."""
    colour = canvas.CYCLE[number % len(canvas.CYCLE)]
    dashes = canvas.DASHES[number // len(canvas.CYCLE) % len(canvas.DASHES)]
    middle, low, high = np.median(regrets, axis=0), regrets.min(axis=0), regrets.max(axis=0)
    known, all_known = np.isfinite(middle), np.isfinite(high)
    (line,) = axes.plot(x[known], middle[known], color=colour, ls=dashes, lw=1.6 + 0.6 * number, label=name)
    line.set(drawstyle="steps-post", marker="o", markevery=[-1], markersize=5 + 0.6 * number, zorder=3 - 0.05 * number)
    if number == 0 and len(regrets) > 1:
        axes.fill_between(x[all_known], low[all_known], high[all_known], step="post", color=colour, alpha=0.1, lw=0)


def _largest(regrets: FloatArray) -> float:
    finite = regrets[np.isfinite(regrets)]
    return float(finite.max()) if finite.size else 0.0


def _scale(axes: Axes, *, tolerance: float, top: float) -> None:
    from matplotlib.ticker import FuncFormatter

    linear = max(tolerance, 1e-6)
    axes.set_yscale("symlog", linthresh=linear, linscale=0.6)
    axes.set_ylim(-0.08 * linear, max(1.5 * top, 2 * linear))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
