"""Markdown of docstrings and records, for the generated parts of pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def plain(text: str) -> str:
    """A docstring's text as one line of Markdown."""
    text = re.sub(r":\w+:`~?([^`]*\.)?([^`]+)`", r"`\2`", text.replace("``", "`"))
    return " ".join(text.split())


def meaning(cls: type) -> dict[str, str]:
    """What the docstring of a record says of its fields, under ``Attributes:`` or ``Args:``."""
    found: dict[str, str] = {}
    match = re.search(r"(?:Attributes|Args):\n((?:[ ]{4,}.*\n?|\n)+)", inspect.getdoc(cls) or "")
    for entry in re.split(r"\n(?= {4}\S)", match[1].rstrip() if match else ""):
        names, colon, text = entry.strip().partition(":")
        if colon:
            found |= dict.fromkeys((name.strip() for name in names.split(",")), plain(text))
    return found


def summary(cls: Any) -> str:
    """The first paragraph of a docstring."""
    return plain((inspect.getdoc(cls) or "").split("\n\n")[0])


def shown(value: Any) -> str:
    """A default as it is written in YAML."""
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{getattr(value, 'name', value)}`"
