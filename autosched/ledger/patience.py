"""Patience with a database server: it restarts, cuts connections, and sometimes does not answer at all.

A cut is waited for and done again, with pauses that double, until it has lasted a minute; that it waits is said.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa

from autosched.printed import tell

MOST_SECONDS = 60.0
"""How long a server may be away: a restart of PostgreSQL takes seconds, a failover to a standby about half a minute."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
SILENT_SECONDS = 15.0
"""After which a person is told that something is waited for."""
CUTS = ("08", "57P")
"""Classes of SQLSTATE that say that the server goes, or the connection has gone (PostgreSQL's manual, appendix A)."""
Result = TypeVar("Result")


def is_cut(error: BaseException) -> bool:
    """Whether a connection was lost or could not be made, so that the same may succeed later."""
    if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return False
    state = getattr(error.orig, "sqlstate", None)  # psycopg's; None when no server answered
    return error.connection_invalidated or state is None or state.startswith(CUTS)


def patiently(work: Callable[[], Result], what: str) -> Result:
    """What `work` returns, done again while connections are cut.

    Args:
        what: is waited for, e.g. ``"the ledger"``.

    Raises:
        SQLAlchemyError: the cut has lasted :data:`MOST_SECONDS`. What `work` raises otherwise is raised at once.
    """
    pause, until = FIRST_PAUSE, time.monotonic() + MOST_SECONDS
    with _telling(what):
        while True:
            try:
                return work()
            except sa.exc.SQLAlchemyError as error:
                if not is_cut(error) or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def _telling(what: str) -> Iterator[None]:
    text = f"autosched: {what} has not answered for {SILENT_SECONDS:g} s; still waiting."
    timer = threading.Timer(SILENT_SECONDS, lambda: tell(text, sys.stderr))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
