"""Says when a server that is being started can be used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console

from autosched.printed import tell

LOOK_SECONDS = 0.3


@contextmanager
def said_when_ready(starting: str, look: Callable[[], str | None]) -> Iterator[None]:
    """While the body runs the server: say that it starts, with a spinner on a terminal, and once more when it answers.

    Args:
        look: gives the line to say as soon as the server answers; None before.
    """
    over = threading.Event()

    def wait() -> None:
        line = None
        with Console().status(starting) if sys.stdout.isatty() else nullcontext():
            while line is None and not over.wait(LOOK_SECONDS):
                line = look()
        if line is not None:
            tell(line)

    if not sys.stdout.isatty():
        tell(starting)
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        over.set()
        waiting.join()
