"""From ledger events to what a tracker shows; a fold of its own, without I/O.

    event            written
    StudyCreated     the parent run (:func:`study_run`) and ``space.json``
    RangeTested      ``range_test_low``, ``range_test_high`` and ``range_test_divergence`` on the parent
    TrialProposed    the trial's run, and the whole planned LR curve as ``lr_plan`` (at most 200 points)
    TrialAdvanced    ``loss``, ``lr`` (of the last update done), of several validation losses each as ``loss_NAME``, and
                     the trainer's metrics, at every new evaluation
    TrialJudged      ``forecast``, ``forecast_low``, ``forecast_high``; ``holdout`` when a condemned trial is kept,
                     ``lawless`` where no law described the curves
    TrialEnded       ``value``, ``steps_shared``, ``schedule.json``, ``curve.csv``, the status;
                     ``best_value`` on the parent
    TrialResumed     the trial's run is RUNNING again
    StageAdvanced    ``stage`` and ``stage_lr`` at the update that the stage goes to
    StudyFinished    counts, the driver's own measurements, the status, and whether a law was in force on the parent

A metric's step counts updates done; on the parent it is the virtual clock, that is updates paid for so far.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from autosched.errors import LedgerError
from autosched.ledger.events import (
    RangeTested,
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
from autosched.ledger.fold import apply
from autosched.ledger.lawless import lawless_note
from autosched.ledger.records import LAWLESS
from autosched.ledger.state import RESUMABLE, StudyState, TrialState
from autosched.schedules.schedule import Schedule
from autosched.space.json_form import without_secrets_in
from autosched.tracking.tracker import STUDY, Metric, RunStatus, StudyRun, TrialRun
from autosched.tracking.writes import Artifact, MetricBatch, RunEnd, Write

ScheduleOf = Callable[[TrialProposed], Schedule]
"""Makes the schedule of a proposal."""

PLAN_POINTS = 200
NAMED_LOSS = "loss_"
"""Before the name of one of several validation losses."""
STATUS: Mapping[str, RunStatus] = {
    "complete": "FINISHED",
    "reached": "FINISHED",
    "pruned": "KILLED",
    "paused": "KILLED",
    "stopped": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}


def flatten(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested JSON data as (dotted name, text); lists of plain values stay together as JSON.

    Example:
        >>> list(flatten({"a": {"b": 1e-3}, "c": ["x", 2], "d": [{"e": True}], "f": {}}))
        [('a.b', '0.001'), ('c', '["x", 2]'), ('d.0.e', 'true')]
    """
    if isinstance(data, Mapping):
        parts = [(str(key), value) for key, value in data.items()]
    elif isinstance(data, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in data):
        parts = [(str(index), value) for index, value in enumerate(data)]
    else:
        yield name, data if isinstance(data, str) else json.dumps(data)
        return
    for part, value in parts:
        yield from flatten(value, f"{name}.{part}" if name else part)


def _canonical(space: Mapping[str, Any]) -> str:
    return json.dumps(space, sort_keys=True)


def study_run(study: str, created: Stamped, *, tags: Mapping[str, str]) -> StudyRun:
    """The parent run of the study that `created` begins, with further `tags`.

    Its identity comes from the name, the space and the time of creation (to the millisecond): a study that was deleted
    and begun anew under the same name gets a run of its own.

    Raises:
        LedgerError: `created` is not the study's first event.
    """
    if not isinstance(created.event, StudyCreated):
        raise LedgerError(f"the first event of study {study!r} must create it, but is {type(created.event).__name__}.")
    space = _canonical(created.event.space)
    identity = hashlib.sha256(f"{study}|{created.time:.3f}|{space}".encode()).hexdigest()[:32]
    return StudyRun(
        name=study,
        identity=identity,
        params=dict(flatten(without_secrets_in(created.event.space))),
        tags={
            **tags,
            "autosched.status": "running",
            "autosched.space": hashlib.sha256(space.encode()).hexdigest(),
            **{f"autosched.version.{name}": version for name, version in created.event.versions.items()},
        },
        time=created.time,
    )


class Translator:
    """Folds events and says what each of them means for a tracker.

    Args:
        study: name of the study.
        schedule_of: makes a proposal's schedule; called once per trial, and not for trials that ended before.
    """

    def __init__(self, study: str, schedule_of: ScheduleOf) -> None:
        self.state = StudyState(study)
        self._schedule_of = schedule_of
        self._proposals: dict[int, TrialProposed] = {}
        self._schedules: dict[int, Schedule] = {}
        self._time = 0.0
        self._interrupted = False

    def skip(self, stamped: Stamped) -> None:
        """Take note of an event that is mirrored already."""
        apply(self.state, stamped)
        self._time = stamped.time
        if isinstance(stamped.event, TrialProposed):
            self._proposals[stamped.event.trial] = stamped.event
        elif isinstance(stamped.event, TrialEnded):
            self._forget(stamped.event)

    def translate(self, stamped: Stamped) -> list[Write]:
        """Take note of an event and return what it writes, in order."""
        before = self.state.best
        writes: list[Write] = []
        if isinstance(stamped.event, TrialEnded):  # its schedule is forgotten with the event
            schedule = self._schedule(stamped.event.trial)
            self.skip(stamped)
            return self._ended(stamped.event, schedule, improved=self.state.best != before)
        self.skip(stamped)
        match stamped.event:
            case StudyCreated() as event:
                data = json.dumps(without_secrets_in(event.space), indent=2).encode()
                writes = [Artifact(run=STUDY, name="space.json", data=data)]
            case RangeTested() as event:
                writes = self._range_tested(event)
            case TrialProposed() as event:
                writes = [self._trial_run(event.trial), self._plan(event)]
            case TrialAdvanced() as event:
                writes = [self._points(event)]
            case TrialJudged() as event:
                writes = self._judged(event)
            case TrialResumed() as event:
                writes = [self._trial_run(event.trial)]
            case StageAdvanced() as event:
                writes = [self._metrics(event.trial, event.step, {"stage": event.stage, "stage_lr": event.lr})]
            case StudyFinished() as event:
                writes = self._finished(event)
        return writes

    def interrupt(self) -> list[Write]:
        """What an orderly stop before the end writes: no run is left RUNNING. A resume opens them again.

        Nothing when the study is finished: then there is nothing to interrupt.
        """
        if self.state.finished is not None:
            return []
        self._interrupted = True
        tags = {"autosched.status": "interrupted"}
        runs = [*sorted(self.state.active), STUDY]
        return [RunEnd(run=run, status="KILLED", time=self._time, tags=tags) for run in runs]

    def standing(self) -> list[Write]:
        """What must be said again after the tracker was opened: which runs are running, and whether the study is over.

        `Tracker.open` sets the study's run RUNNING, and runs of an interrupted session were closed.
        """
        if self._interrupted:
            return self.interrupt()
        running: list[Write] = [self._trial_run(trial) for trial in sorted(self.state.active)]
        if self.state.finished is not None:
            running.append(self._study_end(self.state.finished))
        return running

    def _forget(self, ended: TrialEnded) -> None:
        self._schedules.pop(ended.trial, None)
        if ended.status not in RESUMABLE:
            self._proposals.pop(ended.trial, None)

    def _schedule(self, trial: int) -> Schedule:
        if trial not in self._schedules:
            self._schedules[trial] = self._schedule_of(self._proposals[trial])
        return self._schedules[trial]

    def _metrics(self, run: int, step: int, values: Mapping[str, float]) -> MetricBatch:
        made = [Metric(key=key, value=float(value), step=step, time=self._time) for key, value in values.items()]
        return MetricBatch(run=run, metrics=tuple(made))

    def _trial_run(self, number: int) -> TrialRun:
        trial = self.state.trial(number)
        params = {"family": trial.family, "role": trial.role, "seed": str(trial.seed), **dict(flatten(trial.params))}
        if trial.of is not None:
            params["of"] = str(trial.of)
        role = "" if trial.role == "search" else f" {trial.role.replace('_', ' ')}"
        return TrialRun(
            trial=number,
            name=f"{number:04d} {trial.family}{role}",
            params=params,
            tags={
                "autosched.role": trial.role,
                "autosched.fingerprint": trial.fingerprint,
                "autosched.status": "running",
            },
            time=trial.proposed_time,
        )

    def _range_tested(self, event: RangeTested) -> list[Write]:
        seen = {"low": event.low, "high": event.high, "divergence": event.divergence_lr}
        values = {f"range_test_{name}": value for name, value in seen.items() if value is not None}
        return [self._metrics(STUDY, event.at, values)] if values else []

    def _plan(self, event: TrialProposed) -> MetricBatch:
        schedule = self._schedule(event.trial)
        steps = np.unique(np.linspace(1, schedule.steps, min(schedule.steps, PLAN_POINTS)).round().astype(int))
        planned = zip(steps.tolist(), schedule.lr_at(steps - 1).tolist(), strict=True)
        metrics = [Metric(key="lr_plan", value=lr, step=step, time=self._time) for step, lr in planned]
        return MetricBatch(run=event.trial, metrics=tuple(metrics))

    def _points(self, event: TrialAdvanced) -> MetricBatch:
        points = self.state.observations[event.segment].points
        lrs = self._schedule(event.trial).lr_at([max(point.step - 1, 0) for point in points]).tolist()
        metrics: list[Metric] = []
        for point, lr in zip(points, lrs, strict=True):
            named = {f"{NAMED_LOSS}{name}": loss for name, loss in point.losses.items()}
            values = {**point.metrics, **named, "loss": point.loss}
            if point.merged:
                values["merged_loss"] = min(point.merged.values())
            if point.step > 0:
                values["lr"] = lr
            metrics.extend(self._metrics(event.trial, point.step, values).metrics)
        return MetricBatch(run=event.trial, metrics=tuple(metrics))

    def _judged(self, event: TrialJudged) -> list[Write]:
        values: dict[str, float] = {"holdout": 1.0} if event.decision.holdout else {}
        if event.decision.reason.startswith(LAWLESS):
            values["lawless"] = 1.0
        forecast = event.decision.forecast
        if forecast is not None:
            values |= {"forecast": forecast.mean, "forecast_low": forecast.low, "forecast_high": forecast.high}
        return [self._metrics(event.trial, event.step, values)] if values else []

    def _ended(self, event: TrialEnded, schedule: Schedule, *, improved: bool) -> list[Write]:
        trial = self.state.trial(event.trial)
        values = {"steps_shared": float(trial.steps_shared)}
        if event.value is not None:
            values["value"] = event.value
        tags = {"autosched.status": event.status, "autosched.reason": event.reason}
        writes: list[Write] = [
            self._metrics(event.trial, event.step, values),
            Artifact(run=event.trial, name="schedule.json", data=schedule.to_json().encode()),
            Artifact(run=event.trial, name="curve.csv", data=curve_csv(trial, schedule)),
            RunEnd(run=event.trial, status=STATUS[event.status], time=self._time, tags=tags),
        ]
        if improved and event.value is not None:
            writes.append(self._metrics(STUDY, event.at, {"best_value": event.value}))
        return writes

    def _finished(self, event: StudyFinished) -> list[Write]:
        state = self.state
        counts = {f"trials_{status}": 0 for status in STATUS}
        for trial in state.trials:
            counts[f"trials_{trial.status}"] = counts.get(f"trials_{trial.status}", 0) + 1
        totals = {"steps_trained": state.steps_trained, "worker_seconds": state.worker_seconds}
        return [self._metrics(STUDY, state.clock, {**counts, **totals, **event.stats}), self._study_end(event)]

    def _study_end(self, event: StudyFinished) -> RunEnd:
        best = self.state.best_trial()
        tags = {"autosched.status": "finished", "autosched.reason": event.reason}
        lawless = lawless_note(self.state)
        if lawless is not None:
            tags["autosched.law"] = lawless
        if best is not None:
            tags |= {"autosched.best_trial": str(best.number), "autosched.best_fingerprint": best.fingerprint}
        return RunEnd(run=STUDY, status="FINISHED", time=self._time, tags=tags)


def curve_csv(trial: TrialState, schedule: Schedule) -> bytes:
    """A trial's evaluations as ``step,lr,loss``; numbers read back to the same bits. The LR is the last update's.

    Of several validation losses each has a column ``loss_NAME``.
    """
    points = [point for point in trial.points if point.step > 0]
    names = list(dict.fromkeys(name for point in points for name in point.losses))
    rows = [",".join(["step", "lr", "loss", *(f"{NAMED_LOSS}{name}" for name in names)])]
    lrs = schedule.lr_at([point.step - 1 for point in points]).tolist()
    for point, lr in zip(points, lrs, strict=True):
        losses = [point.loss, *(point.losses[name] for name in names)]
        rows.append(",".join([str(point.step), *map(repr, [lr, *losses])]))
    return ("\n".join(rows) + "\n").encode()
