"""The state of a study: a pure fold over its events.

Resuming is: fold, then go on. Whatever decides (controllers, pruners) reads this and nothing else; what they cache
they rebuild by reading :attr:`StudyState.log` from where they stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from autosched.errors import LedgerError
from autosched.ledger.events import (
    Event,
    RangeTested,
    Role,
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
from autosched.ledger.records import Decision, Divergence, Failure, Forecast, Observation, Point
from autosched.schedules.registry import build
from autosched.schedules.schedule import ParameterValue, Schedule
from autosched.space.records import ScheduleSpec

TrialStatus = Literal["running", "complete", "reached", "pruned", "paused", "diverged", "failed", "stopped"]
LogKind = Literal["proposed", "advanced", "ended", "resumed"]
RESUMABLE: frozenset[TrialStatus] = frozenset({"reached", "pruned", "paused"})


class Turn(NamedTuple):
    """A stretch that a trial is trained for in one go, from its proposal or from a resumption.

    Attributes:
        role: why it is trained.
        until: the update it is meant to reach.
        start: the update it begins at.
    """

    role: Role
    until: int
    start: int


@dataclass(slots=True)
class TrialState:
    """One trial as the ledger knows it; only the fold changes it.

    Attributes:
        horizon: updates of a full run.
        turns: the present turn is the last.
        step: updates reached.
        due: virtual time at which `step` was reached.
        points: all evaluations so far, in order of step.
        decisions: (step, decision) after every segment that did not reach the horizon.
        condemned: the first decision that wanted to stop the trial although it was kept as an audit.
    """

    number: int
    family: str
    params: Mapping[str, ParameterValue]
    seed: int
    fingerprint: str
    horizon: int
    turns: list[Turn]
    due: int
    of: int | None = None
    proposed_time: float = 0.0
    ended_time: float | None = None
    status: TrialStatus = "running"
    step: int = 0
    pending: str | None = None
    pending_stop: int = 0
    segments: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    decisions: list[tuple[int, Decision]] = field(default_factory=list)
    steps_shared: int = 0
    value: float | None = None
    reason: str = ""
    forecast: Forecast | None = None
    divergence: Divergence | None = None
    _schedule: Schedule | None = field(default=None, repr=False, compare=False)

    @property
    def role(self) -> Role:
        """Why the trial is trained, in its present turn."""
        return self.turns[-1].role

    @property
    def until(self) -> int:
        """The update that the present turn is meant to reach."""
        return self.turns[-1].until

    @property
    def planned(self) -> int:
        """The furthest update that any turn was meant to reach."""
        return max(turn.until for turn in self.turns)

    @property
    def spec(self) -> ScheduleSpec:
        """The schedule's family and parameters."""
        return ScheduleSpec(family=self.family, params=self.params)

    @property
    def schedule(self) -> Schedule:
        """The schedule over the whole horizon, made when it is first asked for."""
        if self._schedule is None:
            self._schedule = build(self.family, self.params, steps=self.horizon)
        return self._schedule

    @property
    def condemned(self) -> Decision | None:
        """The first audit decision, if any."""
        return next((decision for _, decision in self.decisions if decision.audit), None)

    @property
    def last_forecast(self) -> Forecast | None:
        """The newest forecast made while the trial ran."""
        return next((d.forecast for _, d in reversed(self.decisions) if d.forecast is not None), None)


class Transition(NamedTuple):
    """A logical step of a trial, as caches read it.

    Attributes:
        step: the update reached.
        status, value: how an ``ended`` trial ended this time, and its final loss or, for one that was stopped, the
            forecast of it. A trial that was resumed ends again, so these are not to be read off the trial.
        turn: that begins with a ``proposed`` or ``resumed``.
    """

    kind: LogKind
    trial: int
    step: int
    status: TrialStatus = "running"
    value: float | None = None
    turn: Turn | None = None


@dataclass(slots=True)
class ScheduledSegment:
    """A segment this study ordered: who first needed it, and when it is done in virtual time."""

    trial: int
    start: int
    stop: int
    due: int


@dataclass(slots=True)
class StudyState:
    """Everything that was decided and seen in one study.

    Attributes:
        log: logical transitions in order; every cache reads it from its own cursor.
        clock: virtual time, in updates trained one after another on one virtual worker.
        observations: physical results by segment identity.
        proposed: how many trials of each role were proposed.
        records_roles: whether the events say why each trial was trained; those of earlier versions do not.
        active: numbers of running trials.
        best: number of the complete search or default trial with the lowest value.
        range_test: what found bounds that were ``auto``; None before, and in a space without such bounds.
    """

    name: str
    space: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    events: int = 0
    clock: int = 0
    trials: list[TrialState] = field(default_factory=list)
    proposed: Counter[Role] = field(default_factory=Counter)
    records_roles: bool = True
    active: set[int] = field(default_factory=set)
    scheduled: dict[str, ScheduledSegment] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    observations: dict[str, Observation] = field(default_factory=dict)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    log: list[Transition] = field(default_factory=list)
    stages: list[StageAdvanced] = field(default_factory=list)
    best: int | None = None
    steps_scheduled: int = 0
    steps_trained: int = 0
    worker_seconds: float = 0.0
    sessions: list[list[float]] = field(default_factory=list)
    backend: str = ""
    workers: int = 0
    range_test: RangeTested | None = None
    finished: StudyFinished | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock seconds a driver was at work, summed over sessions (a killed one ends at its last event)."""
        return sum(end - start for start, end in self.sessions)

    @property
    def horizon(self) -> int:
        """Updates of a full run."""
        return int(self.space["horizon_steps"])

    @property
    def searched(self) -> list[TrialState]:
        """The trials of the search, the default's included: all but those that confirm a finalist on a fresh seed."""
        return [trial for trial in self.trials if trial.role != "confirm"]

    def scheduled_steps(self, ids: Mapping[int, str]) -> int:
        """The longest prefix of a schedule that some trial has trained or ordered, in updates.

        Args:
            ids: the schedule's identity at every cut, in order.
        """
        reached = 0
        for cut, identity in ids.items():
            if identity not in self.scheduled:
                break
            reached = cut
        return reached

    def trial(self, number: int) -> TrialState:
        """The trial with this number.

        Raises:
            LedgerError: there is none (a damaged ledger).
        """
        if not 0 <= number < len(self.trials):
            raise LedgerError(f"the ledger speaks of trial {number}, but only {len(self.trials)} were proposed.")
        return self.trials[number]

    def best_trial(self) -> TrialState | None:
        """The complete search or default trial with the lowest value (the earliest of equals)."""
        return None if self.best is None else self.trials[self.best]


def _created(state: StudyState, event: StudyCreated, time: float) -> None:
    state.space, state.versions = event.space, event.versions


def _session(state: StudyState, event: SessionStarted, time: float) -> None:
    state.sessions.append([time, time])
    state.backend, state.workers = event.backend, event.workers


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
            params=event.params,
            seed=event.seed,
            fingerprint=event.fingerprint,
            horizon=state.horizon,
            turns=[turn],
            due=event.at,
            of=event.of,
            proposed_time=time,
        )
    )
    state.active.add(event.trial)
    state.proposed[event.role] += 1
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
    state.steps_trained += seen.trained
    state.worker_seconds += seen.seconds


def _failed_segment(state: StudyState, event: SegmentFailed, time: float) -> None:
    state.failures.setdefault(event.failure.segment, []).append(event.failure)
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
    state.trial(event.trial).decisions.append((event.step, event.decision))


def _leave_clock(state: StudyState, segment: str | None, at: int) -> None:
    if segment is not None:
        state.in_flight.discard(segment)
    state.clock = max(state.clock, at)


def _ended(state: StudyState, event: TrialEnded, time: float) -> None:
    trial = state.trial(event.trial)
    trial.status, trial.step, trial.value = event.status, event.step, event.value
    trial.reason, trial.forecast, trial.divergence = event.reason, event.forecast, event.divergence
    trial.ended_time = time
    _leave_clock(state, trial.pending, event.at)
    trial.pending = None
    state.active.discard(event.trial)
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
    trial.turns.append(turn)
    trial.status, trial.reason, trial.forecast = "running", "", None
    trial.ended_time, trial.due = None, event.at
    state.active.add(event.trial)
    state.clock = max(state.clock, event.at)
    state.log.append(Transition("resumed", event.trial, trial.step, turn=turn))


def _stage(state: StudyState, event: StageAdvanced, time: float) -> None:
    state.stages.append(event)


def _finished(state: StudyState, event: StudyFinished, time: float) -> None:
    state.finished = event


_HANDLERS: Mapping[type[Event], Any] = {
    StudyCreated: _created,
    SessionStarted: _session,
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
    StudyFinished: _finished,
}


def apply(state: StudyState, stamped: Stamped) -> None:
    """Change `state` by one event, in constant time.

    Raises:
        LedgerError: the event does not follow on from the state (an event is missing or doubled).
    """
    if stamped.number != state.events:
        raise LedgerError(f"event {state.events} of study {state.name!r} is missing: found {stamped.number}.")
    _HANDLERS[type(stamped.event)](state, stamped.event, stamped.time)
    if state.sessions:
        state.sessions[-1][1] = max(state.sessions[-1][1], stamped.time)
    state.events += 1


def fold(name: str, events: Iterable[Stamped]) -> StudyState:
    """The state after all `events` of study `name`."""
    state = StudyState(name)
    for stamped in events:
        apply(state, stamped)
    return state
