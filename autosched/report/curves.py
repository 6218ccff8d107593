"""Curves to draw: a trial's schedule and losses as vectors, thinned to what an eye can see."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from autosched.ledger.state import StudyState, TrialState
from autosched.schedules.schedule import FloatArray, Schedule

DRAWN_POINTS = 600
DRAWN_TRIALS = 400


def drawn(state: StudyState) -> list[TrialState]:
    """The searched trials worth a line in a figure: all of them, or the 400 with the lowest losses of very many."""
    trials = state.searched
    if len(trials) <= DRAWN_TRIALS:
        return trials
    ranked = sorted(trials, key=lambda trial: (trial.role != "default", trial.value is None, trial.value or 0.0))
    return sorted(ranked[:DRAWN_TRIALS], key=lambda trial: trial.number)


def points_of(trial: TrialState) -> tuple[FloatArray, FloatArray]:
    """Updates done and validation losses of a trial, the finite ones."""
    table = np.array([(point.step, point.loss) for point in trial.points], dtype=np.float64).reshape(-1, 2)
    table = table[np.isfinite(table[:, 1])]
    return table[:, 0], table[:, 1]


def named_losses_of(trial: TrialState, name: str) -> tuple[FloatArray, FloatArray]:
    """Updates done and one of several validation losses, where it was measured."""
    table = [(point.step, point.losses[name]) for point in trial.points if name in point.losses]
    found = np.array(table, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def merged_of(trial: TrialState) -> tuple[FloatArray, FloatArray]:
    """Updates done and the lowest merged loss, where merged losses were measured: the run as if it had cooled down."""
    table = [(point.step, min(point.merged.values())) for point in trial.points if point.merged]
    found = np.array(table, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


@lru_cache(maxsize=4096)
def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Places of at most so many of `count`, evenly, the ends among them; an array that is not to be changed."""
    places = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)) if count else np.arange(0)
    places.setflags(write=False)
    return places


def thinned(schedule: Schedule, most: int = DRAWN_POINTS) -> tuple[FloatArray, FloatArray]:
    """Updates and LRs with about so many points at most: an even grid, and every corner a line would cut off."""
    steps = schedule.steps
    keep = evenly(steps, most)
    outline = schedule.outline
    bends = np.abs(outline.bends(0))
    if bends.size:
        corners = 1 + np.argsort(bends, kind="stable")[-(most // 4) :]
        keep = np.union1d(keep, outline.updates[corners])
    return keep.astype(np.float64), schedule.lr_at(keep)
