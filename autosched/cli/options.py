"""Options and output habits that commands share."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from autosched.errors import UsageError
from autosched.printed import tell
from autosched.space.shipped import shipped_note
from autosched.whole_files import write_whole

LedgerOption = Annotated[
    str | None,
    typer.Option("--ledger", help="Ledger URL; default: AUTOSCHED_LEDGER, else sqlite:///autosched.db.", metavar="URL"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; logs go to stderr.")]
LABELLED = re.compile(r"\s*\S+(?: \S+)* {2,}")
"""The beginning of a line with a label: words, and two spaces or more."""
StudyArgument = Annotated[str, typer.Argument(help="Name of a study in the ledger.", metavar="STUDY")]


def show(as_json: bool, document: Any, lines: Iterable[str]) -> None:
    """Print for a machine or for a person."""
    if as_json:
        tell(json.dumps(document, allow_nan=False, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        tell(line if width is None else wrapped(line, width))


def wrapped(line: str, width: int) -> str:
    """A line for a terminal that is narrower: broken between words only, and indented below what follows its label.

    Example:
        >>> print(wrapped("best        trial 11: wsd(peak_lr=0.02, warmup_steps=20)", 40))
        best        trial 11: wsd(peak_lr=0.02,
                    warmup_steps=20)
    """
    label = LABELLED.match(line)
    indent = len(label[0]) if label is not None else len(line) - len(line.lstrip()) + 2
    if len(line) <= width or 2 * indent > width:
        return line
    return textwrap.fill(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


@contextmanager
def kept_for_json(as_json: bool) -> Iterator[None]:
    """Keep stdout for the document: what else is printed inside, by people's own code too, goes to stderr."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr), _native_prints_to_stderr():
        yield


@contextmanager
def _native_prints_to_stderr() -> Iterator[None]:
    """The same for what is written past Python, by libraries and processes that inherit stdout."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def tell_shipped(path: Path) -> None:
    """Say on stderr when a name means a space that comes with autosched."""
    note = shipped_note(path)
    if note is not None:
        tell(f"autosched: {note}", sys.stderr)


def write_file(path: Path, data: bytes) -> None:
    """Write a file a user named.

    Raises:
        UsageError: its folder is missing or cannot be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}.") from None
