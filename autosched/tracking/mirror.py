"""Mirrors a study's ledger to a tracker from a thread of its own, so that a slow or absent tracker holds nothing up.

The ledger is the truth, and the tracker remembers how far it was brought (its *cursor*). So nothing is lost whatever
dies: events that were not mirrored are written by the next session, and an event that comes twice changes nothing.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autosched.errors import TrackingError
from autosched.ledger.events import Stamped
from autosched.tracking.tracker import Tracker
from autosched.tracking.translation import ScheduleOf, Translator
from autosched.tracking.writer import Interruption, Item, Writer
from autosched.tracking.writes import Artifact

BATCH = 256  # items between two cursors: one call for many points, and little to repeat after an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds before a tracker that was away is tried again: `first`, then twice as long each time, up to `longest`."""

    first: float = 0.5
    longest: float = 30.0


class Mirror:
    """Writes events to a tracker in the background, in order, and waits for a tracker that is away.

    A session::

        mirror = Mirror(tracker, "demo", schedule_of)
        mirror.start(ledger.read("demo"))   # events of earlier sessions; [] for a new study
        mirror.put(stamped)                 # after each commit; returns at once
        mirror.put_artifact(STUDY, "report.html", data)
        left = mirror.close(timeout=30)     # 0 when everything was written

    Args:
        study: its name in the ledger.
        schedule_of: makes a proposal's schedule; called in the mirror's thread.
        tags: shown on the parent run beside what the ledger says.

    Every method may be called from any thread.
    """

    def __init__(
        self,
        tracker: Tracker,
        study: str,
        schedule_of: ScheduleOf,
        *,
        tags: Mapping[str, str] | None = None,
        waits: Waits = Waits(),
    ) -> None:
        self._tracker = tracker
        self._translator = Translator(study, schedule_of)
        self._tags = dict(tags or {})
        self._waits = waits
        self._condition = threading.Condition()
        self._queue: deque[Item] = deque()
        self._unmirrored = 0
        self._hurry = False
        self._deadline = math.inf
        self._closing = False
        self._last_error: str | None = None
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None

    @property
    def last_error(self) -> str | None:
        """Why the tracker is behind, on one line; None while all is well."""
        return self._last_error

    @property
    def run_id(self) -> str | None:
        """The study's parent run; None until the tracker was reached."""
        return None if self._writer is None else self._writer.run_id

    @property
    def notes(self) -> list[str]:
        """For a person: that the ledger lost its end, and what the tracker refused for good, each reason once."""
        if self._writer is None:
            return []
        lost = [self._writer.lost] if self._writer.lost else []
        return [*lost, *(f"left out of the tracker: {reason}" for reason in self._writer.left_out)]

    def start(self, events_so_far: Sequence[Stamped] = ()) -> None:
        """Begin, with all events of earlier sessions; what the tracker has of them is not written again.

        Raises:
            RuntimeError: it was started before.
        """
        if self._thread is not None:
            raise RuntimeError("a mirror can be started once only.")
        self._writer = Writer(self._tracker, self._translator, known=len(events_so_far), tags=self._tags)
        self._thread = threading.Thread(target=self._work, args=(self._writer,), name="autosched-mirror", daemon=True)
        self._accept(events_so_far)
        self._thread.start()

    def put(self, stamped: Stamped) -> None:
        """Mirror one more event; returns at once."""
        self._accept([stamped])

    def put_artifact(self, run: int, name: str, data: bytes) -> None:
        """Store a file under a trial's run or the study's (``STUDY``), after everything that was put before it.

        The ledger does not hold it: after a kill whoever made it must put it again.
        """
        self._accept([Artifact(run=run, name=name, data=data)])

    def interrupt(self) -> None:
        """Mark the study and its running trials KILLED, after everything that was put before; a resume reopens them."""
        self._accept([Interruption()])

    def flush(self, timeout: float) -> int:
        """Wait until all is written, or nothing more was in `timeout` seconds; returns how many items are not.

        A tracker that is slow is waited for as long as it takes something.
        """
        with self._condition:
            self._wake()
            seen = -1
            while seen != (seen := self._performed()):
                self._condition.wait_for(lambda: self._unmirrored == 0 or not self._alive(), timeout=timeout)
            return self._unmirrored

    def close(self, timeout: float) -> int:
        """Write what is left, for up to `timeout` seconds, and stop; returns how many items could not be written."""
        with self._condition:
            if not self._closing:
                self._closing, self._deadline = True, time.monotonic() + timeout
            self._wake()
        if self._thread is not None:
            self._thread.join(timeout)
        return self._unmirrored

    def stop(self, timeout: float) -> int:
        """Interrupt and close; of a mirror that is being closed already, go on with that."""
        if not self._closing:
            self.interrupt()
        return self.close(timeout)

    def _accept(self, items: Sequence[Item]) -> None:
        with self._condition:
            if self._thread is None or self._closing:
                raise RuntimeError("a mirror takes events after start() and before close().")
            self._queue.extend(items)
            self._unmirrored += len(items)
            self._condition.notify_all()

    def _performed(self) -> int:
        return 0 if self._writer is None else self._writer.performed

    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _wake(self) -> None:
        self._hurry = True
        self._condition.notify_all()

    def _work(self, writer: Writer) -> None:
        try:
            while batch := self._next_batch():
                writer.stage(batch)
                if not self._sync(writer):
                    return
                with self._condition:
                    self._unmirrored -= len(batch)
                    self._condition.notify_all()
        except Exception as error:  # a fault here must not end the study: it is shown, and the ledger has everything
            self._last_error = f"the mirror stopped: {type(error).__name__}: {error}"
        finally:
            self._tracker.close()
            with self._condition:
                self._condition.notify_all()

    def _next_batch(self) -> list[Item]:
        """Wait for items; nothing when there are none left and the mirror is closing."""
        with self._condition:
            self._condition.wait_for(lambda: self._queue or self._closing)
            return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _sync(self, writer: Writer) -> bool:
        """Write the staged batch, however long the tracker is away; False when the mirror closed meanwhile."""
        wait = self._waits.first
        while True:
            try:
                writer.sync()
            except TrackingError as error:
                self._last_error = str(error)
            else:
                self._last_error = None
                return True
            with self._condition:
                remaining = self._deadline - time.monotonic()
                if remaining <= 0:
                    return False
                hurried = self._condition.wait_for(lambda: self._hurry, timeout=min(wait, remaining))
                self._hurry = False
            wait = self._waits.first if hurried else min(2 * wait, self._waits.longest)
