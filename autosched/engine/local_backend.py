"""Runs segments in this process, one after another: the backend without moving parts."""

from __future__ import annotations

from collections import deque

from autosched.engine.backend import Outcome
from autosched.engine.execute import SegmentRunner
from autosched.engine.time_limit import TimeUp, time_limit
from autosched.errors import BackendError, UsageError
from autosched.ledger.records import Segment
from autosched.trainer import TrainerFactory


class LocalBackend:
    """A `Backend` that trains inside `wait`, first come, first served.

    Args:
        factory: makes a trainer from (use, options, seed, horizon).
        workers: how many workers it claims to have: so many trainers stay in memory, as on real ones, and a run goes on
            in the one that holds it. Segments still run one at a time; with the same number, a study decides here
            exactly what it decides on that many real workers.
        name: what it is called in the ledger.

    Raises:
        UsageError: `workers` below 1.
    """

    def __init__(self, factory: TrainerFactory, *, workers: int = 1, name: str = "local") -> None:
        if workers < 1:
            raise UsageError(f"workers must be at least 1, but got {workers}.")
        self.name = name
        self.workers = workers
        self._runners = deque(SegmentRunner(factory, worker=name) for _ in range(workers))
        self._queue: deque[Segment] = deque()
        self._closed = False

    def submit(self, segment: Segment) -> None:
        """Queue a segment.

        Raises:
            BackendError: the backend is closed.
        """
        if self._closed:
            raise BackendError("cannot submit a segment: the backend is closed.")
        self._queue.append(segment)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Train the oldest queued segment; one that takes longer than `timeout` is broken off and stays the oldest.

        Only in the main thread, and only while the trainer runs Python code, can it be broken off.

        Raises:
            BackendError: nothing is queued.
        """
        if not self._queue:
            raise BackendError("cannot wait: no segment was submitted.")
        segment = self._queue[0]
        runner = self._runner_for(segment)
        try:
            with time_limit(timeout):
                outcome = runner.run(segment)
        except TimeUp:
            runner.forget()
            return []
        self._queue.popleft()
        return [outcome]

    def _runner_for(self, segment: Segment) -> SegmentRunner:
        """The one that holds the segment's start, else one that holds nothing, else the one used least lately."""
        chosen = min(self._runners, key=lambda runner: (runner.state != segment.load_id, runner.state != ""))
        self._runners.remove(chosen)
        self._runners.append(chosen)
        return chosen

    def release(self, state: str) -> None:
        """Drop the trainers in memory that are in this state."""
        for runner in self._runners:
            runner.release(state)

    def forget(self) -> None:
        """Drop all trainers in memory."""
        for runner in self._runners:
            runner.forget()

    def close(self) -> None:
        """Forget the queue and the trainers in memory."""
        self._closed = True
        self._queue.clear()
        self.forget()
