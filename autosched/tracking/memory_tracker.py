"""A tracker that keeps its runs in memory: for tests, for notebooks, and for looking at what a mirror writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from autosched.errors import TrackingError, TrackingRefusal
from autosched.tracking.tracker import STUDY, Metric, RunStatus, StudyRun, TrialRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPicture:
    """A run as a person sees it.

    Attributes:
        status: RUNNING, FINISHED, KILLED or FAILED.
        started, ended: Unix milliseconds; `ended` is None while the run is open.
        metrics: by name, (step, Unix milliseconds, value), sorted and without repetitions.
        artifacts: content by name.
    """

    name: str
    status: str
    started: int
    ended: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, tuple[tuple[int, int, float], ...]]
    artifacts: Mapping[str, bytes]


@dataclass(slots=True)
class _Run:
    name: str
    started: int
    status: Literal["RUNNING"] | RunStatus = "RUNNING"
    ended: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: set[tuple[str, int, int, float]] = field(default_factory=set)
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def picture(self) -> RunPicture:
        metrics: dict[str, list[tuple[int, int, float]]] = {}
        for key, step, time, value in sorted(self.points):
            metrics.setdefault(key, []).append((step, time, value))
        return RunPicture(
            name=self.name,
            status=self.status,
            started=self.started,
            ended=self.ended,
            params=dict(self.params),
            tags=dict(self.tags),
            metrics={key: tuple(points) for key, points in metrics.items()},
            artifacts=dict(self.artifacts),
        )


@dataclass(slots=True)
class _Study:
    cursor: int = 0
    runs: dict[int, _Run] = field(default_factory=dict)


def _milliseconds(time: float) -> int:
    return round(time * 1000)


def _comparable(value: float) -> float:
    return math.nan if math.isnan(value) else value  # one NaN object: a set then finds it again


class MemoryTracker:
    """Keeps every study it was given, and can be told to be away.

    Attributes:
        calls: calls that reached the tracker, refused ones included.

    Example:
        >>> tracker = MemoryTracker()
        >>> study = StudyRun(name="demo", identity="1", params={}, tags={}, time=0.0)
        >>> tracker.open(study)
        '1'
        >>> tracker.log(STUDY, [Metric(key="best_value", value=1.5, step=600, time=2.0)])
        >>> tracker.picture()[STUDY].metrics
        {'best_value': ((600, 2000, 1.5),)}
        >>> tracker.go_away()
        >>> tracker.cursor()
        Traceback (most recent call last):
        autosched.errors.TrackingError: the memory tracker is away.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._studies: dict[str, _Study] = {}
        self._identity = ""
        self._open: _Study | None = None
        self._away_from: int | None = None
        self._loses_answer = False
        self._refused: frozenset[str] = frozenset()

    def refuse(self, *metrics: str) -> None:
        """Refuse, for good, every call with a metric or an artifact of such a name."""
        self._refused = frozenset(metrics)

    def go_away(self, *, after: int = 0, losing_an_answer: bool = False) -> None:
        """Refuse every call from the `after`-th next one on (0: the very next) until :meth:`come_back`.

        Args:
            losing_an_answer: the first refused call is carried out all the same, as when a server does the work and
                the connection breaks before it can say so.
        """
        self._away_from = self.calls + after
        self._loses_answer = losing_an_answer

    def come_back(self) -> None:
        """Accept calls again."""
        self._away_from = None

    def forget(self) -> None:
        """Lose every run, as a server does whose database was replaced."""
        self._studies, self._open = {}, None

    def picture(self, identity: str | None = None) -> dict[int, RunPicture]:
        """All runs of a study (by default the one opened last), by run key."""
        study = self._open if identity is None else self._studies.get(identity)
        return {} if study is None else {run: study.runs[run].picture() for run in sorted(study.runs)}

    @property
    def uri(self) -> str:
        """Always ``memory:``."""
        return "memory:"

    def check(self) -> None:
        """See :meth:`Tracker.check`."""
        with self._call():
            pass

    def open(self, study: StudyRun) -> str:
        """See :meth:`Tracker.open`."""
        with self._call():
            self._identity, self._open = study.identity, self._studies.setdefault(study.identity, _Study())
            self._begin(STUDY, study.name, study.params, study.tags, study.time)
            return study.identity

    def start_trial(self, trial: TrialRun) -> str:
        """See :meth:`Tracker.start_trial`."""
        with self._call():
            self._begin(trial.trial, trial.name, trial.params, trial.tags, trial.time)
            return f"{self._identity}/{trial.trial}"

    def log(self, run: int, metrics: Sequence[Metric]) -> None:
        """See :meth:`Tracker.log`."""
        with self._call():
            self._check_names(m.key for m in metrics)
            self._run(run).points.update((m.key, m.step, _milliseconds(m.time), _comparable(m.value)) for m in metrics)

    def artifact(self, run: int, name: str, data: bytes) -> None:
        """See :meth:`Tracker.artifact`."""
        with self._call():
            self._check_names([name])
            self._run(run).artifacts[name] = data

    def end(self, run: int, status: RunStatus, *, time: float, tags: Mapping[str, str]) -> None:
        """See :meth:`Tracker.end`."""
        with self._call():
            ended = self._run(run)
            ended.tags.update(tags)
            ended.status, ended.ended = status, _milliseconds(time)

    def cursor(self) -> int:
        """See :meth:`Tracker.cursor`."""
        with self._call():
            return self._study().cursor

    def set_cursor(self, events: int) -> None:
        """See :meth:`Tracker.set_cursor`."""
        with self._call():
            self._study().cursor = events

    def close(self) -> None:
        """Nothing to let go of."""

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Count a call; refuse it, or carry it out and lose its answer, when away."""
        number, self.calls = self.calls, self.calls + 1
        away = self._away_from is not None and number >= self._away_from
        if away and not (self._loses_answer and number == self._away_from):
            raise TrackingError("the memory tracker is away.")
        yield
        if away:
            raise TrackingError("the memory tracker did the work, but its answer was lost.")

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._refused:
                raise TrackingRefusal(f"the memory tracker refuses {name!r}.")

    def _study(self) -> _Study:
        if self._open is None:
            raise TrackingError("no study is open: call open() first.")
        return self._open

    def _run(self, run: int) -> _Run:
        found = self._study().runs.get(run)
        if found is None:
            raise TrackingError(f"trial {run} has no run: call start_trial() first.")
        return found

    def _begin(self, run: int, name: str, params: Mapping[str, str], tags: Mapping[str, str], time: float) -> None:
        begun = self._study().runs.setdefault(run, _Run(name, _milliseconds(time)))
        begun.status, begun.ended = "RUNNING", None
        begun.params = {**params, **begun.params}
        begun.tags.update(tags)
