"""What a tracker is: a place that shows a study to people. The ledger is the truth; a tracker may be away or behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

RunStatus = Literal["FINISHED", "KILLED", "FAILED"]
STUDY = -1
"""Run key of the study's parent run; trials have keys 0, 1, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of one run; `time` is Unix seconds from the ledger, so that writing it twice changes nothing."""

    key: str
    value: float
    step: int
    time: float


class Tracker(Protocol):
    """Mirrors one study; every method is idempotent, so a mirror that died may repeat what it is unsure of.

    The contract: after `open`, runs of an earlier session are found again by tags and never doubled; `close` after
    `end` of every run leaves nothing RUNNING. Any method raises TrackingError when the server is away.
    """

    @property
    def uri(self) -> str:
        """Where it writes."""

    def open(self, study: str, experiment: str, *, params: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """Create or find the study's parent run and set it RUNNING; returns its run id."""

    def start_trial(self, trial: int, *, params: Mapping[str, str], tags: Mapping[str, str], time: float) -> str:
        """Create or find the trial's nested run; returns its run id."""

    def log(self, run: int, metrics: Sequence[Metric]) -> None:
        """Write metrics of a trial, or of the study (``run=STUDY``)."""

    def artifact(self, run: int, name: str, data: bytes) -> None:
        """Store a file under the run; the same name again replaces it."""

    def end(self, run: int, status: RunStatus, *, time: float) -> None:
        """Close a run with a status."""

    def cursor(self) -> int:
        """How many of the study's events were mirrored (0 for a new run)."""

    def set_cursor(self, events: int) -> None:
        """Remember that the first `events` events were mirrored."""

    def close(self) -> None:
        """Let go of connections."""
