"""Runs that went on from a trained model, seen as one run with the one that trained it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autosched.curves.curve import Curve
from autosched.schedules.schedule import Schedule


def continued(curve: Curve, before: Schedule) -> Curve:
    """The curve after the LRs of `before`, of which it begins at the end; its steps count all updates.

    Example:
        >>> run = Curve(schedule=Schedule([0.2, 0.1]), steps=np.array([1.0, 2.0]), losses=np.array([3.0, 2.0]))
        >>> whole = continued(run, Schedule([0.4, 0.3, 0.2]))
        >>> whole.schedule.lrs.tolist(), whole.steps.tolist()
        ([0.4, 0.3, 0.2, 0.2, 0.1], [4.0, 5.0])
    """
    schedule = Schedule(np.concatenate([before.lrs, curve.schedule.lrs]))
    return replace(curve, schedule=schedule, steps=curve.steps + before.steps)
