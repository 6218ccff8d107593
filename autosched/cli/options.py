"""Options and output habits that commands share."""

from __future__ import annotations

import json
import os
import sys
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
StudyArgument = Annotated[str, typer.Argument(help="Name of a study in the ledger.", metavar="STUDY")]


def show(as_json: bool, document: Any, lines: Iterable[str]) -> None:
    """Print for a machine or for a person."""
    if as_json:
        tell(json.dumps(document, allow_nan=False, indent=2))
    else:
        for line in lines:
            tell(line)


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
