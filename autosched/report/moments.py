"""A study's events as its page replays them: what was decided, seen and spent, one plain record per event.

The page folds these records as :mod:`autosched.ledger.fold` folds events, so that what it shows of any moment is what
was known then; nothing about a trial that changes is told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from autosched.ledger.events import (
    Event,
    LimitsChanged,
    RangeTested,
    SegmentFailed,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    StageAdvanced,
    Stamped,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
    TrialResumed,
    kind_of,
)
from autosched.ledger.fold import apply, uncollected
from autosched.ledger.records import Forecast
from autosched.ledger.state import StudyState
from autosched.report.plain import finite

Record = dict[str, Any]


class Story:
    """A study as far as its events were read: its state, and a record of each moment.

    Attributes:
        state: the fold of the events.
        moments: in order; each has ``event`` (its number in the ledger), ``kind`` (its name there), ``time`` (seconds
            since the first event), ``spent`` (updates that workers had computed), and what the kind adds.
    """

    def __init__(self, name: str) -> None:
        self.state = StudyState(name)
        self.moments: list[Record] = []
        self._began = 0.0

    @classmethod
    def of(cls, name: str, events: Iterable[Stamped]) -> Story:
        """The story of these events, all of a study's from the first."""
        story = cls(name)
        story.read(events)
        return story

    def read(self, events: Iterable[Stamped]) -> int:
        """Go on with further events; returns how many there were.

        Raises:
            LedgerError: they do not follow on from those read before.
        """
        before = self.state.events
        with uncollected():
            for stamped in events:
                apply(self.state, stamped)
                if stamped.number == 0:
                    self._began = stamped.time
                told = _TOLD.get(type(stamped.event))
                if told is not None:
                    self.moments.append(self._record(stamped, told(self.state, stamped.event)))
        return self.state.events - before

    def _record(self, stamped: Stamped, told: Record) -> Record:
        record: Record = {
            "event": stamped.number,
            "kind": kind_of(stamped.event),
            "time": round(stamped.time - self._began, 2),
            "spent": self.state.steps_trained,
        }
        record.update({name: value for name, value in told.items() if value is not None and value != ""})
        return record


def columns(moments: Iterable[Record]) -> dict[str, dict[str, list[Any]]]:
    """Moments by kind, and of each kind the fields as columns, in order: shorter, and soon read by a browser.

    Example:
        >>> columns([{"event": 3, "kind": "a", "step": 1}, {"event": 5, "kind": "a"}])
        {'a': {'event': [3, 5], 'step': [1, None]}}
    """
    kinds: dict[str, list[Record]] = {}
    for moment in moments:
        kinds.setdefault(moment["kind"], []).append(moment)
    names = {kind: dict.fromkeys(chain.from_iterable(some)) for kind, some in kinds.items()}
    return {
        kind: {name: [one.get(name) for one in some] for name in names[kind] if name != "kind"}
        for kind, some in kinds.items()
    }


def _session(state: StudyState, event: SessionStarted) -> Record:
    return {"text": f"a driver is at work: backend {event.backend}, workers {event.workers}"}


def _limits(state: StudyState, event: LimitsChanged) -> Record:
    budget = ", ".join(f"{value:g} {name}" for name, value in event.budget.items() if value)
    return {"text": f"new limits: {budget or 'no budget'}, workers {event.workers}"}


def _range(state: StudyState, event: RangeTested) -> Record:
    found = "no bounds" if event.bounds is None else f"peak LR from {event.low:.3g} to {event.high:.3g}"
    return {"text": f"range test: {found}" + (f", {event.reason}" if event.reason else "")}


def _proposed(state: StudyState, event: TrialProposed) -> Record:
    return {"trial": event.trial, "role": event.role, "until": state.trials[event.trial].until}


def _scheduled(state: StudyState, event: SegmentScheduled) -> Record:
    return {"trial": event.trial, "start": event.start, "step": event.stop}


def _trained(state: StudyState, event: SegmentFinished) -> Record:
    seen = event.observation
    ordered = state.scheduled.get(seen.segment)
    return {"trial": None if ordered is None else ordered.trial, "step": seen.stop, "worker": seen.worker}


def _failed(state: StudyState, event: SegmentFailed) -> Record:
    ordered, failure = state.scheduled.get(event.failure.segment), event.failure
    trial = None if ordered is None else ordered.trial
    return {"trial": trial, "worker": failure.worker, "text": f"{failure.kind.replace('_', ' ')}: {failure.reason}"}


def _advanced(state: StudyState, event: TrialAdvanced) -> Record:
    return {"trial": event.trial, "step": event.step, "shared": event.shared or None}


def _judged(state: StudyState, event: TrialJudged) -> Record:
    decision = event.decision
    return {
        "trial": event.trial,
        "step": event.step,
        "action": decision.action,
        "text": decision.reason,
        "forecast": _forecast(decision.forecast),
        "holdout": decision.holdout or None,
    }


def _ended(state: StudyState, event: TrialEnded) -> Record:
    return {
        "trial": event.trial,
        "step": event.step,
        "status": event.status,
        "text": event.reason,
        "value": None if event.value is None else finite(event.value, 7),
    }


def _resumed(state: StudyState, event: TrialResumed) -> Record:
    trial = state.trials[event.trial]
    return {"trial": event.trial, "role": event.role, "until": trial.until, "text": event.reason}


def _stage(state: StudyState, event: StageAdvanced) -> Record:
    return {"trial": event.trial, "step": event.step, "text": f"stage {event.stage} is trained with LR {event.lr:.4g}"}


def _finished(state: StudyState, event: StudyFinished) -> Record:
    return {"text": event.reason}


def _forecast(forecast: Forecast | None) -> list[float | None] | None:
    return None if forecast is None else [finite(value, 6) for value in (forecast.mean, forecast.low, forecast.high)]


_TOLD: Mapping[type[Event], Callable[[StudyState, Any], Record]] = {
    SessionStarted: _session,
    LimitsChanged: _limits,
    RangeTested: _range,
    TrialProposed: _proposed,
    SegmentScheduled: _scheduled,
    SegmentFinished: _trained,
    SegmentFailed: _failed,
    TrialAdvanced: _advanced,
    TrialJudged: _judged,
    TrialEnded: _ended,
    TrialResumed: _resumed,
    StageAdvanced: _stage,
    StudyFinished: _finished,
}
