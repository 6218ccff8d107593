"""Brings a tracker up to date with the ledger and repeats what it is unsure of; no threads, no waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autosched.errors import LedgerError, TrackingError, TrackingRefusal
from autosched.ledger.events import Stamped
from autosched.tracking.tracker import StudyRun, Tracker
from autosched.tracking.translation import Translator, study_run
from autosched.tracking.writes import Artifact, Write, merge, perform, perform_what_is_taken


@dataclass(frozen=True, slots=True)
class Interruption:
    """The driver stops in an orderly way before the study's end."""


Item = Stamped | Artifact | Interruption


class Writer:
    """Writes staged items to a tracker, all or again.

    Args:
        translator: at the beginning of the study; the writer folds every event into it.
        known: number of events of earlier sessions; a tracker that has more has seen a ledger that lost its end since.
        tags: shown on the parent run beside what the ledger says.

    Attributes:
        run_id: of the study's parent run; None until the tracker was reached.
        performed: how many writes the tracker has taken; what is repeated after an error does not count again.
        left_out: why something was not written, which the tracker refused for good; each reason once.
        lost: which events the tracker has seen and the ledger has not kept; empty when it has kept all.
    """

    def __init__(self, tracker: Tracker, translator: Translator, *, known: int, tags: Mapping[str, str]) -> None:
        self.run_id: str | None = None
        self.performed = self._before = 0
        self._tracker = tracker
        self._translator = translator
        self._known = known
        self._tags = tags
        self._study: StudyRun | None = None
        self._staged: deque[Item] = deque()
        self._writes: list[Write] = []
        self._cursor = 0
        self._attached = False
        self._restated = False
        self._refused = False
        self.left_out: dict[str, int] = {}
        self.lost = ""

    def stage(self, items: Sequence[Item]) -> None:
        """Accept more to write, in order; the first item of all must be the study's first event."""
        self._staged.extend(items)

    def sync(self) -> None:
        """Write everything staged. After an error call it again: it repeats what the tracker may not have.

        Raises:
            TrackingError: the tracker is away, or lost runs.
            LedgerError: the events do not follow one another.
        """
        if not self._attached:
            self._attach()
        while self._staged:
            self._writes.extend(self._translate(self._staged.popleft()))
        try:
            self._write()
        except TrackingError as error:
            self._attached = False
            self._refused = isinstance(error, TrackingRefusal)  # perhaps of a run that was deleted: open it again first
            raise
        self._writes, self._refused, self._before = [], False, self.performed

    def _attach(self) -> None:
        """Find the study's run, and how far earlier sessions (or calls whose answer was lost) brought it."""
        if self._study is None:
            first = self._staged[0]
            if not isinstance(first, Stamped):
                raise LedgerError("the first thing to mirror must be the study's first event.")
            self._study = study_run(self._translator.state.name, first, tags=self._tags)
        self.run_id = self._tracker.open(self._study)
        cursor = self._tracker.cursor()
        if cursor < self._cursor:
            raise TrackingError(
                f"{self._tracker.uri} lost runs that were written to it: `autosched resume` writes them again."
            )
        if cursor > max(self._known, self._translator.state.events):
            cursor = self._go_back(cursor)
        self._cursor, self._attached, self._restated = cursor, True, False

    def _go_back(self, cursor: int) -> int:
        """Where the ledger ends, for the tracker too: what comes next is done again, and shown again."""
        self.lost = (
            f"{self._tracker.uri} has seen {cursor} events of the study, and the ledger had {self._known}: it lost its "
            "end, or is an older copy. What was lost is done again."
        )
        self._tracker.set_cursor(self._known)
        return self._known

    def _translate(self, item: Item) -> list[Write]:
        match item:
            case Stamped() if item.number < self._cursor:
                self._translator.skip(item)
                return []
            case Stamped():
                return self._translator.translate(item)
            case Artifact():
                return [item]
            case Interruption():
                return self._translator.interrupt()

    def _write(self) -> None:
        reached = self._translator.state.events
        for number, write in enumerate(merge(self._writes), start=1):
            self._perform(write)
            self.performed = max(self.performed, self._before + number)
        if not self._restated and reached >= self._cursor:
            for write in self._translator.standing():
                perform(self._tracker, write)
            self._restated = True
        if reached > self._cursor:
            self._tracker.set_cursor(reached)
            self._cursor = reached

    def _perform(self, write: Write) -> None:
        if not self._refused:
            perform(self._tracker, write)
        elif (reason := perform_what_is_taken(self._tracker, write)) is not None:
            self.left_out[reason] = self.left_out.get(reason, 0) + 1
