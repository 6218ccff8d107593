"""The one way to a person's terminal: what files and names say is shown, and never obeyed.

Characters that a terminal acts on or hides (controls, escapes, marks that reverse the direction of writing, bytes that
were no text) are written as Python would escape them, and what a stream's encoding lacks as ``?``.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

LONGEST_ERROR = 1_000
"""Characters of an error's line; more are cut from its middle, so that file and remedy stay."""


def printable(text: str) -> str:
    """The text with what is not printable escaped; line breaks stay.

    Example:
        >>> printable("a\\x1b[31mb")
        'a\\\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """The text on one line, printable, and cut in its middle when it is long."""
    line = printable(" ".join(text.split()))
    if len(line) <= LONGEST_ERROR:
        return line
    return f"{line[: LONGEST_ERROR * 2 // 3]} … {line[-LONGEST_ERROR // 3 :]}"


def tell(text: str, stream: TextIO | None = None) -> bool:
    """Print a line or several, at once, on stdout or another stream; False when it is a pipe that nobody reads."""
    stream = sys.stdout if stream is None else stream
    encoding = stream.encoding or "utf-8"
    try:
        print(printable(text).encode(encoding, "replace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        _give_up(stream)
        return False
    return True


def _give_up(stream: TextIO) -> None:
    """Let what is still to be printed go nowhere, what Python flushes at its end too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def tell_error(text: str) -> None:
    """Print ``autosched: error: …`` as one line on stderr."""
    tell(f"autosched: error: {one_line(text)}", sys.stderr)
