"""Predictions on every step from predictions on some."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from autosched.laws.drops import straight_knots
from autosched.schedules.schedule import FloatArray, Schedule

DENSE_STEPS = 256


class _PredictsAt(Protocol):
    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray: ...


def on_every_step(law: _PredictsAt, schedule: Schedule) -> FloatArray:
    """Loss after each update, shape ``(steps,)``; linear between :func:`telling_steps`."""
    steps = telling_steps(schedule)
    return interpolated(schedule, steps, law.predict_at(schedule, steps))


def telling_steps(schedule: Schedule) -> FloatArray:
    """Steps (updates done) between which losses may be interpolated: all, or a few hundred of a long schedule.

    They lie evenly, and denser at the start, where the LR changes, and right after every jump, where curves bend.
    """
    if schedule.steps <= DENSE_STEPS:
        return np.arange(1, schedule.steps + 1, dtype=np.float64)
    even = np.linspace(1, schedule.steps, DENSE_STEPS // 6)
    early = np.geomspace(1, schedule.steps, DENSE_STEPS // 4)
    changing = straight_knots(schedule.lrs, 0, DENSE_STEPS // 4) + 1.0
    jumps = np.flatnonzero(np.abs(np.diff(schedule.lrs)) > 0.02 * schedule.peak_lr)[: DENSE_STEPS // 25] + 1
    after = np.append(0.0, np.geomspace(1, schedule.steps, 20))
    bends = (jumps[:, None] + after[None, :]).ravel()
    asked = np.unique(np.round(np.concatenate([even, early, changing, bends])))
    return asked[asked <= schedule.steps]


def interpolated(schedule: Schedule, steps: FloatArray, losses: FloatArray) -> FloatArray:
    """Loss after each update, shape ``(steps,)``, linear in the log of the step between the given ones."""
    return np.interp(np.log(np.arange(1, schedule.steps + 1, dtype=np.float64)), np.log(steps), losses)
