"""Says when a server that is being started can be used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from rich.console import Console

from autosched.printed import printable, tell

LOOK_SECONDS = 0.3


@contextmanager
def said_when_ready(starting: str, look: Callable[[], str | None]) -> Iterator[Callable[[str], None] | None]:
    """While the body runs the server: say that it starts, with a spinner on a terminal, and once more when it answers.

    Gives the body what prints the server's own lines, so that they do not break the spinner; None where there is none.

    Args:
        look: gives the line to say as soon as the server answers; None before.
    """
    console, over = Console() if sys.stdout.isatty() else None, threading.Event()

    def wait() -> None:
        line = None
        with nullcontext() if console is None else console.status(starting):
            while line is None and not over.wait(LOOK_SECONDS):
                line = look()
        if line is not None:
            tell(line)

    if console is None:
        tell(starting)
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield None if console is None else partial(_print, console)
    finally:
        over.set()
        waiting.join()


def _print(console: Console, line: str) -> None:
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
