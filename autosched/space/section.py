"""Reading one mapping of a document key by key, noting every fault instead of stopping at the first.

A getter that meets a fault notes it and returns the default (or None when there is none), so that one pass finds all
faults and the one on the lowest line can be reported.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

from autosched.errors import SpaceError
from autosched.space.document import OVERRIDES, Document, KeyPath, Place, shown

MAX_COUNT = 10**12
"""Larger whole numbers are typing errors; the bound also keeps sums of them exact in float64."""


LONGEST_WORD = 60
"""Longer keys are shortened in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong at `path`.

    Attributes:
        at_key: the key itself is wrong, not its value.
        missing: nothing is wrong with what was written, something was not written.
        related: other paths the rule reads; one of them is blamed when it alone came from the command line.
    """

    path: KeyPath
    message: str
    at_key: bool = False
    missing: bool = False
    related: tuple[KeyPath, ...] = ()


class Faults:
    """Collects faults of one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._faults: list[Fault] = []

    def add(self, path: KeyPath, message: str, *, at_key: bool = False, related: Iterable[KeyPath] = ()) -> None:
        """Note a fault; `message` says what is wrong with the value and what is allowed."""
        self._faults.append(Fault(path=path, message=message, at_key=at_key, related=tuple(related)))

    def missing(self, path: KeyPath, message: str) -> None:
        """Note that the mapping at `path` lacks something."""
        self._faults.append(Fault(path=path, message=message, missing=True))

    def __bool__(self) -> bool:
        return bool(self._faults)

    def first(self) -> SpaceError:
        """The fault on the lowest line as an error.

        Those from the command line come after those in the file, and what is missing comes last: a required key that
        was misspelled is both unknown and missing, and the first of these tells more.
        """
        located = [(self._place(fault), fault) for fault in self._faults]
        place, fault = min(located, key=lambda pair: self._order(*pair))
        if place is None:
            return SpaceError(fault.message)
        return SpaceError(fault.message, file=place.file, line=place.key_line if fault.at_key else place.line)

    def _place(self, fault: Fault) -> Place | None:
        place = self._document.place(fault.path)
        for path in fault.related:
            other = self._document.place(path)
            if other is not None and other.file == OVERRIDES and path in self._document.places:
                return other
        return place

    @staticmethod
    def _order(place: Place | None, fault: Fault) -> tuple[bool, float]:
        if place is None or place.line is None:
            return fault.missing, math.inf
        return fault.missing, place.key_line if fault.at_key and place.key_line is not None else place.line


def dotted(path: KeyPath) -> str:
    """``schedule.wsd.cooldown_shape[1]``: a path as a person writes it."""
    text = ""
    for part in path:
        word = f"[{part}]" if isinstance(part, int) else part if _is_word(part) else shown(part)
        text += f".{word}" if text and isinstance(part, str) else word
    return text


def _is_word(key: str) -> bool:
    """Whether a key can stand in a line as it is."""
    return key != "" and key.isprintable() and len(key) <= LONGEST_WORD


def closest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'wsd'?`` or nothing, to end a message about an unknown name."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


class Section:
    """A mapping at `path`: typed getters, and the keys they asked for are the ones it may have."""

    def __init__(self, data: dict[str, Any], path: KeyPath, faults: Faults) -> None:
        self.data, self.path, self.faults = data, path, faults
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        """Whether the key is given; allows it."""
        if key not in self._known:
            self._known.append(key)
        return key in self.data

    def raw(self, key: str) -> Any:
        """The value as it stands, None when it is missing."""
        return self.data[key] if self.has(key) else None

    def fault(self, key: str, message: str, *, related: Sequence[str] = ()) -> None:
        """Note a fault of the value of `key`; the message starts with its dotted name."""
        path = (*self.path, key)
        self.faults.add(path, f"{dotted(path)} {message}", related=[(*self.path, name) for name in related])

    def require(self, key: str, rule: str) -> bool:
        """Whether the key is given; notes a fault when it is not."""
        if self.has(key):
            return True
        self.faults.missing(self.path, f"{dotted((*self.path, key))} is missing; it must be {rule}.")
        return False

    @overload
    def integer(self, key: str, *, at_least: int, at_most: int = MAX_COUNT, default: int) -> int: ...
    @overload
    def integer(self, key: str, *, at_least: int, at_most: int = MAX_COUNT, default: None = None) -> int | None: ...
    def integer(self, key: str, *, at_least: int, at_most: int = MAX_COUNT, default: int | None = None) -> int | None:
        """A whole number from `at_least` to `at_most`."""
        if not self.has(key):
            return default
        value = self.data[key]
        if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
            return value
        whole = isinstance(value, float) and value.is_integer() and at_least <= value <= at_most
        hint = f" (write {int(value)})" if whole else ""
        most = "10**12" if at_most == MAX_COUNT else at_most
        rule = f"<= {most}" if is_number(value) and value > at_most else f">= {at_least}"
        self.fault(key, f"must be a whole number {rule}, but got {shown(value)}{hint}.")
        return default

    @overload
    def number(self, key: str, *, above_zero: bool, default: float) -> float: ...
    @overload
    def number(self, key: str, *, above_zero: bool, default: None = None) -> float | None: ...
    def number(self, key: str, *, above_zero: bool, default: float | None = None) -> float | None:
        """A finite number, greater than 0 or at least 0."""
        if not self.has(key):
            return default
        value = self.data[key]
        if is_number(value) and (value > 0 or (value == 0 and not above_zero)):
            return float(value)
        finite = "finite " if isinstance(value, float) and not math.isfinite(value) else ""
        self.fault(key, f"must be a {finite}number {'> 0' if above_zero else '>= 0'}, but got {shown(value)}.")
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self.data[key] if self.has(key) else default
        if isinstance(value, bool):
            return value
        self.fault(key, f"must be true or false, but got {shown(value)}.")
        return default

    @overload
    def text(self, key: str, *, default: str) -> str: ...
    @overload
    def text(self, key: str, *, default: None = None) -> str | None: ...
    def text(self, key: str, *, default: str | None = None) -> str | None:
        """A non-empty text of one line."""
        if not self.has(key):
            return default
        value = self.data[key]
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value
        self.fault(key, f"must be a text of one line, but got {shown(value)}.")
        return default

    def section(self, key: str, *, form: str = "a mapping") -> Section:
        """The mapping under `key`; an empty one when it is missing or faulty. `form` says what it should be."""
        value = self.data[key] if self.has(key) else {}
        if not isinstance(value, dict):
            self.fault(key, f"must be {form}, but got {shown(value)}.")
            return Section({}, (*self.path, key), Faults(Document(data={}, places={})))
        return Section(value, (*self.path, key), self.faults)

    def close(self) -> None:
        """Note every key that no getter asked for."""
        for key in self.data:
            if key not in self._known:
                path = (*self.path, key)
                allowed = ", ".join(self._known)
                hint = closest(key, self._known)
                message = f"{dotted(path)} is not a known key, must be one of {allowed}{hint or '.'}"
                self.faults.add(path, message, at_key=True)


def is_number(value: Any) -> bool:
    """Whether a value is a finite float or an int of at most 64 bits (a bool is not a number)."""
    if isinstance(value, bool):
        return False
    return abs(value) < 2**63 if isinstance(value, int) else isinstance(value, float) and math.isfinite(value)
