"""The physical plane: gets segments trained, whatever happens to workers and checkpoints.

The loop orders segments in virtual time; here they are submitted, retried, taken from an earlier study, or trained
again from the longest surviving prefix. Results are committed the moment they arrive.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from autosched.engine.backend import Backend
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.journal import Journal
from autosched.engine.plan import TrialPlan
from autosched.errors import CheckpointError
from autosched.ledger.events import SegmentFailed, SegmentFinished
from autosched.ledger.records import Failure, Observation, Purpose, Segment
from autosched.ledger.store import Ledger
from autosched.space.records import Space

LOGS = "logs"
"""Folder beside the report for what trials print."""
_RETRIED = frozenset({"error", "worker_died"})
LOST_LIMIT = 3
"""Checkpoints of one segment that may be lost before it is trained from a fresh model."""


@dataclass(slots=True)
class Meter:
    """What this session measured, in seconds.

    Attributes:
        busy: workers' time, summed.
        waiting: the driver's time blocked on workers.
        first, last: when the first segment was submitted and the last result arrived (``time.monotonic``).
        settled: segments that came back.
    """

    busy: float = 0.0
    waiting: float = 0.0
    first: float | None = None
    last: float = 0.0
    settled: int = 0

    def stats(self, workers: int) -> Mapping[str, float]:
        """``utilisation`` = busy / (workers x wall); ``overhead_ms_per_segment`` = driver's own time per segment."""
        wall = 0.0 if self.first is None else max(self.last - self.first, 1e-9)
        own = max(wall - self.waiting, 0.0)
        return MappingProxyType(
            {
                "utilisation": self.busy / (workers * wall) if wall else 0.0,
                "overhead_ms_per_segment": 1e3 * own / self.settled if self.settled else 0.0,
                "segments": float(self.settled),
                "busy_seconds": self.busy,
                "wall_seconds": wall,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    plan: TrialPlan
    start: int
    stop: int


@dataclass(slots=True)
class Dispatcher:
    """Trains ordered segments on a backend and commits what comes back.

    Attributes:
        reuse: look for segments that other studies of the ledger have finished.
        now: wall-clock in seconds.
        meter: this session's times.
    """

    space: Space
    ledger: Ledger
    journal: Journal
    backend: Backend
    store: CheckpointStore
    reuse: bool = True
    now: Callable[[], float] = time.time
    meter: Meter = field(default_factory=Meter)
    _orders: dict[str, _Order] = field(default_factory=dict)
    _final: dict[str, Failure] = field(default_factory=dict)
    _saved: set[str] = field(default_factory=set)
    _lost: Counter[str] = field(default_factory=Counter)
    _doubtful: set[str] = field(default_factory=set)

    def is_back(self, identity: str) -> bool:
        """Whether :meth:`result` would answer at once."""
        return identity in self.journal.state.observations or identity in self._final

    def order(self, plan: TrialPlan, start: int, stop: int) -> None:
        """Have the updates `start` to `stop` of a plan trained; does nothing when they are, or are on their way."""
        identity = plan.ids[stop]
        if self.is_back(identity) or identity in self._orders:
            return
        known = self.ledger.segment(identity) if self.reuse else None
        if known is not None and self._covers(known, start, stop):
            self.journal.commit(SegmentFinished(observation=_reused(known, start)))
            return
        self._orders[identity] = _Order(plan=plan, start=start, stop=stop)
        self._submit(identity)

    def seconds(self) -> float:
        """Wall-clock seconds that all sessions of the study took so far."""
        sessions = self.journal.state.sessions
        return sum(end - start for start, end in sessions[:-1]) + self.now() - sessions[-1][0]

    def seconds_left(self) -> float | None:
        """Until the budget's minutes are over; None without such a limit."""
        minutes = self.space.budget.minutes
        return None if minutes is None else max(60 * minutes - self.seconds(), 0.0)

    def result(self, identity: str) -> Observation | Failure | None:
        """The outcome of an ordered segment; blocks until it is there. A Failure is final: all retries are spent.

        None when the budget's minutes are over before, however long the segment would take.

        Raises:
            CheckpointError: checkpoints cannot be written; the study can be resumed when they can.
            BackendError: workers cannot be started any more.
        """
        while True:
            if identity in self.journal.state.observations:
                return self.journal.state.observations[identity]
            if identity in self._final:
                return self._final[identity]
            left = self.seconds_left()
            if left == 0:
                return None
            self.collect(left)

    def collect(self, timeout: float | None) -> None:
        """Wait for at least one result (at most `timeout` seconds) and commit what is there."""
        started = time.monotonic()
        outcomes = self.backend.wait(timeout)
        self.meter.last = time.monotonic()
        self.meter.waiting += self.meter.last - started
        for outcome in outcomes:
            self.meter.busy += outcome.seconds
            self.meter.settled += 1
            if isinstance(outcome, Observation):
                self._finish(outcome)
            else:
                self._fail(outcome)

    def release(self, identity: str) -> None:
        """Nothing goes on from this state now: a run that cannot resume need not be held ready."""
        if not self.space.trainer.resumes:
            self.backend.release(identity)

    def forget(self, identity: str) -> None:
        """A checkpoint was deleted on purpose: look before loading it."""
        self._saved.discard(identity)

    def _covers(self, known: Observation, start: int, stop: int) -> bool:
        """Whether a result holds every evaluation from `start` to `stop`; another study may cut its runs elsewhere."""
        if known.divergence is not None:
            return known.divergence.step > start >= known.start
        every, horizon = self.space.eval_every, self.space.horizon_steps
        needed = {step for step in range(start + 1, stop + 1) if step % every == 0 or step == horizon}
        return needed <= {point.step for point in known.points}

    def _submit(self, identity: str) -> None:
        order = self._orders[identity]
        plan, load = order.plan, self._load_point(order)
        load_id = plan.ids[load] if load else None
        resumes = self.space.trainer.resumes
        if self.meter.first is None:
            self.meter.first = time.monotonic()
        self.backend.submit(
            Segment(
                id=identity,
                trainer=self.space.trainer.beside(plan.schedule.hyperparameters),
                seed=plan.seed,
                start=load,
                stop=order.stop,
                horizon=plan.schedule.steps,
                eval_every=self.space.eval_every,
                lrs=plan.schedule.part(load, order.stop),
                report_from=order.start,
                save_uri=self.store.uri(identity) if resumes else None,
                load_uri=self.store.uri(load_id) if resumes and load_id is not None else None,
                load_id=load_id,
                validate=plan.validate,
                purpose=Purpose(schedule=plan.schedule, trial=plan.trial, log=self._log(plan)),
            )
        )

    def _load_point(self, order: _Order) -> int:
        """The longest prefix with a checkpoint; one saved in this session is trusted without looking.

        Where runs do not resume it is the start: the worker that holds it goes on.
        """
        if not self.space.trainer.resumes:
            return order.start
        for cut in order.plan.previous_cuts(order.start):
            identity = order.plan.ids[cut]
            if identity in self._doubtful:
                continue
            if identity in self._saved or self.store.exists(self.store.uri(identity)):
                return cut
        return 0

    def _log(self, plan: TrialPlan) -> str:
        """A file for what the trial prints, beside the study's report."""
        return str(Path(self.space.storage.reports, self.space.study, LOGS, log_name(plan.trial)).absolute())

    def _finish(self, seen: Observation) -> None:
        del self._orders[seen.segment]
        if seen.checkpoint is not None:
            self._saved.add(seen.segment)
        self.journal.commit(SegmentFinished(observation=seen))

    def _fail(self, failure: Failure) -> None:
        earlier = tuple(self.journal.state.failures.get(failure.segment, ()))
        self.journal.commit(SegmentFailed(failure=failure, attempt=len(earlier) + 1))
        if failure.kind == "storage":
            raise CheckpointError(f"{failure.reason.rstrip('.')}; nothing is lost: make room, then resume.")
        if failure.kind == "checkpoint_lost":
            self._lose_checkpoint(failure.segment)
            return
        if failure.kind == "preempted":
            self._submit(failure.segment)
            return
        tries = sum(f.kind in _RETRIED for f in earlier) + 1
        if failure.kind in _RETRIED and tries <= self.space.resources.retries:
            self._submit(failure.segment)
        else:
            del self._orders[failure.segment]
            self._final[failure.segment] = failure

    def _lose_checkpoint(self, identity: str) -> None:
        order = self._orders[identity]
        self._lost[identity] += 1
        cuts = order.plan.previous_cuts(order.start)
        broken = self._load_point(order)
        doubtful = cuts if self._lost[identity] >= LOST_LIMIT else [cut for cut in cuts if cut >= broken > 0]
        for cut in doubtful:
            self._saved.discard(order.plan.ids[cut])
            self._doubtful.add(order.plan.ids[cut])
        self._submit(identity)


def log_name(trial: int | None) -> str:
    """The file, in the folder :data:`LOGS`, of what a trial has printed; that of the range test for None."""
    return "range-test.log" if trial is None else f"trial-{trial}.log"


def _reused(known: Observation, start: int) -> Observation:
    """What an earlier study saw after update `start`, as a result that cost nothing."""
    points = tuple(point for point in known.points if point.step > start)
    return replace(known, points=points, trained=0, seconds=0.0, worker="store")
