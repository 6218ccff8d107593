"""A space from what Python code has at hand: a path, a mapping with the keys of a space file, a `Space`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autosched.errors import SpaceError
from autosched.space import space_to_json
from autosched.space.document import OVERRIDES, Document, KeyPath, Place, read_document, shown
from autosched.space.records import Space
from autosched.space.section import dotted
from workers.registry import trainer_name

SpaceSource = str | Path | Mapping[str, Any] | Space
GIVEN = "space"
"""The file name of values that came as a mapping."""


def read_source(source: SpaceSource) -> Document:
    """The document of a space, not yet checked.

    Raises:
        SpaceError: a file that cannot be read, or a mapping with something that no space file can hold.
    """
    if isinstance(source, str | Path):
        return read_document(source)
    data = space_to_json(source) if isinstance(source, Space) else source
    if not isinstance(data, Mapping):
        raise SpaceError(f"must be a path, a mapping or a Space, but got {shown(source)}.", file=GIVEN)
    places: dict[KeyPath, Place] = {}
    return Document(data=_plain(data, (), places, GIVEN), places=places)


def override_texts(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Overrides as ``key=value`` texts; a mapping holds values by dotted key.

    Raises:
        SpaceError: a value that no space file can hold.

    Example:
        >>> override_texts({"budget.trials": 8, "pruner": "none"})
        ['budget.trials=8', 'pruner="none"']
    """
    if not isinstance(overrides, Mapping):
        return list(overrides)
    plain = {key: _plain(value, tuple(key.split(".")), {}, OVERRIDES) for key, value in overrides.items()}
    return [f"{key}={json.dumps(value)}" for key, value in plain.items()]


def _plain(value: Any, path: KeyPath, places: dict[KeyPath, Place], file: str) -> Any:
    """The value as JSON data; notes its parts as places of `file`."""
    places[path] = Place(file=file, line=None, key_line=None)
    if isinstance(value, Mapping):
        return {str(key): _plain(part, (*path, str(key)), places, file) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, (*path, index), places, file) for index, part in enumerate(value)]
    if isinstance(value, type) and path == ("trainer", "use"):
        return trainer_name(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    allowed = "text, a number, true or false, a list or a mapping"
    raise SpaceError(f"{dotted(path) or 'it'} must be {allowed}, but got {shown(value)}.", file=file)
