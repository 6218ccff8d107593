"""When a search ends: whichever limit is met first."""

from __future__ import annotations

from autosched.ledger.state import StudyState
from autosched.search.room import room_for, trials_left
from autosched.space.records import Space


def spent(space: Space, state: StudyState, *, seconds: float) -> str | None:
    """The limit that stops everything at once, running trials too; None while there is time.

    Args:
        seconds: wall-clock seconds all sessions of the study took so far.
    """
    budget = space.budget
    if budget.minutes is not None and seconds >= 60 * budget.minutes:
        return f"{budget.minutes:g} minutes are over"
    if budget.worker_seconds is not None and state.worker_seconds >= budget.worker_seconds:
        return f"{budget.worker_seconds:g} worker-seconds are used"
    return None


def closed(space: Space, state: StudyState, *, needs: int | None = None) -> str | None:
    """Why no further search trial may start now; None when one may.

    A trial starts only if it could run to the horizon together with all that run already, so a limit in updates is
    never exceeded and no trial is cut off by it. Pruning gives updates back.

    Args:
        needs: updates the trial would have to train, fewer than the horizon when it shares a prefix; a whole run
            when None.
    """
    budget = space.budget
    if trials_left(space, state) == 0:
        return f"{budget.trials} trials are proposed"
    if not fits(space, state, space.horizon_steps if needs is None else needs):
        kept = " and kept for confirming runs" if space.confirm.in_budget else ""
        return f"{budget.steps} updates are used or promised{kept}"
    return None


def fits(space: Space, state: StudyState, needs: int) -> bool:
    """Whether so many more updates can be trained without breaking a promise to the trials that run."""
    room = room_for(space, state)
    return room is None or needs <= room
