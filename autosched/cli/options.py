"""Options and output habits that commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from autosched.errors import UsageError
from autosched.printed import tell
from autosched.space.shipped import shipped_note

LedgerOption = Annotated[
    str | None,
    typer.Option("--ledger", help="Ledger URL; default: AUTOSCHED_LEDGER, else sqlite:///autosched.db.", metavar="URL"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; logs go to stderr.")]
StudyArgument = Annotated[str, typer.Argument(help="Name of a study in the ledger.", metavar="STUDY")]


def show(as_json: bool, document: Any, lines: Iterable[str]) -> None:
    """Print for a machine or for a person."""
    if as_json:
        json.dump(document, sys.stdout, allow_nan=False, indent=2)
        sys.stdout.write("\n")
    else:
        for line in lines:
            tell(line)


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
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}.") from None
