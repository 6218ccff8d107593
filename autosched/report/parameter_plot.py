"""Final loss against each searched parameter: which ones matter, and whether a bound is in the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autosched.ledger.state import StudyState, TrialState
from autosched.report import canvas
from autosched.report.confirmation import winner
from autosched.space.membership import domain_contains
from autosched.space.records import Choice, Domain, Fixed, Range, Space

LEAST_LOG = math.log(1e-307)
"""An axis from here to its inverse is within the numbers of double precision."""

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, MAX_PANELS = 3, 12


def parameter_plot(state: StudyState, space: Space) -> Figure | None:
    """One panel per searched number or choice (at most 12), each within its bounds.

    Dots are complete trials, the star is the winner; hollow triangles are trials that ended early, at the loss that
    was forecast for them last. A default outside a domain is not in its panel. None when no trial has a loss or nothing
    is searched.
    """
    panels = _panels(state, space)
    values = [trial.value for trial in state.searched if trial.value is not None]
    if not panels or not values:
        return None
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = canvas.new_figure(2.6 * columns + 0.6, 2.5 * rows + 0.5)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    low, high = min(values), float(np.quantile(values, 0.9))
    pad = 0.12 * max(high - low, 1e-3)
    grid[0, 0].set_ylim(low - pad, high + 3 * pad)
    for index, axes in enumerate(grid.flat):
        if index < len(panels):
            family, name, domain = panels[index]
            canvas.dress(axes, x=name, y="final loss (nats)" if index % columns == 0 else "")
            if len(space.schedule) > 1:
                axes.set_title(family, loc="left", fontsize=9, color=canvas.INK)
            trials = [t for t in state.searched if t.family == family and domain_contains(domain, t.params.get(name))]
            _panel(axes, trials, name, domain)
            _star(axes, winner(state), family, name, domain)
        else:
            axes.set_visible(False)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=8.5)
    return figure


def _panels(state: StudyState, space: Space) -> list[tuple[str, str, Domain]]:
    """(family, parameter, domain) of what is searched and was used."""
    used = {(trial.family, name) for trial in state.searched for name in trial.params}
    found: list[tuple[str, str, Domain]] = [
        (family.family, name, parameter.domain)
        for family in space.schedule
        for name, parameter in family.parameters.items()
        if not isinstance(parameter.domain, Fixed) and (family.family, name) in used
    ]
    return found[:MAX_PANELS]


def _panel(axes: Axes, trials: Sequence[TrialState], name: str, domain: Domain) -> None:
    top = axes.get_ylim()[1]  # a forecast above the window is drawn on its edge
    complete = [(trial, min(trial.value, top)) for trial in trials if trial.value is not None]
    forecast = [
        (trial, min(trial.forecast.mean, top))
        for trial in trials
        if trial.value is None and trial.status != "running" and trial.forecast is not None
    ]
    # Whole dots on the edge of the panel; a line that has none (it is there for the legend) would have endless extent.
    axes.plot(
        [_place(trial, name, domain) for trial, _ in forecast],
        [loss for _, loss in forecast],
        "v",
        clip_on=False,
        in_layout=False,
        mfc="none",
        mec=canvas.MUTED,
        ms=5,
        label="ended early (forecast)",
    )
    axes.plot(
        [_place(trial, name, domain) for trial, _ in complete],
        [loss for _, loss in complete],
        "o",
        clip_on=False,
        in_layout=False,
        color=canvas.BLUE,
        mec="white",
        mew=0.5,
        ms=6,
        label="complete",
    )
    if isinstance(domain, Choice):
        axes.set_xticks(range(len(domain.values)), [str(value) for value in domain.values])
        axes.set_xlim(-0.5, len(domain.values) - 0.5)
    elif isinstance(domain, Range):
        _bounds(axes, domain)


def _bounds(axes: Axes, domain: Range) -> None:
    """The searched range with a little room, so that a winner at a bound is seen to be there."""
    if domain.log:
        low, high = math.log(domain.low), math.log(domain.high)
        room = 0.06 * (high - low)
        axes.set_xscale("log")
        axes.set_xlim(math.exp(max(low - room, LEAST_LOG)), math.exp(min(high + room, -LEAST_LOG)))
    else:
        extent = 0.06 * (domain.high - domain.low)
        axes.set_xlim(domain.low - extent, domain.high + extent)
    for bound in (domain.low, domain.high):
        axes.axvline(bound, color=canvas.MUTED, lw=0.8, ls=":", zorder=1)


def _star(axes: Axes, best: TrialState | None, family: str, name: str, domain: Domain) -> None:
    places, losses = [], []
    inside = best is not None and best.family == family and domain_contains(domain, best.params.get(name))
    if best is not None and best.value is not None and inside:
        places, losses = [_place(best, name, domain)], [best.value]
    axes.plot(places, losses, "*", color=canvas.WINNER, mec="white", mew=0.6, ms=14, label="winner", zorder=4)


def _place(trial: TrialState, name: str, domain: Domain) -> float:
    """Where a trial lies on the parameter's axis: its value, or the number of its choice."""
    value = trial.params[name]
    if isinstance(domain, Choice):
        return float(domain.values.index(value))
    return float(value) if isinstance(value, int | float) else math.nan
