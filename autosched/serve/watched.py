"""Studies of one ledger as somebody looks at them: read on from where they were read before, never written."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosched.engine.dispatcher import LOGS, log_name
from autosched.errors import AutoschedError, StudyError
from autosched.ledger.fold import uncollected
from autosched.ledger.store import Ledger, StudyRow
from autosched.report.document_text import DocumentText
from autosched.report.law_fit import study_law
from autosched.report.law_surface import law_record
from autosched.report.moments import Story
from autosched.study.results import Study
from autosched.study.run import report_folder

LOOK_SECONDS = 10.0
"""How long it is believed whether a driver is at work: to look is to try its lock."""
READ_AHEAD = 3
"""How many of the newest studies are read before anybody asks."""
KEPT = 8
"""Answers about a study that are kept for the next reader who asks the same."""
LOG_BYTES = 200_000
"""Of a trial's log, from its end."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader of a study's page is told.

    Attributes:
        events: how many the study has.
        finished: whether there will be no more.
        document: the page's document, or what is new of it, as JSON.
    """

    events: int
    finished: bool
    document: bytes


class _Followed:
    """A study as far as it was read, and what its readers were told of it, for the next one who asks the same."""

    def __init__(self, name: str) -> None:
        self.story = Story(name)
        self.text = DocumentText(self.story)
        self.lock = threading.Lock()
        self.running, self.looked = False, -LOOK_SECONDS
        self.stands: tuple[int, bool, dict[str, str]] | None = None
        self.told: dict[int, Told] = {}


class Watched:
    """The studies of a ledger.

    Args:
        url: of the ledger, which must be there.

    Raises:
        UsageError, LedgerError: as :class:`autosched.ledger.store.Ledger`.
    """

    def __init__(self, url: str) -> None:
        self._ledger = Ledger(url, create=False)
        self._followed: dict[str, _Followed] = {}
        self.place = self._ledger.place

    def rows(self) -> list[dict[str, Any]]:
        """All studies, newest first: name, ``state``, number of events, when they began and were last written."""
        return [
            {
                "study": row.name,
                "state": self._state_of(row),
                "events": row.events,
                "created": row.created,
                "updated": row.updated,
            }
            for row in self._ledger.studies()
        ]

    def read_ahead(self, first: str | None, is_read: threading.Event) -> None:
        """Read what is likely to be looked at: a study, and the newest ones; whoever comes then need not wait for it.

        What cannot be read is said to whoever asks for it.

        Args:
            is_read: set as soon as the first one is read, or there is none.
        """
        with suppress(AutoschedError):
            if first is not None:
                self.whole(first)
        is_read.set()
        with suppress(AutoschedError):
            for row in self._ledger.studies()[:READ_AHEAD]:
                with suppress(AutoschedError):
                    self.whole(row.name)
        gc.freeze()  # it stays: the collector of cycles need not look through it again and again

    def _state_of(self, row: StudyRow) -> str:
        if row.finished:
            return "finished"
        followed = self._followed.setdefault(row.name, _Followed(row.name))
        return "running" if self._is_running(followed, row.name) else "interrupted"

    def _is_running(self, followed: _Followed, name: str) -> bool:
        now = time.monotonic()
        if now - followed.looked > LOOK_SECONDS:
            followed.running, followed.looked = self._ledger.lease(name).is_held(), now
        return followed.running

    def progress(self, name: str) -> dict[str, int]:
        """How many events of a study are ``read``, ``of`` how many; for who waits for it.

        Raises:
            LedgerError: the ledger is damaged or away.
        """
        followed = self._followed.get(name)
        return {"read": 0 if followed is None else followed.story.state.events, "of": self._ledger.length(name)}

    def whole(self, name: str) -> Told:
        """The whole document of a study.

        Raises:
            StudyError: there is no such study.
            LedgerError: the ledger is damaged or away.
        """
        with self._followed_on(name) as followed:
            return self._told(followed, 0)

    def news(self, name: str, after: int) -> Told | None:
        """What is new of a study after so many events; None when nothing is. Raises as :meth:`whole`."""
        with self._followed_on(name) as followed:
            return None if followed.story.state.events == after else self._told(followed, after)

    def _told(self, followed: _Followed, after: int) -> Told:
        state, study = followed.story.state, self._study(followed)
        stands = (state.events, followed.running, study.files)
        if stands != followed.stands:
            followed.stands, followed.told = stands, {}
        if after not in followed.told:
            text = followed.text.since(after, study.space, study.summary)
            followed.told[after] = Told(state.events, state.finished is not None, text.encode())
            if len(followed.told) > KEPT:
                del followed.told[next(iter(followed.told))]
        return followed.told[after]

    @contextmanager
    def _followed_on(self, name: str) -> Iterator[_Followed]:
        """A study with all its events read, which nobody else reads meanwhile."""
        followed = self._followed.setdefault(name, _Followed(name))
        with followed.lock, uncollected():
            followed.story.read(self._ledger.read(name, followed.story.state.events))
            if followed.story.state.events == 0:
                self._followed.pop(name, None)
                raise StudyError(f"there is no study {name!r} in {self.place}.")
            yield followed

    def _study(self, followed: _Followed) -> Study:
        state = followed.story.state
        running = state.finished is None and self._is_running(followed, state.name)
        return Study.of(state, folder=self._ledger.folder, running=running)

    def law(self, name: str) -> dict[str, Any]:
        """The law at this place of the study, see :func:`autosched.report.law_surface.law_record`.

        Raises:
            StudyError: there is no such study.
        """
        study = self._known(name)
        return law_record(study_law(study.state, study.space), study.space, study.best)

    def schedule(self, name: str, trial: int | None) -> str:
        """A trial's schedule, or the winner's, as JSON text.

        Raises:
            StudyError, UsageError: there is no such study, trial or winner.
        """
        return self._known(name).schedule(trial).to_json()

    def log(self, name: str, trial: int) -> str:
        """The end of what a trial printed.

        Raises:
            StudyError: nothing is kept here of what it printed.
        """
        path = report_folder(self._known(name).space) / LOGS / log_name(trial)
        if not path.is_file():
            raise StudyError(f"nothing is kept here of what trial {trial} printed.")
        return _end_of(path)

    def _known(self, name: str) -> Study:
        with self._followed_on(name) as followed:
            return self._study(followed)


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_BYTES))
        return file.read().decode("utf-8", "replace")
