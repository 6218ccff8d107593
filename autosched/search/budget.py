"""What a study's budget still allows: whichever limit is met first ends the search.

remaining = the search's budget - updates scheduled - updates that running trials still need to end their turns
"""

from __future__ import annotations

from typing import NamedTuple

from autosched.ledger.state import StudyState
from autosched.space.records import Space


def trials_left(space: Space, state: StudyState) -> int | None:
    """Trials that may still be proposed; None without a limit in trials."""
    if space.budget.trials is None:
        return None
    return max(space.budget.trials - len(state.trials) + state.proposed["confirm"], 0)


def remaining(space: Space, state: StudyState) -> int | None:
    """Updates of the search's budget that are neither used nor promised to running trials; None without a limit."""
    if space.search_steps is None:
        return None
    return space.search_steps - state.steps_scheduled - sum(to_go(state, number) for number in state.active)


def to_go(state: StudyState, number: int) -> int:
    """Updates that a running trial needs to end its turn and that are not scheduled yet."""
    trial = state.trials[number]
    return max(trial.until - max(trial.step, trial.pending_stop), 0)


def fits(space: Space, state: StudyState, cost: int) -> bool:
    """Whether so many more updates can be trained without breaking a promise to the trials that run."""
    left = remaining(space, state)
    return left is None or cost <= left


def closed(space: Space, state: StudyState) -> str | None:
    """Why no further whole run may be proposed now; None when one may.

    A trial starts only if it could end its turn together with all that run already, so a limit in updates is never
    exceeded and no trial is cut off by it. Pruning gives updates back.
    """
    if trials_left(space, state) == 0:
        return f"{space.budget.trials} trials are proposed"
    if not fits(space, state, space.horizon_steps):
        kept = " and kept for confirming runs" if space.confirm.in_budget else ""
        return f"{space.budget.steps} updates are used or promised{kept}"
    return None


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


class Use(NamedTuple):
    """How much of one limit is used.

    Attributes:
        unit: ``full runs``, ``trials``, ``minutes`` or ``worker-seconds``.
    """

    unit: str
    used: float
    limit: float

    @property
    def share(self) -> float:
        """Of the limit, from 0 to 1."""
        return min(self.used / self.limit, 1.0) if self.limit else 1.0


def uses(space: Space, state: StudyState, *, seconds: float) -> list[Use]:
    """What is used of every limit that a budget has; confirming runs count where they come on top of it.

    Nothing here goes back while a study goes on: a trial that is resumed stays counted, and updates count when they are
    settled.

    Args:
        seconds: as for :func:`spent`.
    """
    budget, on_top = space.budget, 0 if space.confirm.in_budget else space.confirming_steps
    found = []
    if budget.steps is not None:
        open_steps = sum(state.scheduled[segment].stop - state.scheduled[segment].start for segment in state.in_flight)
        settled, limit = state.steps_scheduled - open_steps, budget.steps + on_top
        found.append(Use("full runs", settled / space.horizon_steps, limit / space.horizon_steps))
    if budget.trials is not None:
        fresh = [state.trials[number] for number in state.active if len(state.trials[number].turns) == 1]
        ended = len(state.trials) - sum(1 - trial.step / trial.until for trial in fresh)
        found.append(Use("trials", ended, budget.trials + on_top // space.horizon_steps))
    if budget.minutes is not None:
        found.append(Use("minutes", seconds / 60, budget.minutes))
    if budget.worker_seconds is not None:
        found.append(Use("worker-seconds", state.worker_seconds, budget.worker_seconds))
    return found
