"""YAML as plain data that still knows the line of every key and value.

Stricter than YAML where YAML surprises: duplicate keys, anchors, aliases and tags are refused, ``1e-3`` is a number,
a date is text. What comes out is JSON data (str, int, float, bool, None, list, dict with text keys).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from autosched import text_files
from autosched.errors import SpaceError
from autosched.space.shipped import space_file

KeyPath = tuple[str | int, ...]
"""Where a value sits in the data, e.g. ``("schedule", "wsd", "peak_lr", "low")``."""

OVERRIDES = "--set"
"""The file name of values that came from the command line."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something was written; `line` counts from 1 and is None on the command line.

    Attributes:
        line: line of the value (of the key, for mappings and lists).
        key_line: line of its key.
    """

    file: str
    line: int | None
    key_line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Plain data and the places of its parts."""

    data: Mapping[str, Any]
    places: Mapping[KeyPath, Place]

    def place(self, path: KeyPath) -> Place | None:
        """Where `path` was written, or the closest mapping around it; None when the data came from no file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return None

    def value(self, path: KeyPath) -> Any:
        """What stands at `path`.

        Raises:
            LookupError: there is nothing.
        """
        found: Any = self.data
        for part in path:
            found = found[part]
        return found

    def with_overrides(self, overrides: Sequence[str]) -> Document:
        """A copy with ``key.path=value`` texts applied in order; values are YAML scalars or flow collections.

        Mappings on the way that the file leaves out are added, so that ``resources.workers=4`` always works; whether
        the key exists at all is for the reader of the document to say.

        Raises:
            SpaceError: no ``=``, an empty key, a value that is no YAML, or a path through something that is no mapping.
        """
        data, places = _copied(self.data), dict(self.places)
        for override in overrides:
            name, equals, text = override.partition("=")
            path = tuple(name.strip().split("."))
            if not equals or not all(path):
                raise SpaceError(
                    f"an override must be key=value, e.g. seed=1, but got {shown(override)}.", file=OVERRIDES
                )
            value = _parsed_override(name, text)
            _put(data, path, value)
            for stale in [place for place in places if place[: len(path)] == path]:
                del places[stale]
            for length in range(1, len(path) + 1):
                places.setdefault(path[:length], Place(file=OVERRIDES, line=None, key_line=None))
        return Document(data=data, places=places)


def read_document(path: str | Path) -> Document:
    """Read a YAML file; a bare name that is no file means a space that comes with the package.

    Raises:
        SpaceError: the file is missing, a folder, unreadable, too large, not UTF-8 text, or faulty YAML.
    """
    file = space_file(path)
    text = text_files.read_document(file, "a YAML file", SpaceError, most_bytes=MAX_BYTES)
    return parse_document(text, file=str(file))


def parse_document(text: str, *, file: str) -> Document:
    """Read YAML text whose top level is a mapping.

    Raises:
        SpaceError: not YAML, empty, not a mapping, or one of the refused features.
    """
    node = _composed(text, file)
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"):
        raise SpaceError("must hold a search space, but is empty.", file=file, line=1)
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise SpaceError("must be a mapping of keys like study and schedule at the top level.", file=file, line=line)
    places: dict[KeyPath, Place] = {(): Place(file=file, line=node.start_mark.line + 1, key_line=None)}
    return Document(data=_Builder(file, places).mapping(node, ()), places=places)


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-3`` as a number and dates as text, and refuses anchors, aliases and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not allowed here; write the value out, or quote the text",
                problem_mark=event.start_mark,
            )
        if self.depth >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)$")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9]+(?:_[0-9]+)*)?\.[0-9]+|[0-9]+(?:_[0-9]+)*\.?)(?:[eE][-+]?[0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
_PLAIN_TAGS = {"null", "bool", "merge"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in _PLAIN_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _composed(text: str, file: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise SpaceError(f"not valid YAML: {reason}.", file=file, line=mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpaceError(f"character U+{int(error.character):04X} is not allowed.", file=file, line=line) from None
    finally:
        if loader is not None:
            loader.dispose()


_KINDS = {"bool": "true or false", "int": "whole number", "float": "number"}


class _Builder:
    """Turns nodes into plain data and notes their places."""

    def __init__(self, file: str, places: dict[KeyPath, Place]) -> None:
        self.file, self.places = file, places

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self.key(key_node, line)
            if key in result:
                first = self.places[(*path, key)].key_line
                message = f"{shown(key)} is already given in line {first}; keep one."
                raise SpaceError(message, file=self.file, line=line)
            result[key] = self.value(value_node, (*path, key), line)
        return result

    def key(self, node: yaml.Node, line: int) -> str:
        if node.tag == "tag:yaml.org,2002:merge":
            raise SpaceError("merge keys (<<) are not allowed here; write the keys out.", file=self.file, line=line)
        if not isinstance(node, yaml.ScalarNode):
            raise SpaceError("a key must be a word, not a list or mapping.", file=self.file, line=line)
        return str(node.value)

    def value(self, node: yaml.Node, path: KeyPath, key_line: int) -> Any:
        scalar = isinstance(node, yaml.ScalarNode)
        line = node.start_mark.line + 1 if scalar or isinstance(path[-1], int) else key_line
        self.places[path] = Place(file=self.file, line=line, key_line=key_line)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*path, index), item.start_mark.line + 1) for index, item in enumerate(node.value)]
        return self.scalar(node, line)

    def scalar(self, node: yaml.Node, line: int) -> Any:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        try:
            if kind == "str":
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return yaml.SafeLoader.bool_values[text.lower()]
            if kind == "int":
                return int(text)
            if kind == "float":
                return float(text.replace(".", "") if text[-1].isalpha() else text)
        except (ValueError, KeyError):
            raise SpaceError(f"{shown(text)} is no {_KINDS[kind]}.", file=self.file, line=line) from None
        raise SpaceError(f"the YAML tag {node.tag} is not allowed; write plain values.", file=self.file, line=line)


def shown(value: Any) -> str:
    """A value as a person would write it in YAML, on one line, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _parsed_override(name: str, text: str) -> Any:
    places: dict[KeyPath, Place] = {}
    try:
        node = _composed(text, OVERRIDES)
        return None if node is None else _Builder(OVERRIDES, places).value(node, ("value",), 1)
    except SpaceError as error:
        raise SpaceError(f"{name.strip()}: {error.message}", file=OVERRIDES) from None


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for length, part in enumerate(path[:-1], start=1):
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            parent = ".".join(path[:length])
            message = (
                f"{'.'.join(path)} does not exist: {parent} is {shown(inner)}, not a mapping; set {parent} as a whole."
            )
            raise SpaceError(message, file=OVERRIDES)
        data = inner
    data[path[-1]] = value
