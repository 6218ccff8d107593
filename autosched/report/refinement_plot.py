"""A pilot run's gradient norms and the schedule they give, as a PNG."""

from __future__ import annotations

import numpy as np

from autosched.curves.gradient_norms import GradientNorms
from autosched.laws.refinement import smoothed_norms
from autosched.report import canvas
from autosched.report.curves import thinned
from autosched.report.schedule_plot import LR, STEPS, scale_lr_axis
from autosched.schedules.schedule import Schedule


def refinement_plot(pilot: GradientNorms, refined: Schedule) -> bytes:
    """Left the norms, as logged and smoothed; right the refined schedule beside linear decay from the same peak."""
    figure = canvas.new_figure(9.6, 3.6)
    left, right = figure.subplots(1, 2)
    canvas.dress(left, x="optimizer update of the pilot run", y=pilot.metric)
    left.plot(pilot.steps, pilot.norms, color=canvas.MUTED, lw=1, label="logged")
    smooth = smoothed_norms(pilot.on_every_update(pilot.schedule.steps))
    left.plot(np.arange(1, smooth.size + 1), smooth, color=canvas.BLUE, lw=1.8, label="median over a tenth of the run")
    left.set_xlim(0, pilot.schedule.steps)
    if pilot.norms.max() > 10 * pilot.norms.min():
        left.set_yscale("log")
    canvas.dress(right, x=STEPS, y=LR)
    linear = Schedule(refined.peak_lr * np.arange(refined.steps, 0, -1) / refined.steps)
    curves = [thinned(schedule) for schedule in (refined, linear)]
    for (steps, lrs), colour, label in zip(curves, (canvas.WINNER, canvas.MUTED), ("refined", "linear"), strict=True):
        right.plot(steps, lrs, color=colour, lw=1.8, label=label)
    scale_lr_axis(right, [lrs for _, lrs in curves])
    right.set_xlim(0, refined.steps)
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
    return canvas.png(figure)
