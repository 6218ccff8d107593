"""Reads a trainer's options: from the mapping in a space file to a frozen record, with one clear line per fault.

A record is a dataclass whose fields carry a :class:`Rule`::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class MyOptions:
        layers: Annotated[int, whole(1)] = 2

    read_options(MyOptions, {"layers": 0}, trainer="mine")
    # UsageError: mine trainer: layers must be a whole number >= 1, but got 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

from autosched.errors import UsageError

Record = TypeVar("Record")
COUNTS = {1: "one", 2: "two", 3: "three"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What an option may be.

    Attributes:
        text: what is allowed, to follow "must be".
        read: gives the option in its one canonical form (so that ``1`` and ``1.0`` are the same configuration), or
            None when the value is not allowed.
    """

    text: str
    read: Callable[[Any], Any]


def whole(low: float = -math.inf) -> Rule:
    """A whole number of at least `low`."""
    text = "a whole number" if low == -math.inf else f"a whole number >= {low}"
    return Rule(text, lambda value: value if _is_whole(value) and value >= low else None)


def number(low: float = -math.inf, below: float = math.inf) -> Rule:
    """A finite number of at least `low` and less than `below`."""
    text = f"a finite number >= {low:g}" if below == math.inf else f"a number in [{low:g}, {below:g})"
    text = "a finite number" if low == -below == -math.inf else text
    return Rule(text, lambda value: float(value) if _is_number(value) and low <= value < below else None)


def positive() -> Rule:
    """A finite number above 0."""
    return Rule("a finite number > 0", lambda value: float(value) if _is_number(value) and value > 0 else None)


def pair(each: Rule) -> Rule:
    """A list of two values that both follow `each`; read as a tuple."""
    return several(2, each)


def several(count: int, each: Rule) -> Rule:
    """A list of `count` values that all follow `each`; read as a tuple."""

    def read(value: Any) -> tuple[Any, ...] | None:
        if not isinstance(value, list | tuple) or len(value) != count:
            return None
        found = tuple(each.read(item) for item in value)
        return None if None in found else found

    return Rule(f"a list of {COUNTS.get(count, count)}, each {each.text}", read)


def one_of(*names: str) -> Rule:
    """One of these words."""
    return Rule("one of " + ", ".join(names), lambda value: value if value in names else None)


def text() -> Rule:
    """A text that is not empty."""
    return Rule("a text", lambda value: value if isinstance(value, str) and value else None)


def flag() -> Rule:
    """True or false."""
    return Rule("true or false", lambda value: value if isinstance(value, bool) else None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def read_options(record: type[Record], options: Mapping[str, Any], *, trainer: str) -> Record:
    """Read the options of a trainer; see :func:`read_record`."""
    return read_record(record, options, of=f"{trainer} trainer")


def read_record(record: type[Record], options: Mapping[str, Any], *, of: str) -> Record:
    """Check every option against its rule and build the record; absent options keep their defaults.

    A None is allowed only where it is the default, and then means the default.

    Args:
        of: whose options these are, to begin a message with.

    Raises:
        UsageError: an unknown name or a value that its rule does not allow; one line that says what is.
    """
    defaults = {field.name: field.default for field in fields(record)}  # type: ignore[arg-type]
    unknown = [name for name in options if name not in defaults]
    if unknown:
        raise UsageError(f"{of}: unknown option {unknown[0]!r}; allowed are {', '.join(defaults) or 'none'}.")
    rules = {name: hint.__metadata__[0] for name, hint in get_type_hints(record, include_extras=True).items()}
    read = {}
    for name, value in options.items():
        if value is None and defaults[name] is None:
            continue
        read[name] = rules[name].read(value)
        if read[name] is None:
            raise UsageError(f"{of}: {name} must be {rules[name].text}, but got {value!r}.")
    return record(**read)
