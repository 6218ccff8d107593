"""Which events of a study are told as they come, a line each; what happens often is counted (`standing`)."""

from __future__ import annotations

import dataclasses

from autosched.ledger.events import RangeTested, SegmentFailed, Stamped, TrialEnded, TrialJudged
from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState, TrialState
from autosched.report.lr_section import range_test_text
from autosched.report.standing import chosen_text
from autosched.report.text import clock_text, outcome_line
from autosched.space.records import Space


def news(space: Space, state: StudyState, stamped: Stamped) -> str | None:
    """What is told of an event in a line, e.g. ``0:00:41 trial 7 complete at update 600: …``; None of most.

    Args:
        state: with the event in it.
    """
    text = _text(space, state, stamped)
    return None if text is None else f"{clock_text(state.seconds)} {text}"


def _text(space: Space, state: StudyState, stamped: Stamped) -> str | None:
    event = stamped.event
    if isinstance(event, TrialEnded):
        return _ended(space, state, state.trials[event.trial])
    if isinstance(event, TrialJudged) and state.lawless == 1 and event.decision.reason.startswith(LAWLESS):
        return f"{LAWLESS} so far: TPE proposes and Hyperband stops, until one does"
    if isinstance(event, RangeTested):
        return f"range test: {range_test_text(dataclasses.asdict(event))}"
    if isinstance(event, SegmentFailed):
        kind = event.failure.kind.replace("_", " ")
        return f"segment failed (attempt {event.attempt}), {kind}: {event.failure.reason}"
    return None


def _ended(space: Space, state: StudyState, trial: TrialState) -> str | None:
    """A trial that ended, unless it may well go on: one that is paused, or is stopped once more after a pause."""
    if trial.status == "paused" or (trial.status == "pruned" and len(trial.turns) > 1):
        return None
    mark = ", best so far" if state.best == trial.number and trial.status == "complete" else ""
    return f"{outcome_line(trial)}{mark} ({chosen_text(space, trial)})"
