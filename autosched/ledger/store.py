"""Where events are kept: SQLite in WAL mode by default, PostgreSQL by URL.

    table     key               meaning
    events    (study, number)   append-only; the primary key makes a second writer fail instead of interleave, and
                                digests tell which row was changed (:mod:`autosched.ledger.chain`)
    segments  id                finished segments of all studies: the prefix store's index

One event is one row, one append is one transaction: an event is committed before its effect is reported anywhere.

A driver holds its study's lease. Should it lose it unawares, the number of the next event is its fencing token: whoever
took over has written that number (a session's start, first of all), so the late one's transaction fails as a whole.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.schema import CreateTable

from autosched.errors import LedgerError, StudyError, UsageError
from autosched.ledger.chain import Chain, ChangedError, digest_of, sealed, unsealed
from autosched.ledger.events import Event, SegmentFinished, Stamped, decode, encode, kind_of
from autosched.ledger.fold import fold
from autosched.ledger.lease import StudyLease
from autosched.ledger.patience import Result, patiently
from autosched.ledger.records import Observation
from autosched.ledger.state import StudyState
from autosched.urls import database_url, redacted, sqlite_file, without_secrets

BACKENDS = ("sqlite", "postgresql")
_METADATA = sa.MetaData()
_EVENTS = sa.Table(
    "autosched_events",
    _METADATA,
    sa.Column("study", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.Float(53), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
)
_SEGMENTS = sa.Table(
    "autosched_segments",
    _METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("study", sa.String(64), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A line of `autosched status`: a study in the ledger."""

    name: str
    events: int
    created: float
    updated: float
    finished: bool


@dataclass(frozen=True, slots=True)
class _File:
    """Which file a path names: another one under the same path has another number."""

    path: Path
    number: tuple[int, int] | None

    @classmethod
    def of(cls, path: Path) -> _File:
        try:
            seen = path.stat()
        except OSError:
            return cls(path, None)
        return cls(path, (seen.st_dev, seen.st_ino))


class Ledger:
    """The event log of many studies.

    Args:
        url: an SQLAlchemy URL, ``sqlite:///file.db`` or ``postgresql+psycopg://…``.
        create: make the tables (and the SQLite file) when they are missing; otherwise a missing file is an error.

    Attributes:
        place: the URL for people, without secrets.
        folder: of the SQLite file; None on a server.

    Raises:
        UsageError: the URL is malformed, or the file does not exist and `create` is false.
        LedgerError: the store is damaged, read-only, full or cannot be reached.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._given, self._url = url, database_url(url, "the ledger", BACKENDS)
        self.place = without_secrets(url)
        path = sqlite_file(self._url)
        if path is not None and not create and not path.exists():
            raise UsageError(f"there is no ledger {path}: run `autosched tune` first, or name another with --ledger.")
        self.folder = ledger_folder(url)
        self._leases: dict[str, StudyLease] = {}
        self._last: dict[str, tuple[int, str | None]] = {}  # number and digest of the last event written, by study
        try:
            self._engine = _engine(self._url)
            with self._guard("open"):
                self._make_tables()
            self._file = None if path is None else _File.of(path.absolute())
        except (
            TypeError,
            ValueError,
            sa.exc.ArgumentError,
            sa.exc.SAWarning,
        ) as error:  # drivers get what stands behind the ? of a URL
            reason = str(error).partition(";")[0]
            raise UsageError(f"the driver of the ledger {self.place} refuses an option: {reason}.") from None

    def _make_tables(self) -> None:
        """Make the tables that are missing; two processes may do so at the same moment."""
        there = sa.inspect(self._engine).get_table_names()  # who only looks may not be allowed to make any
        for table in (table for table in _METADATA.sorted_tables if table.name not in there):
            with contextlib.suppress(sa.exc.IntegrityError), self._engine.begin() as connection:
                connection.execute(CreateTable(table, if_not_exists=True))

    def _check_there(self) -> None:
        """SQLite writes to a file that was deleted as if nothing had happened.

        Raises:
            LedgerError: the file was deleted, or another one is in its place.
        """
        if self._file is not None and self._file != _File.of(self._file.path):
            raise LedgerError(
                f"the ledger {self.place} was deleted or replaced while it was in use: nothing is kept any more."
            )

    @contextlib.contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except sa.exc.SQLAlchemyError as error:
            cause = redacted(str(getattr(error, "orig", None) or error).strip().splitlines()[0], self._given)
            raise LedgerError(f"cannot {doing} the ledger {self.place}: {cause}.") from None

    def append(self, study: str, number: int, events: Sequence[Event], *, anew: bool = False) -> list[Stamped]:
        """Commit `events` as numbers `number`, `number` + 1, … of `study`, in one transaction.

        Args:
            anew: in place of all events that the study has; results of its segments stay.

        Raises:
            StudyError: these numbers exist: another process writes the study.
            LedgerError: the store cannot be written; nothing of these events is kept.
        """
        now = time.time()
        stamped = [Stamped(number=number + i, time=now, event=event) for i, event in enumerate(events)]
        finished = [e.observation for e in events if isinstance(e, SegmentFinished)]
        self._check_there()
        finished.sort(key=lambda seen: seen.segment)  # in one order in all processes, or two could wait for each other

        last = number + len(events) - 1
        tried: list[str | None] = []

        def write() -> None:
            lease = self._leases.get(study)
            with self._engine.begin() if lease is None else lease.begin() as connection:
                if anew:
                    connection.execute(sa.delete(_EVENTS).where(_EVENTS.c.study == study))
                chain = Chain(self._digest(connection, study, number - 1))
                rows = [_event_row(study, each, chain) for each in stamped]
                tried.append(chain.digest)
                connection.execute(sa.insert(_EVENTS), rows)
                for seen in finished:
                    connection.execute(_upsert(self._url, _segment_row(study, seen)))

        try:
            with self._guard("write"):
                self._patiently(write)
        except sa.exc.IntegrityError:
            if len(tried) == 1 or not self._is_last(study, last, tried[-1]):
                raise StudyError(f"another process is writing the study {study!r}; only one may.") from None
        self._last[study] = (last, tried[-1])
        return stamped

    def _is_last(self, study: str, number: int, digest: str | None) -> bool:
        """Whether an event was committed although the connection was cut before the server could say so."""
        with self._guard("read"), self._engine.connect() as connection:
            return self._stored_digest(connection, study, number) == digest

    def _patiently(self, work: Callable[[], Result]) -> Result:
        return work() if self.folder is not None else patiently(work, f"the ledger {self.place}")

    def _digest(self, connection: sa.Connection, study: str, number: int) -> str | None:
        """The digest of an event, which the next one goes on from; ``""`` before the first."""
        if number < 0:
            return ""
        last, digest = self._last.get(study, (None, None))
        if last == number:
            return digest
        stored = self._stored_digest(connection, study, number)
        if stored is not None:
            return stored
        chain = Chain()  # an earlier version wrote the event, or it is missing
        for _ in self._checked(connection, study, 0, chain):
            pass
        return chain.digest

    @staticmethod
    def _stored_digest(connection: sa.Connection, study: str, number: int) -> str | None:
        """The digest in an event's row; None when it has none, or there is no such event."""
        query = sa.select(_EVENTS.c.payload).where(_EVENTS.c.study == study, _EVENTS.c.number == number)
        payload = connection.execute(query).scalar_one_or_none()
        return None if payload is None else unsealed(payload)[1]

    def _checked(
        self, connection: sa.Connection, study: str, start: int, chain: Chain
    ) -> Iterator[tuple[int, float, str, str]]:
        """Number, time, kind and payload of a study's events from `start`, each checked against the one before it."""
        query = (
            sa.select(_EVENTS.c.number, _EVENTS.c.time, _EVENTS.c.kind, _EVENTS.c.payload)
            .where(_EVENTS.c.study == study, _EVENTS.c.number >= start)
            .order_by(_EVENTS.c.number)
        )
        for expected, (number, at, kind, text) in enumerate(connection.execute(query), start=start):
            if number != expected:  # one is missing, which the fold says
                chain = Chain(None)
            try:
                yield number, at, kind, chain.check(number, at, kind, text)
            except ChangedError as changed:
                what = f"event {number} ({kind}){changed} of study {study!r}"
                raise LedgerError(
                    f"{what} in {self.place} was changed after it was written; restore a backup."
                ) from None

    def read(self, study: str, start: int = 0) -> Iterator[Stamped]:
        """All events of `study` from number `start`, in order; none for an unknown study.

        Raises:
            LedgerError: an event was changed after it was written; the text names the first. Or the store is damaged,
                or away.
        """
        with self._guard("read"), self._engine.connect() as connection:
            chain = Chain("" if start == 0 else self._stored_digest(connection, study, start - 1))
            for number, at, kind, payload in self._checked(connection, study, start, chain):
                yield Stamped(number=number, time=at, event=decode(kind, payload))

    def state(self, study: str) -> StudyState:
        """The folded state of `study`.

        Raises:
            StudyError: there is no such study; the text names those that exist.
        """
        state = fold(study, self.read(study))
        if state.events == 0:
            names = ", ".join(row.name for row in self.studies()) or "none"
            raise StudyError(f"there is no study {study!r} in {self.place}; it has: {names}.")
        return state

    def studies(self) -> list[StudyRow]:
        """All studies, newest first."""
        finished = sa.func.max(sa.case((_EVENTS.c.kind == "study_finished", 1), else_=0))
        query = sa.select(
            _EVENTS.c.study, sa.func.count(), sa.func.min(_EVENTS.c.time), sa.func.max(_EVENTS.c.time), finished
        ).group_by(_EVENTS.c.study)
        with self._guard("read"), self._engine.connect() as connection:
            rows = [
                StudyRow(name=name, events=events, created=created, updated=updated, finished=bool(done))
                for name, events, created, updated, done in connection.execute(query)
            ]
        return sorted(rows, key=lambda row: row.created, reverse=True)

    def length(self, study: str) -> int:
        """How many events a study has; 0 for an unknown one."""
        query = sa.select(sa.func.max(_EVENTS.c.number)).where(_EVENTS.c.study == study)
        with self._guard("read"), self._engine.connect() as connection:
            last: int | None = connection.execute(query).scalar_one()
        return 0 if last is None else last + 1

    def segment(self, identity: str) -> Observation | None:
        """The result of a segment that any study of this ledger has finished.

        Raises:
            LedgerError: it was changed after it was written, or the store is damaged, or away.
        """
        query = sa.select(_SEGMENTS.c.payload).where(_SEGMENTS.c.id == identity)

        def look() -> str | None:
            with self._engine.connect() as connection:
                return connection.execute(query).scalar_one_or_none()

        with self._guard("read"):
            payload = self._patiently(look)
        if payload is None:
            return None
        payload, digest = unsealed(payload)
        if digest not in (None, digest_of(identity, payload)):
            raise LedgerError(
                f"the result of segment {identity[:12]} in {self.place} was changed after it was written: "
                "`autosched tune --fresh` takes no results from there."
            )
        event = decode("segment_finished", payload)
        return event.observation if isinstance(event, SegmentFinished) else None

    def lease(self, study: str) -> StudyLease:
        """The right to write `study`, given up when the process ends however it ends (a context manager)."""
        self._last.pop(study, None)  # until now others may have written
        return StudyLease(self._engine, study, path=sqlite_file(self._url), held=self._leases)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _upsert(url: URL, row: Mapping[str, Any]) -> sa.Insert:
    """Write a finished segment, whether or not another study finishes the same one in this moment."""
    insert = sqlite.insert if url.get_backend_name() == "sqlite" else postgresql.insert
    return insert(_SEGMENTS).values(row).on_conflict_do_update(index_elements=["id"], set_=dict(row))


def ledger_folder(url: str) -> Path | None:
    """The folder of a ledger's SQLite file; None for one on a server.

    Raises:
        UsageError: a malformed URL, or a folder that does not exist.
    """
    path = sqlite_file(database_url(url, "the ledger", BACKENDS))
    if path is None:
        return None
    if not path.parent.is_dir():
        raise UsageError(f"the ledger's folder {path.parent} does not exist.")
    return path.parent


def _event_row(study: str, stamped: Stamped, chain: Chain) -> dict[str, Any]:
    kind = kind_of(stamped.event)
    payload = chain.add(stamped.number, stamped.time, kind, encode(stamped.event))
    return {"study": study, "number": stamped.number, "time": stamped.time, "kind": kind, "payload": payload}


def _segment_row(study: str, observation: Observation) -> dict[str, Any]:
    payload = encode(SegmentFinished(observation=observation))
    payload = sealed(payload, digest_of(observation.segment, payload))
    return {"id": observation.segment, "study": study, "payload": payload}


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", sa.exc.SAWarning)  # of an option that would be ignored
        engine = sa.create_engine(url, connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        # NORMAL in WAL mode: a killed process loses nothing, a power cut at most the last commits, never consistency.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
