"""The search spaces that come with the package: what a bare name means where no file of that name is."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

from autosched.errors import SpaceError

FOLDER = Path(__file__).parents[1] / "search_spaces"


def shipped_spaces() -> dict[str, Path]:
    """Their files by name, e.g. ``wsd``."""
    return {file.stem: file for file in sorted(FOLDER.glob("*.yaml"))}


def about(file: Path) -> str:
    """What a space is for: the first sentence of its file."""
    comment = takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    return re.split(r"(?<=[.?]) ", " ".join(line.lstrip("# ") for line in comment))[0]


def space_file(path: str | Path) -> Path:
    """The file that is meant: one that is there, or else, by a bare name like ``wsd`` or ``wsd.yaml``, a shipped one.

    Raises:
        SpaceError: a bare name that is neither.
    """
    file = Path(path)
    if file.exists() or file.name != str(path):
        return file
    name = file.name.removesuffix(".yaml")
    found = shipped_spaces().get(name)
    if found is None:
        raise SpaceError("there is no such file. Spaces that come along: `autosched spaces`.", file=file)
    return found


def shipped_note(path: str | Path) -> str | None:
    """A line for a person when a name means a shipped space; None when it is a file of theirs."""
    file = space_file(path)
    return None if file == Path(path) else f"{path} is the space that comes with autosched, {file}."
