"""The right to write a study, held by one process and given up when it ends, however it ends.

SQLite: an advisory lock on a file beside the database. PostgreSQL: a session advisory lock. Both vanish with the
process, so a killed driver never blocks its own resume.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from types import TracebackType
from typing import IO

import sqlalchemy as sa

from autosched.errors import LedgerError, StudyError
from autosched.randomness import key


class StudyLease:
    """Context manager; entering raises StudyError when another process holds the study."""

    def __init__(self, engine: sa.Engine, study: str, *, path: Path | None) -> None:
        self._engine, self._study, self._path = engine, study, path
        self._file: IO[str] | None = None
        self._connection: sa.Connection | None = None

    def __enter__(self) -> StudyLease:
        held = self._lock_file(self._path) if self._path is not None else self._lock_server()
        if not held:
            self._release()
            raise StudyError(f"another process is running the study {self._study!r}; wait for it or stop it.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def is_held(self) -> bool:
        """Whether some process holds the study now."""
        if self._path is not None and not self._lock_path(self._path).exists():
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
            self._file = lock.open("w")
        except OSError as error:
            raise LedgerError(f"cannot write {lock}: {error.strerror}.") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _lock_server(self) -> bool:
        try:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            query = sa.select(sa.func.pg_try_advisory_lock(key("autosched study", self._study)))
            return bool(self._connection.execute(query).scalar())
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"cannot lock the ledger: {str(error).splitlines()[0]}.") from None

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._connection is not None:
            self._connection.invalidate()  # ends the session, and with it the lock
            self._connection.close()
            self._connection = None
