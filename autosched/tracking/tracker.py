"""What a tracker is: a place that shows a study to people. The ledger is the truth; a tracker may be away or behind.

A tracker holds one *run* for the study and one nested run per trial. A worked trace::

    tracker.open(StudyRun(name="demo", identity="5f1c…", …))   the study's run is found or made, and RUNNING
    tracker.cursor()                                           0: nothing was mirrored yet
    tracker.start_trial(TrialRun(trial=0, …))                  its run is found or made, and RUNNING
    tracker.log(0, [Metric(key="loss", value=2.1, …)])
    tracker.set_cursor(7)                                      the first 7 events are safe
    …                                                          kill -9, and a new process:
    tracker.open(StudyRun(name="demo", identity="5f1c…", …))   the same run again
    tracker.cursor()                                           7: go on here; event 8 may come a second time
    tracker.end(0, "FINISHED", time=…, tags={})
    tracker.end(STUDY, "FINISHED", time=…, tags={})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

RunStatus = Literal["FINISHED", "KILLED", "FAILED"]
STUDY = -1
"""Run key of the study's parent run; trials have keys 0, 1, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """The study as its parent run shows it.

    Attributes:
        identity: tells two studies of one name apart (a ledger that was deleted and begun anew).
        params, tags: text by name; parameters are written once, tags may change.
        time: when the study was created, Unix seconds.
    """

    name: str
    identity: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRun:
    """A trial as its nested run shows it; `time` is when it was proposed, Unix seconds."""

    trial: int
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of one run; `time` is Unix seconds from the ledger, so that writing it twice changes nothing."""

    key: str
    value: float
    step: int
    time: float


class Tracker(Protocol):
    """Shows one study; every method is idempotent, so a mirror that died may repeat what it is unsure of.

    The contract (``autosched.testing.tracker_contract`` has the suite): after `open`, runs of an earlier session are
    found again and never doubled, deleted ones are brought back; `end` of every run leaves nothing RUNNING. Any method
    raises TrackingError, with one line and within seconds, when the place is away or refuses; a later call may succeed,
    unless it is a TrackingRefusal of what was given.
    All methods of one tracker are called from one thread at a time.
    """

    @property
    def uri(self) -> str:
        """Where it writes, for people: without a password."""

    def check(self) -> None:
        """See whether it can be reached, so that a wrong address is known before work begins; writes no run."""

    def open(self, study: StudyRun) -> str:
        """Create or find the study's parent run and set it RUNNING; returns its run id. Also the way back after
        an error: it forgets what the tracker believed about its runs.
        """

    def start_trial(self, trial: TrialRun) -> str:
        """Create or find the trial's nested run and set it RUNNING; returns its run id."""

    def log(self, run: int, metrics: Sequence[Metric]) -> None:
        """Write metrics of a trial, or of the study (``run=STUDY``)."""

    def artifact(self, run: int, name: str, data: bytes) -> None:
        """Store a file under the run; the same name again replaces it. `name` may hold folders: ``plots/lr.png``."""

    def end(self, run: int, status: RunStatus, *, time: float, tags: Mapping[str, str]) -> None:
        """Add tags to a run and close it with a status."""

    def cursor(self) -> int:
        """How many of the study's events were mirrored (0 for a new run)."""

    def set_cursor(self, events: int) -> None:
        """Remember that the first `events` events were mirrored."""

    def close(self) -> None:
        """Let go of connections; harmless when repeated."""
