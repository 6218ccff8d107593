"""How many trials and updates a study may still promise."""

from __future__ import annotations

from autosched.ledger.state import StudyState
from autosched.space.records import Space


def trials_left(space: Space, state: StudyState) -> int | None:
    """Trials that may still be proposed; None without a limit in trials."""
    if space.budget.trials is None:
        return None
    return max(space.budget.trials - state.kinds["default"] - state.kinds["search"], 0)


def room_for(space: Space, state: StudyState) -> int | None:
    """Updates of the search's budget that are neither used nor promised to running trials; None without a limit."""
    if space.search_steps is None:
        return None
    promised = sum(_open_steps(space, state, number) for number in state.active)
    return space.search_steps - state.steps_scheduled - promised


def has_room(space: Space, state: StudyState, needs: int) -> bool:
    """Whether the budget has room for so many updates."""
    room = room_for(space, state)
    return room is None or needs <= room


def _open_steps(space: Space, state: StudyState, number: int) -> int:
    """Updates of a running trial that are not scheduled yet."""
    trial = state.trials[number]
    return space.horizon_steps - max(trial.step, trial.pending_stop)
