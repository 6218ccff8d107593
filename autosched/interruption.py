"""How a command is told to stop: Ctrl-C, SIGTERM and the end of its terminal all leave as cleanly."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 5.0
"""For which further signals wait while things are put away: schedulers and people send more than one."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise KeyboardInterrupt inside the body once for signals that tell it to stop; the main thread alone can.

    What is ignored already, as SIGHUP under ``nohup``, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopped = -math.inf

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        now = time.monotonic()
        if now - stopped < PATIENCE_SECONDS:
            return
        stopped = now
        raise KeyboardInterrupt

    handled = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
