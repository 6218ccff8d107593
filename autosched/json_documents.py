"""The one reader of the JSON files that autosched writes: strict data, checked against a pydantic schema.

Stricter than JSON where JSON surprises: a key that is given twice, numbers that are not finite and digits past what a
number can hold are refused; nothing is converted (``true`` is no 1, ``"200"`` is no 200).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound="BaseModel")
Document = dict[str, Any]
LONGEST_SHOWN = 60
MOST_DEPTH = 100
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


class JsonFault(ValueError):
    """What is wrong with a document, and where."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


def parse_object(text: str) -> Document:
    """A JSON object as Python's own values.

    Raises:
        JsonFault: no JSON, no object at the top, a key given twice, nesting too deep, a number that is no finite one.
    """
    if _deeper(text, MOST_DEPTH):  # before Python's own limit, which is of the program's depth too
        raise JsonFault(f"it is nested deeper than {MOST_DEPTH} levels")
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise JsonFault(f"no JSON ({error.msg})", error.lineno) from None
    except JsonFault:
        raise
    except ValueError:  # an integer of thousands of digits
        raise JsonFault("a number in it has too many digits") from None
    if not isinstance(document, dict):
        raise JsonFault(f"it must be an object, but is {shown(document)}")
    return document


def read_json(text: str, schemas: Mapping[int, type[Model]], *, form: str) -> Model:
    """A document of the format `form` as a record, by the schema of its version.

    Raises:
        JsonFault: what :func:`parse_object` refuses; another format or version; else the first key that does not fit,
            what is allowed, and the value.
    """
    document = parse_object(text)
    for key, allowed in (("format", [form]), ("version", [*schemas])):
        given = document.pop(key, None)
        if (type(given), given) not in [(type(value), value) for value in allowed]:
            raise JsonFault(f'"{key}" must be {" or ".join(map(shown, allowed))}, but got {shown(given)}')
    return _checked(document, schemas[given])


def read_record(text: str, schema: type[Model]) -> Model:
    """A document that names no format as a record.

    Raises:
        JsonFault: as :func:`read_json`.
    """
    return _checked(parse_object(text), schema)


def _checked(document: Document, schema: type[Model]) -> Model:
    from pydantic import ValidationError

    try:
        return schema.model_validate(document, strict=True)
    except ValidationError as error:
        raise JsonFault(_described(error)) from None


def shown(value: Any) -> str:
    """A value in JSON's words, shortened."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = repr(type(value).__name__)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _described(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the document"
    if first["type"] == "missing":
        return f'"{where}" is missing'
    if first["type"] == "extra_forbidden":
        return f'"{where}" is not a known key'
    allowed = (
        first["msg"]
        .removeprefix("Input should be ")
        .removeprefix("Value error, ")
        .replace("a valid dictionary", "an object")
    )
    return f'"{where}" must be {allowed}, but got {shown(first["input"])}'


def _deeper(text: str, most: int) -> bool:
    if text.count("[") + text.count("{") <= most:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > most:
            return True
    return False


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JsonFault(f"{shown(twice)} is given twice")
    return document


def _constant(text: str) -> float:
    raise JsonFault(f"{text} is no number that a file may hold")
