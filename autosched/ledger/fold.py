"""The fold: how each event changes the state of a study, in a time that does not grow with the study."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autosched.errors import LedgerError
from autosched.ledger.events import (
    Event,
    LimitsChanged,
    RangeTested,
    SearchEnded,
    SegmentFailed,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    StageAdvanced,
    Stamped,
    StudyCreated,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
    TrialResumed,
)
from autosched.ledger.records import LAWLESS
from autosched.ledger.state import (
    RESUMABLE,
    ScheduledSegment,
    StudyState,
    Transition,
    TrialState,
    TrialStatus,
    Turn,
)
from autosched.space.hyperparameters import coordinates


def _created(state: StudyState, event: StudyCreated, time: float) -> None:
    state.space, state.versions, state.fingerprints = event.space, event.versions, event.fingerprints


def _session(state: StudyState, event: SessionStarted, time: float) -> None:
    state.sessions.append([time, time])
    state.backend, state.workers = event.backend, event.workers


def _limits(state: StudyState, event: LimitsChanged, time: float) -> None:
    resources = {**state.space.get("resources", {}), "workers": event.workers}
    state.space = {**state.space, "budget": event.budget, "resources": resources}


def _range_tested(state: StudyState, event: RangeTested, time: float) -> None:
    state.range_test = event
    state.steps_scheduled += event.steps
    state.clock = max(state.clock, event.at)


def _turn(state: StudyState, event: TrialProposed | TrialResumed, start: int) -> Turn:
    state.records_roles = state.records_roles and event.until is not None
    return Turn(role=event.role, until=state.horizon if event.until is None else event.until, start=start)


def _proposed(state: StudyState, event: TrialProposed, time: float) -> None:
    if event.trial != len(state.trials):
        raise LedgerError(f"trial {event.trial} was proposed where {len(state.trials)} was expected.")
    turn = _turn(state, event, 0)
    state.trials.append(
        TrialState(
            number=event.trial,
            family=event.family,
            schedule_params=event.params,
            seed=event.seed,
            fingerprint=event.fingerprint,
            horizon=state.horizon,
            turns=[turn],
            due=event.at,
            of=event.of,
            hyperparameters=event.hyperparameters,
            coordinates=coordinates(state.searched_hyperparameters, event.hyperparameters),
            proposed_time=time,
        )
    )
    state.active.add(event.trial)
    state.proposed[event.role] += 1
    state.fates["running", event.role] += 1
    if event.role == "confirm":
        state.confirming.append(event.trial)
    elif event.role == "default" and state.default is None:
        state.default = event.trial
    state.clock = max(state.clock, event.at)
    state.log.append(Transition("proposed", event.trial, 0, turn=turn))


def _scheduled(state: StudyState, event: SegmentScheduled, time: float) -> None:
    state.scheduled[event.segment] = ScheduledSegment(event.trial, event.start, event.stop, event.due)
    state.in_flight.add(event.segment)
    state.steps_scheduled += event.stop - event.start
    trial = state.trial(event.trial)
    trial.pending, trial.pending_stop = event.segment, event.stop


def _finished_segment(state: StudyState, event: SegmentFinished, time: float) -> None:
    seen = event.observation
    state.observations[seen.segment] = seen
    state.arrived[seen.segment] = state.events
    state.steps_trained += seen.trained
    state.worker_seconds += seen.seconds


def _failed_segment(state: StudyState, event: SegmentFailed, time: float) -> None:
    state.failures.setdefault(event.failure.segment, []).append(event.failure)
    state.arrived[event.failure.segment] = state.events
    state.worker_seconds += event.failure.seconds


def _advanced(state: StudyState, event: TrialAdvanced, time: float) -> None:
    trial = state.trial(event.trial)
    seen = state.observations[event.segment]
    trial.points.extend(seen.points)
    if event.shared:
        trial.steps_shared += event.step - trial.step
    trial.step, trial.due, trial.pending = event.step, event.at, None
    trial.segments.append(event.segment)
    _leave_clock(state, event.segment, event.at)
    state.log.append(Transition("advanced", event.trial, event.step))


def _judged(state: StudyState, event: TrialJudged, time: float) -> None:
    trial, decision = state.trial(event.trial), event.decision
    trial.decisions.append((event.step, decision))
    lawless = decision.reason.startswith(LAWLESS)
    if lawless:  # what it said of other trials counts no more either
        state.forecasts.clear()
    if decision.forecast is None:
        state.forecasts.pop(event.trial, None)
    else:
        trial.last_forecast = state.forecasts[event.trial] = decision.forecast
    state.decided += 1
    state.lawless += lawless


def _leave_clock(state: StudyState, segment: str | None, at: int) -> None:
    if segment is not None:
        state.in_flight.discard(segment)
    state.clock = max(state.clock, at)


def _becomes(state: StudyState, trial: TrialState, status: TrialStatus, turn: Turn | None = None) -> None:
    """Give a trial another status, and another turn."""
    state.fates[trial.status, trial.role] -= 1
    trial.status = status
    if turn is not None:
        trial.turns.append(turn)
    state.fates[status, trial.role] += 1


def _ended(state: StudyState, event: TrialEnded, time: float) -> None:
    trial = state.trial(event.trial)
    _becomes(state, trial, event.status)
    trial.step, trial.value = event.step, event.value
    trial.reason, trial.forecast, trial.divergence = event.reason, event.forecast, event.divergence
    trial.ended_time = time
    _leave_clock(state, trial.pending, event.at)
    trial.pending = None
    state.active.discard(event.trial)
    state.forecasts.pop(event.trial, None)
    if event.status == "complete" and event.value is not None and trial.role != "confirm":
        best = state.best_trial()
        if best is None or best.value is None or event.value < best.value:
            state.best = event.trial
    forecast = None if event.forecast is None else event.forecast.mean
    value = event.value if event.status == "complete" else forecast
    state.log.append(Transition("ended", event.trial, event.step, event.status, value))


def _resumed(state: StudyState, event: TrialResumed, time: float) -> None:
    trial = state.trial(event.trial)
    if trial.status not in RESUMABLE:
        raise LedgerError(f"trial {event.trial} is {trial.status}: it must be one of {', '.join(sorted(RESUMABLE))}.")
    turn = _turn(state, event, trial.step)
    _becomes(state, trial, "running", turn)
    trial.reason, trial.forecast = "", None
    state.resumed += 1
    trial.ended_time, trial.due = None, event.at
    state.active.add(event.trial)
    state.clock = max(state.clock, event.at)
    state.log.append(Transition("resumed", event.trial, trial.step, turn=turn))


def _stage(state: StudyState, event: StageAdvanced, time: float) -> None:
    state.stages.append(event)


def _search_ended(state: StudyState, event: SearchEnded, time: float) -> None:
    state.search_ended = event
    state.clock = max(state.clock, event.at)


def _finished(state: StudyState, event: StudyFinished, time: float) -> None:
    state.finished = event


_HANDLERS: Mapping[type[Event], Any] = {
    StudyCreated: _created,
    SessionStarted: _session,
    LimitsChanged: _limits,
    RangeTested: _range_tested,
    TrialProposed: _proposed,
    SegmentScheduled: _scheduled,
    SegmentFinished: _finished_segment,
    SegmentFailed: _failed_segment,
    TrialAdvanced: _advanced,
    TrialJudged: _judged,
    TrialEnded: _ended,
    TrialResumed: _resumed,
    StageAdvanced: _stage,
    SearchEnded: _search_ended,
    StudyFinished: _finished,
}


def apply(state: StudyState, stamped: Stamped) -> None:
    """Change `state` by one event.

    Raises:
        LedgerError: the event does not follow on from the state (an event is missing or doubled).
    """
    if stamped.number != state.events:
        raise LedgerError(f"event {state.events} of study {state.name!r} is missing: found {stamped.number}.")
    _HANDLERS[type(stamped.event)](state, stamped.event, stamped.time)
    if state.sessions:
        state.sessions[-1][1] = max(state.sessions[-1][1], stamped.time)
    state.events += 1


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles for as long as many events are read and folded.

    Events and states have no cycles, and to look through all of them again and again takes as long as to read them.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def fold(name: str, events: Iterable[Stamped]) -> StudyState:
    """The state after all `events` of study `name`."""
    state = StudyState(name)
    with uncollected():
        for stamped in events:
            apply(state, stamped)
    return state
