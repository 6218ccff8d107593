"""Losses of means of a run's last weights, as observations of cooldowns that nobody trained.

    gained = ln L_raw - ln L_merged              by the mean of the last w weights after t updates
    ln L(as it was, then linear to 0 over w) = ln L_merged - (at + slope * ln(w / 0.1 t)) * |gained| + error
    error ~ normal(0, sd * |gained|)

The mean of the weights after the last w updates is like the end of a run whose LR fell linearly over them
(:mod:`autosched.schedules.merged`). It gives what that cooldown would give but for a share: a little more in short
windows at low peak LRs, where moves hardly depend on each other, and less in long ones and at high ones. So what is
missing, and how unsure it is, are shares of what the mean gains (:data:`autosched.laws.priors.MERGED_MISSES`).

A law hears merged losses beside the run's own, as points of their own variance; they are no runs: no leave-one-out, no
residual process. Where cooldowns were trained, these have many points of a smaller variance and outweigh them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.priors import LONGEST_MERGED, MERGED_MISSES, MERGED_SD
from autosched.laws.residual import RECENT, run_points
from autosched.schedules.merged import merged_schedule


def as_cooled(run: Curve, *, step: int, window: int, loss: float) -> Curve | None:
    """A merged loss as a curve of one point, the end of a cooldown; None where it says nothing of one.

    Args:
        run: whose weights were averaged; its loss at `step` says what the mean gained.
        step: updates done.
        window: updates whose weights are averaged.
        loss: of their mean, nats.
    """
    row = np.flatnonzero(run.steps == step)
    if not row.size or window > LONGEST_MERGED * step or not (loss > 0 and run.losses[row[0]] > 0):
        return None
    gained = abs(math.log(float(run.losses[row[0]]) / loss))
    at, slope = MERGED_MISSES
    missed = (at + slope * math.log(window / (0.1 * step))) * gained
    return Curve(
        schedule=merged_schedule(run.schedule, step=step, window=window),
        steps=np.array([float(step)]),
        losses=np.array([loss * math.exp(-missed)]),
        name=f"{run.name}, mean of {window} updates after {step}",
        sds=np.array([MERGED_SD * gained]),
    )


def least_merged(curves: Sequence[Curve]) -> float:
    """The least z = LR / peak over the last 5% of the updates of what merged losses speak of; infinite without any."""
    asked = [(merged.schedule, merged.steps) for curve in curves for merged in curve.merged]
    return float(run_points(asked).features[:, RECENT].min()) if asked else math.inf
