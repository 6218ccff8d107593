"""Events: the only way the state of a study changes.

Two planes are kept apart. *Physical* events (segment finished, segment failed) are written as they arrive and depend
on which machine was fast today. *Logical* events (proposed, scheduled, advanced, ended) are written in the order of
a virtual clock that counts updates, not seconds, so they are the same on one machine, on a cluster, and after a crash.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_core import from_json

from autosched.errors import LedgerError
from autosched.ledger.records import Decision, Divergence, Failure, Forecast, Observation, Point
from autosched.schedules.schedule import ParameterValue

Role = Literal["default", "pilot", "design", "reference", "search", "probe", "annealed_probe", "commit", "confirm"]
"""Why a trial is trained.

    role             meaning
    default          the user's own schedule, the baseline of the report
    pilot            a short run with a cooldown of its own, made to see what its peak LR does
    design           the beginning of a candidate, where there are no pilots: it shows the law another peak LR
    reference        a whole run that the law needs to see before it is followed
    search           a schedule that may win
    probe            a beginning with one LR of a stage (AutoLRS), compared with others of the stage
    annealed_probe   the decay of a probe to zero, which is for scoring only
    commit           the winner of a stage, trained to the stage's end
    confirm          a finalist's schedule again, on a fresh seed
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCreated:
    """First event of a study.

    Attributes:
        space: the resolved space as JSON data, so that the ledger explains itself.
        versions: of packages that decide the study's numbers.
        fingerprints: of the trainer's code and data (:mod:`autosched.trainer.fingerprints`); None in ledgers older than
            these.
    """

    space: Mapping[str, Any]
    versions: Mapping[str, str]
    fingerprints: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A driver process took the study over (the first one, or a resume)."""

    backend: str
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """The study goes on with another budget or another number of workers than it had.

    Attributes:
        budget: the whole of it, as the space has it.
        workers: segments trained at the same time.
    """

    budget: Mapping[str, Any]
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTested:
    """The LR range test that a space with ``auto`` bounds begins with.

    Attributes:
        segment: identity of the sweep, whose observation has the training loss of every update.
        steps: updates it took, fewer than were planned when it diverged.
        at: virtual time when it was done.
        low, high: the bounds found for ``peak_lr``; None when the test failed.
        divergence_lr: where training becomes unstable; None when the sweep did not get there.
        reason: why the test failed, or why there is no `divergence_lr`; empty when neither.
    """

    segment: str
    steps: int
    at: int
    low: float | None = None
    high: float | None = None
    divergence_lr: float | None = None
    reason: str = ""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The bounds found; None when the test failed."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialProposed:
    """A schedule to train.

    Attributes:
        trial: number, from 0 without gaps.
        role: why it is trained.
        until: the update it is meant to reach; None, in ledgers older than roles, for the horizon.
        seed: the training seed (model init and batches).
        fingerprint: of the schedule's LRs, and of the hyperparameters where there are any.
        at: virtual time, in updates.
        of: for ``confirm``, the trial whose schedule is confirmed.
        hyperparameters: options of the trainer that the schedule is tuned with.
    """

    trial: int
    role: Role
    family: str
    params: Mapping[str, ParameterValue]
    seed: int
    fingerprint: str
    at: int
    until: int | None
    of: int | None = None
    hyperparameters: Mapping[str, ParameterValue] = field(default_factory=dict, metadata={"absent_when_empty": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentScheduled:
    """A trial is the first of this study to need these updates; it occupies one virtual worker until `due`."""

    trial: int
    segment: str
    start: int
    stop: int
    due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFinished:
    """Physical: a worker trained a segment (or it was found in the store: then ``observation.trained == 0``)."""

    observation: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFailed:
    """Physical: a worker could not train a segment; `attempt` counts from 1."""

    failure: Failure
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAdvanced:
    """A trial reached update `step` through `segment`.

    Attributes:
        shared: another trial of this study trained (or trains) these updates.
        at: virtual time.
    """

    trial: int
    segment: str
    step: int
    shared: bool
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJudged:
    """The pruner decided about a trial at update `step`; follows its TrialAdvanced, unless that reached the horizon."""

    trial: int
    step: int
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial is over.

    Attributes:
        status: ``complete``, ``reached`` (it got to the update its turn was meant for, below the horizon), ``pruned``
            (it cannot win), ``paused`` (others promise more), ``diverged``, ``failed`` or ``stopped`` (the budget ran
            out). One that is reached, pruned or paused may be resumed.
        step: updates reached.
        value: validation loss at the horizon, for ``complete``.
        reason: one sentence, for all but ``complete``.
    """

    trial: int
    status: Literal["complete", "reached", "pruned", "paused", "diverged", "failed", "stopped"]
    step: int
    at: int
    value: float | None = None
    reason: str = ""
    forecast: Forecast | None = None
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResumed:
    """A trial that was reached, pruned or paused goes on from where it was left: its next turn.

    Attributes:
        role, until: of this turn, as in :class:`TrialProposed`.
        reason: one sentence.
        at: virtual time.
    """

    trial: int
    role: Role
    until: int | None
    reason: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAdvanced:
    """A staged controller (AutoLRS) moved on: a stage was trained to its end with the LR that it chose.

    Attributes:
        stage: from 0.
        step: update that the stage goes to.
        lr: of its updates.
        trial: the one that tried this LR first, and was trained on with it.
        at: virtual time.
    """

    stage: int
    step: int
    lr: float
    trial: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnded:
    """A controller begins nothing more although the budget has room, because one more run is not worth it.

    Attributes:
        reason: one sentence.
        gain: by how much less the most promising run was expected to end than the best complete one, nats.
        steps: updates that this run would have needed.
        at: virtual time.
    """

    reason: str
    gain: float
    steps: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFinished:
    """The last event.

    Attributes:
        reason: which budget ended the search.
        stats: measured by the driver: ``seconds``, ``utilisation``, ``overhead_ms_per_segment`` and the like.
    """

    reason: str
    stats: Mapping[str, float] = field(default_factory=dict)


Event = (
    StudyCreated
    | SessionStarted
    | LimitsChanged
    | RangeTested
    | TrialProposed
    | SegmentScheduled
    | SegmentFinished
    | SegmentFailed
    | TrialAdvanced
    | TrialJudged
    | TrialEnded
    | TrialResumed
    | StageAdvanced
    | SearchEnded
    | StudyFinished
)
EVENT_TYPES: Mapping[str, type[Event]] = {
    "study_created": StudyCreated,
    "session_started": SessionStarted,
    "limits_changed": LimitsChanged,
    "range_tested": RangeTested,
    "trial_proposed": TrialProposed,
    "segment_scheduled": SegmentScheduled,
    "segment_finished": SegmentFinished,
    "segment_failed": SegmentFailed,
    "trial_advanced": TrialAdvanced,
    "trial_judged": TrialJudged,
    "trial_ended": TrialEnded,
    "trial_resumed": TrialResumed,
    "stage_advanced": StageAdvanced,
    "search_ended": SearchEnded,
    "study_finished": StudyFinished,
}
_RENAMED = {"trial_thawed": "trial_resumed"}
"""Names that earlier versions gave to events."""
_NAMES = {cls: name for name, cls in EVENT_TYPES.items()}
_RECORDS: Mapping[str, type[Any]] = {
    "decision": Decision,
    "forecast": Forecast,
    "observation": Observation,
    "failure": Failure,
    "divergence": Divergence,
}
_PARTS: Mapping[type[Any], tuple[tuple[str, type[Any]], ...]] = {
    cls: tuple((name, _RECORDS[name]) for name in cls.__dataclass_fields__ if name in _RECORDS)
    for cls in (*_NAMES, *_RECORDS.values())
}
"""The fields of events and of their records that hold a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """An event as the ledger holds it: its number in the study (from 0) and the wall-clock time of writing (Unix s)."""

    number: int
    time: float
    event: Event


def kind_of(event: Event) -> str:
    """The event's name in the ledger, e.g. ``trial_proposed``."""
    return _NAMES[type(event)]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(f.name, getattr(value, f.name), f.metadata) for f in dataclasses.fields(value)]
        return {name: _plain(item) for name, item, about in fields if item or "absent_when_empty" not in about}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def encode(event: Event) -> str:
    """The event's payload as JSON text."""
    return json.dumps(_plain(event), separators=(",", ":"))


def _with_role(cls: type[Event], fields: dict[str, Any]) -> dict[str, Any]:
    """A turn that was written before turns had roles: of the kind that trials had then, and to the horizon."""
    if cls not in (TrialProposed, TrialResumed) or "role" in fields:
        return fields
    role = fields.pop("kind") if cls is TrialProposed else "search"
    return {**fields, "role": role, "until": None}


def _record(cls: type[Any], fields: dict[str, Any]) -> Any:
    for name, part in _PARTS[cls]:
        if isinstance(fields.get(name), dict):
            fields[name] = _record(part, fields[name])
    if cls is Observation:
        fields["points"] = tuple(map(_point, fields["points"]))
    elif cls is Decision and "audit" in fields:  # as earlier versions called it
        fields["holdout"] = fields.pop("audit")
    return cls(**fields)


def _point(data: dict[str, Any]) -> Point:
    if "merged" in data:
        data["merged"] = {int(window): loss for window, loss in data["merged"].items()}
    return Point(**data)


def _parsed(payload: str) -> Any:
    """JSON text as Python's values; a study of thousands of trials has a hundred thousand of them."""
    try:
        return from_json(payload)
    except ValueError:  # damaged, or with half a surrogate pair, which only the slower reader lets pass
        return json.loads(payload)


def decode(kind: str, payload: str) -> Event:
    """The event behind a name and a payload.

    Raises:
        LedgerError: an unknown name, broken JSON, or missing fields: the ledger is damaged or from a newer version.
    """
    cls = EVENT_TYPES.get(_RENAMED.get(kind, kind))
    if cls is None:
        raise LedgerError(f"unknown event {kind!r}: the ledger was written by a newer autosched, or is damaged.")
    try:
        event: Event = _record(cls, _with_role(cls, _parsed(payload)))
    except (TypeError, ValueError, KeyError) as error:
        raise LedgerError(f"damaged {kind!r} event in the ledger: {error}.") from None
    return event
