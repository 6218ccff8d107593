"""Ends code of other people's that runs in this process and does not come back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 5.0
"""After which code that caught :class:`TimeUp` is interrupted again; more than any clearing up takes."""


class TimeUp(BaseException):
    """The time is over; no Exception, as KeyboardInterrupt is none, so that handlers of errors do not swallow it."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise :class:`TimeUp` inside the body once this many seconds have passed; None for never.

    Python delivers signals to the main thread alone, and between two of its instructions: in another thread, or while
    native code hangs, the body goes on.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
