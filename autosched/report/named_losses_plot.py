"""Several validation losses of one study, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autosched.ledger.state import StudyState
from autosched.report import canvas
from autosched.report.confirmation import default_trial, winner
from autosched.report.curves import drawn, named_losses_of
from autosched.report.schedule_plot import STEPS
from autosched.space.records import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def named_losses(state: StudyState, space: Space) -> Figure | None:
    """Each validation loss of every trial against updates; None where the trainer has but one."""
    trials = drawn(state)
    names = list(dict.fromkeys(name for trial in trials for point in trial.points for name in point.losses))
    if not names:
        return None
    marked = {
        trial.number: (colour, label)
        for trial, colour, label in (
            (default_trial(state), canvas.DEFAULT, "default"),
            (winner(state), canvas.WINNER, "winner"),
        )
        if trial is not None
    }
    figure = canvas.new_figure(max(7.2, 3.6 * len(names)), 3.4)
    for place, axes in enumerate(np.atleast_1d(figure.subplots(1, len(names)))):
        canvas.dress(axes, x=STEPS, y="nats" if place == 0 else "", title=names[place])
        for trial in trials:
            colour, label = marked.get(trial.number, (canvas.MUTED, "_"))
            main = trial.number in marked
            curve = named_losses_of(trial, names[place])
            axes.plot(*curve, color=colour, lw=2 if main else 0.8, alpha=1 if main else 0.45, label=label)
        axes.set_xlim(0, space.horizon_steps)
        canvas.legend_below(axes)
    return figure
