"""What a mirror writes to a tracker, as plain values: they can be merged, looked at in a test, and repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autosched.errors import TrackingRefusal
from autosched.tracking.tracker import Metric, RunStatus, Tracker, TrialRun


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricBatch:
    """Metrics of one run."""

    run: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file under a run."""

    run: int
    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """The end of a run; `time` in Unix seconds."""

    run: int
    status: RunStatus
    time: float
    tags: Mapping[str, str]


Write = TrialRun | MetricBatch | Artifact | RunEnd


def merge(writes: Iterable[Write]) -> list[Write]:
    """The same writes in fewer calls: metrics of one run are joined until something else happens to that run.

    The order of what happens to any one run stays as it was.
    """
    merged: list[Write] = []
    waiting: dict[int, list[Metric]] = {}
    for write in writes:
        if isinstance(write, MetricBatch):
            waiting.setdefault(write.run, []).extend(write.metrics)
            continue
        run = write.trial if isinstance(write, TrialRun) else write.run
        if run in waiting:
            merged.append(MetricBatch(run=run, metrics=tuple(waiting.pop(run))))
        merged.append(write)
    merged.extend(MetricBatch(run=run, metrics=tuple(metrics)) for run, metrics in waiting.items() if metrics)
    return merged


def perform_what_is_taken(tracker: Tracker, write: Write) -> str | None:
    """Do one write without what the tracker refuses; returns why something was left out, None when nothing was.

    Raises:
        TrackingError: the tracker is away, or refuses a run itself.
    """
    parts: list[Write] = [write]
    if isinstance(write, MetricBatch) and len(write.metrics) > 1:
        parts = [MetricBatch(run=write.run, metrics=(metric,)) for metric in write.metrics]
    refused: list[str] = []
    for part in parts:
        try:
            perform(tracker, part)
        except TrackingRefusal as error:
            if isinstance(part, TrialRun):
                raise
            refused.append(str(error))
    return refused[0] if refused else None


def perform(tracker: Tracker, write: Write) -> None:
    """Do one write.

    Raises:
        TrackingError: the tracker is away.
    """
    match write:
        case TrialRun():
            tracker.start_trial(write)
        case MetricBatch():
            tracker.log(write.run, write.metrics)
        case Artifact():
            tracker.artifact(write.run, write.name, write.data)
        case RunEnd():
            tracker.end(write.run, write.status, time=write.time, tags=write.tags)
