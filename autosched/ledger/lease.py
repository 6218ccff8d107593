"""The right to write a study, held by one process and given up when it ends, however it ends.

SQLite: an advisory lock on a file beside the database. PostgreSQL: a session advisory lock, whose key names the schema
as well as the study, because such locks are a database's and several ledgers may be in one. Both vanish with the
process, so a killed driver never blocks its own resume.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import sqlalchemy as sa

from autosched.errors import LedgerError, StudyError
from autosched.randomness import key

LOCKED = sa.text(
    """SELECT EXISTS (
        SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()
        AND classid::bigint = :high AND objid::bigint = :low)"""
)
HOLDER = sa.text(
    """SELECT host(client_addr) AS host, backend_start AS began FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()
        AND classid::bigint = :high AND objid::bigint = :low"""
)
_LONGEST_NAME = 300
TRIES, PAUSE = 20, 0.05
"""To hold a study whose holder had gone, or had not said its name yet, when it was looked for."""


class StudyLease:
    """Context manager; entering raises StudyError when another process holds the study.

    Args:
        path: of the SQLite file; None on a server.
        held: where the lease is noted by its study's name while it is held.
    """

    def __init__(
        self, engine: sa.Engine, study: str, *, path: Path | None, held: MutableMapping[str, StudyLease]
    ) -> None:
        self._engine, self._study, self._path, self._all = engine, study, path, held
        self._file: IO[str] | None = None
        self._connection: sa.Connection | None = None
        self._on_server = False

    def __enter__(self) -> StudyLease:
        who = ""
        for _ in range(TRIES):
            if self._lock_file(self._path) if self._path is not None else self._lock_server():
                self._all[self._study] = self
                return self
            who = self._holder()
            self._release()
            if who:
                break
            time.sleep(PAUSE)
        who = who or "just begun"
        raise StudyError(f"another process is running the study {self._study!r} ({who}); wait for it or stop it.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that writes to the study: on a server in the session that holds it, so that no other may.

        A server that cuts the session gives its lock to whoever asks next, so it is taken again here.

        Raises:
            StudyError: another process has taken it.
            SQLAlchemyError: the server cannot be reached.
        """
        if not self._on_server:
            with self._engine.begin() as connection:
                yield connection
            return
        connection = self._connection or self._taken_again()
        try:
            with connection.begin():
                yield connection
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                self._drop()
            raise

    def _taken_again(self) -> sa.Connection:
        if self._take() and self._connection is not None:
            return self._connection
        self._drop()
        raise StudyError(
            f"the server cut the connection that held the study {self._study!r}, and another process has taken it: "
            "that one goes on."
        )

    def is_held(self) -> bool:
        """Whether some process holds the study now."""
        if self._path is None:
            return self._server_is_locked()
        if not self._lock_path(self._path).exists():
            return False  # nobody ever ran it here, and looking leaves no file behind
        try:
            with self:
                return False
        except StudyError:
            return True

    def _lock_path(self, database: Path) -> Path:
        return database.with_name(f"{database.name}.{self._study}.lock")

    def _lock_file(self, database: Path) -> bool:
        lock = self._lock_path(database)
        try:
            self._file = lock.open("a+")
        except OSError as error:
            raise LedgerError(f"cannot write {lock}: {error.strerror}.") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}")
        self._file.flush()
        return True

    def _holder(self) -> str:
        """Who holds the study, for a person who looks for it; empty when it is gone by now, or has just come."""
        if self._file is not None:
            self._file.seek(0)
            return self._file.read(_LONGEST_NAME)
        with _said(), self._engine.connect() as connection:
            high, low = divmod(self._key(connection), 2**32)
            found = connection.execute(HOLDER, {"high": high, "low": low}).first()
        if found is None:
            return ""
        return (
            f"connected to the server from {found.host or 'its own machine'} since {found.began:%Y-%m-%d %H:%M:%S %Z}"
        )

    def _lock_server(self) -> bool:
        with _said():
            self._on_server = self._take()
        return self._on_server

    def _take(self) -> bool:
        self._connection = self._engine.connect()
        try:
            with self._connection.begin():  # the lock is the session's and stays
                lock = sa.func.pg_try_advisory_lock(self._key(self._connection))
                return bool(self._connection.execute(sa.select(lock)).scalar())
        except sa.exc.SQLAlchemyError:
            self._drop()
            raise

    def _server_is_locked(self) -> bool:
        """Looks without taking the lock, so that a look never refuses a driver that starts in the same moment."""
        with _said(), self._engine.connect() as connection:
            high, low = divmod(self._key(connection), 2**32)
            return bool(connection.execute(LOCKED, {"high": high, "low": low}).scalar())

    def _key(self, connection: sa.Connection) -> int:
        schema = connection.execute(sa.select(sa.func.current_schema())).scalar()
        return key("autosched study", str(schema), self._study)

    def _release(self) -> None:
        if self._all.get(self._study) is self:
            del self._all[self._study]
        if self._file is not None:
            self._file.close()
            self._file = None
        self._on_server = False
        if self._connection is not None:
            with suppress(sa.exc.SQLAlchemyError):  # a session that is gone holds nothing
                self._connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # no later user of the pool gets a session that held a study
            self._connection.close()
            self._connection = None


@contextmanager
def _said() -> Iterator[None]:
    """A failure of the server as one line."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise LedgerError(f"cannot lock the ledger: {str(error).splitlines()[0]}.") from None
