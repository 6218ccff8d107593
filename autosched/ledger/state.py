"""The state of a study: what :mod:`autosched.ledger.fold` makes of its events.

Resuming is: fold, then go on. Whatever decides (controllers, pruners) reads this and nothing else; what they cache
they rebuild by reading :attr:`StudyState.log` from where they stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from autosched.errors import LedgerError
from autosched.ledger.events import (
    RangeTested,
    Role,
    SearchEnded,
    StageAdvanced,
    StudyFinished,
)
from autosched.ledger.records import Decision, Divergence, Failure, Forecast, Observation, Point
from autosched.schedules.registry import build
from autosched.schedules.schedule import NOWHERE, Coordinates, ParameterValue, Schedule
from autosched.space.hyperparameters import hyperparameters_in
from autosched.space.records import ScheduleSpec, SearchParameter

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
        schedule_params: the parameters of the schedule's family.
        hyperparameters, coordinates: see :class:`autosched.schedules.schedule.Schedule`.
        horizon: updates of a full run.
        turns: the present turn is the last.
        step: updates reached.
        due: virtual time at which `step` was reached.
        points: all evaluations so far, in order of step.
        decisions: (step, decision) after every segment that did not reach the horizon.
        last_forecast: the newest of them, made while the trial ran; None before there is one.
        condemned: the first decision that wanted to stop the trial although it was kept as a holdout.
    """

    number: int
    family: str
    schedule_params: Mapping[str, ParameterValue]
    seed: int
    fingerprint: str
    horizon: int
    turns: list[Turn]
    due: int
    of: int | None = None
    hyperparameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    coordinates: Coordinates = NOWHERE
    proposed_time: float = 0.0
    ended_time: float | None = None
    status: TrialStatus = "running"
    step: int = 0
    pending: str | None = None
    pending_stop: int = 0
    segments: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    decisions: list[tuple[int, Decision]] = field(default_factory=list)
    last_forecast: Forecast | None = None
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
    def params(self) -> Mapping[str, ParameterValue]:
        """All that was chosen for the trial: the parameters of its schedule, and its hyperparameters."""
        return {**self.schedule_params, **self.hyperparameters} if self.hyperparameters else self.schedule_params

    @property
    def spec(self) -> ScheduleSpec:
        """The point of the space."""
        return ScheduleSpec(family=self.family, params=self.params)

    @property
    def schedule(self) -> Schedule:
        """The schedule over the whole horizon, made when it is first asked for."""
        if self._schedule is None:
            bare = build(self.family, self.schedule_params, steps=self.horizon)
            self._schedule = bare.beside(self.hyperparameters, self.coordinates)
        return self._schedule

    @property
    def condemned(self) -> Decision | None:
        """The first holdout decision, if any."""
        return next((decision for _, decision in self.decisions if decision.holdout), None)


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
        arrived: number of the event with which a segment last came back, trained or failed.
        proposed: how many trials of each role were proposed.
        fates: how many trials stand so, by status and the role of the present turn.
        default, confirming: numbers of the trial of the user's own schedule, if there is one, and of those on fresh
            seeds.
        resumed: how often a trial went on.
        forecasts: what is expected of running trials, by number: the forecast of the newest decision about each since
            it was begun or resumed. None of them is left when no law describes the curves any more.
        decided, lawless: how many decisions were made, and how many of them in the law's place, because no law
            described the curves.
        records_roles: whether the events say why each trial was trained; those of earlier versions do not.
        active: numbers of running trials.
        best: number of the complete search or default trial with the lowest value.
        range_test: what found bounds that were ``auto``; None before, and in a space without such bounds.
        search_ended: why the search ended before its budget did; None where it did not.
    """

    name: str
    space: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] | None = None
    events: int = 0
    clock: int = 0
    trials: list[TrialState] = field(default_factory=list)
    proposed: Counter[Role] = field(default_factory=Counter)
    fates: Counter[tuple[TrialStatus, Role]] = field(default_factory=Counter)
    default: int | None = None
    confirming: list[int] = field(default_factory=list)
    resumed: int = 0
    forecasts: dict[int, Forecast] = field(default_factory=dict)
    decided: int = 0
    lawless: int = 0
    records_roles: bool = True
    active: set[int] = field(default_factory=set)
    scheduled: dict[str, ScheduledSegment] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    observations: dict[str, Observation] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
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
    search_ended: SearchEnded | None = None
    finished: StudyFinished | None = None
    _hyperparameters: Mapping[str, SearchParameter] | None = field(default=None, repr=False, compare=False)

    @property
    def seconds(self) -> float:
        """Wall-clock seconds a driver was at work, summed over sessions (a killed one ends at its last event)."""
        return sum(end - start for start, end in self.sessions)

    @property
    def searched_hyperparameters(self) -> Mapping[str, SearchParameter]:
        """The domains of the hyperparameters that the study searches."""
        if self._hyperparameters is None:
            self._hyperparameters = hyperparameters_in(self.space)
        return self._hyperparameters

    @property
    def horizon(self) -> int:
        """Updates of a full run.

        Raises:
            LedgerError: the space that the ledger holds does not say (a damaged ledger).
        """
        steps = self.space.get("horizon_steps")
        if not isinstance(steps, int):
            raise LedgerError(f"the space of study {self.name!r} in the ledger says no horizon_steps: it is damaged.")
        return steps

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
        for cut in ids:
            if ids[cut] not in self.scheduled:
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
