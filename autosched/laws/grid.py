"""Predictions on every step from predictions on some."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from autosched.schedules.schedule import FloatArray, Schedule

DENSE_STEPS = 400


class _PredictsAt(Protocol):
    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray: ...


def on_every_step(law: _PredictsAt, schedule: Schedule) -> FloatArray:
    """Loss after each update, shape ``(steps,)``; above 400 updates, linear between asked steps.

    Asked are steps that lie evenly, and denser at the start and right after every jump of the LR, where curves bend.
    """
    every = np.arange(1, schedule.steps + 1, dtype=np.float64)
    if schedule.steps <= DENSE_STEPS:
        return law.predict_at(schedule, every)
    even = np.linspace(1, schedule.steps, DENSE_STEPS // 2)
    early = np.geomspace(1, schedule.steps, DENSE_STEPS // 4)
    jumps = np.flatnonzero(np.abs(np.diff(schedule.lrs)) > 0.02 * schedule.peak_lr)[: DENSE_STEPS // 40]
    after = np.geomspace(1, schedule.steps, 20) - 1
    bends = (jumps[:, None] + 1 + np.append(0.0, after + 1)[None, :]).ravel()
    asked = np.unique(np.round(np.concatenate([even, early, bends])))
    asked = asked[asked <= schedule.steps]
    return np.interp(every, asked, law.predict_at(schedule, asked))
