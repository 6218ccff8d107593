"""How often intervals held what they claim: share of the ends inside against the interval's probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autosched.ledger.state import StudyState
from autosched.report import canvas
from autosched.report.calibration import STAGES, Calibration, shares_held, told_ends
from autosched.space.records import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PHRASES = {
    "no_cooldown": "before a run had cooled",
    "cooling": "before a run was complete",
    "complete": "after",
}
"""The stages, for a person."""
_COLOURS = dict(zip(STAGES, (canvas.VERMILION, canvas.ORANGE, canvas.BLUE), strict=True))


def reliability(state: StudyState, space: Space) -> Figure | None:
    """A line for each stage; under the diagonal intervals are too narrow, above it too wide. None without ends."""
    told = told_ends(state, space)
    if not told:
        return None
    figure = canvas.new_figure(6.4, 4.2)
    axes = canvas.dress(figure.add_subplot(), x="probability of the central interval", y="share of the ends inside")
    axes.plot([0, 1], [0, 1], color=canvas.MUTED, lw=1, zorder=1)
    probabilities = np.linspace(0.05, 0.95, 19)
    for stage in STAGES:
        group = [one for one in told if one.stage == stage]
        if group:
            of = Calibration.of(group)
            label = f"{PHRASES[stage]}: {of.forecasts} forecasts, {of.bias:+.3f} nats, 90% within {of.width:.3f}"
            shares = shares_held(group, probabilities)
            axes.plot(probabilities, shares, "-o", color=_COLOURS[stage], lw=1.4, ms=3, label=label, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    canvas.legend_below(axes, columns=1)
    return figure
