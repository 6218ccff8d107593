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
def said_when_ready(starting: str, look: Callable[[], str | None]) -> Iterator[Callable[[str], None] | None]:
    """While the body runs the server: say that it starts, with a spinner on a terminal, and once more when it answers.

    Gives the body what takes the server's own lines on a terminal, where they would break the spinner: they are told
    as they come once it answers, and those of before only when it ends without an answer. None where there is no
    spinner.

    Args:
        look: gives the line to say as soon as the server answers; None before.
    """
    drawn, over, ready, kept = sys.stdout.isatty(), threading.Event(), threading.Event(), list[str]()

    def wait() -> None:
        line = None
        with Console().status(starting) if drawn else nullcontext():
            while line is None and not over.wait(LOOK_SECONDS):
                line = look()
        if line is not None:
            ready.set()
            tell(line)

    def hear(line: str) -> None:
        if ready.is_set():
            tell(line)
        else:
            kept.append(line)

    if not drawn:
        tell(starting)
    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield hear if drawn else None
    except KeyboardInterrupt:
        ready.set()  # whoever stops it does not ask why
        raise
    finally:
        over.set()
        waiting.join()
        if not ready.is_set():
            for line in kept:
                tell(line, sys.stderr)
