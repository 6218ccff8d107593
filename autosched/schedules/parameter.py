"""What a schedule family may be given: typed parameters with a range, a default and sensible search bounds."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.schedule import FloatArray, ParameterValue

Params = Mapping[str, ParameterValue]
Kind = Literal["float", "integer", "choice", "numbers", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a schedule family.

    Attributes:
        name: the name in spaces and records, e.g. ``cooldown_fraction``.
        kind: ``float`` (finite), ``integer``, ``choice`` (one of `choices`), ``numbers`` (a list of floats) or ``text``
            (not empty; what it may say is for the family's `fault`).
        meaning: one line for a person.
        unit: ``LR``, ``updates``, ``share of the run``, …; empty for a bare number or a choice.
        low: smallest allowed value (of every number of a list); not itself allowed when `low_open`.
        high: largest allowed value; not itself allowed when `high_open`.
        low_open: whether `low` is excluded.
        high_open: whether `high` is excluded.
        choices: the allowed values of a ``choice``.
        min_length: how many ``numbers`` there must be at least.
        default: the value used when none is given; None means that one must be given.
        implied: whether the default goes without saying: a schedule's parameters and a space mention this one only
            where it was given. What else depends on it (`when`) must not exist beside its default.
        when: another parameter's name -> the values it must have for this one to exist; empty means always.
        search_low: lower default search bound; None means that it is not searched unless a space says so.
        search_high: upper default search bound, given together with `search_low`.
        search_log: whether the default search is over the logarithm.
        search_choices: the values of a choice that the default search is over; None means all of them, none at all
            that it is not searched unless a space says so.

    Raises:
        ValueError: a record that contradicts itself (a default or a search bound outside the range, no choices, …).

    Example:
        >>> fraction = Parameter(name="cooldown_fraction", kind="float", meaning="", low=0, low_open=True, high=1)
        >>> fraction.check(1, "wsd"), fraction.rule
        (1.0, 'in (0, 1]')
        >>> fraction.check(1.4, "wsd")
        Traceback (most recent call last):
        autosched.errors.ScheduleError: wsd.cooldown_fraction must be in (0, 1], but got 1.4.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] = ()
    min_length: int = 1
    default: ParameterValue | None = None
    implied: bool = False
    when: Mapping[str, tuple[ParameterValue, ...]] = field(default_factory=dict)
    search_low: float | None = None
    search_high: float | None = None
    search_log: bool = False
    search_choices: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError(f"{self.name}: choices belong to kind choice, which needs them.")
        if self.low > self.high:
            raise ValueError(f"{self.name}: low {self.low:g} is above high {self.high:g}.")
        if not set(self.searched_choices) <= set(self.choices):
            raise ValueError(f"{self.name}: search_choices must be among the choices.")
        if self.implied and self.default is None:
            raise ValueError(f"{self.name}: what goes without saying needs a default.")
        if (self.search_low is None) != (self.search_high is None):
            raise ValueError(f"{self.name}: give both search bounds or none.")
        if self.search_low is not None and self.search_high is not None:
            if self.kind not in ("float", "integer"):
                raise ValueError(f"{self.name}: only a float or an integer has search bounds.")
            self.check(self.search_low, "search bounds")
            self.check(self.search_high, "search bounds")
            if self.search_low >= self.search_high or (self.search_log and self.search_low <= 0):
                raise ValueError(f"{self.name}: search bounds must rise, and be > 0 on a log scale.")
        if self.default is not None:
            self.check(self.default, "default")

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is None

    @property
    def searched_choices(self) -> tuple[str, ...]:
        """The values of a choice that the default search is over."""
        return self.choices if self.search_choices is None else self.search_choices

    @property
    def rule(self) -> str:
        """What is allowed, to be read after "must be", e.g. ``in (0, 1]``, ``> 0``, ``a whole number >= 0``."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "text":
            return "a text"
        noun = {"float": "", "integer": "a whole number ", "numbers": "a list of numbers "}[self.kind]
        interval = self._interval()
        if not interval and self.kind == "float":
            return "a finite number"
        return f"{noun}{interval}".strip()

    def _interval(self) -> str:
        if math.isinf(self.low) and math.isinf(self.high):
            return ""
        if math.isinf(self.high):
            return f"{'>' if self.low_open else '>='} {self.low:g}"
        if math.isinf(self.low):
            return f"{'<' if self.high_open else '<='} {self.high:g}"
        return f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:g}{')' if self.high_open else ']'}"

    def exists(self, params: Params) -> bool:
        """Whether the parameter exists beside these values of the others (its `when`)."""
        return all(name in params and params[name] in values for name, values in self.when.items())

    def check(self, value: object, family: str) -> ParameterValue:
        """The value in its canonical type (float, int, str or list of floats).

        Args:
            value: what was given; a numpy scalar or array and a whole float for an integer are fine, a bool is not.
            family: the family's name, for the error's text.

        Raises:
            ScheduleError: of another kind, not finite, or outside the allowed range.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if self.kind == "choice":
            if not isinstance(value, str) or value not in self.choices:
                raise self._error(family, value)
            return value
        if self.kind == "text":
            if not isinstance(value, str) or not value.strip():
                raise self._error(family, value)
            return value
        if self.kind == "numbers":
            return self._checked_list(value, family)
        number = _as_float(value)
        if number is None or not self._allows(number):
            raise self._error(family, value)
        if self.kind == "float":
            return number
        if not number.is_integer():
            raise self._error(family, value)
        return int(number)

    def _checked_list(self, value: object, family: str) -> list[float]:
        items = value.tolist() if isinstance(value, np.ndarray) else value
        if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
            raise self._error(family, value)
        checked: list[float] = []
        for position, item in enumerate(items):
            number = _as_float(item)
            if number is None or not self._allows(number):
                interval = self._interval() or "finite"
                raise ScheduleError(
                    f"{family}.{self.name}[{position}] must be a number {interval}, but got {_shown(item)}."
                )
            checked.append(number)
        if len(checked) < self.min_length:
            raise ScheduleError(
                f"{family}.{self.name} must have at least {self.min_length} number(s), but has {len(checked)}."
            )
        return checked

    def _allows(self, number: float) -> bool:
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return math.isfinite(number) and above and below

    def _error(self, family: str, value: object) -> ScheduleError:
        return ScheduleError(f"{family}.{self.name} must be {self.rule}, but got {_shown(value)}.")


def _as_float(value: object) -> float | None:
    """A real number as float; None for anything else, bools included; inf for an integer beyond float64."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: object) -> str:
    return reprlib.repr(value.item() if isinstance(value, np.generic) else value)


def float_of(params: Params, name: str) -> float:
    """A ``float`` parameter's value out of checked parameters; TypeError when they were not checked."""
    value = params[name]
    if not isinstance(value, int | float):
        raise TypeError(_unchecked(name, value))
    return float(value)


def int_of(params: Params, name: str) -> int:
    """An ``integer`` parameter's value out of checked parameters; TypeError when they were not checked."""
    value = params[name]
    if not isinstance(value, int):
        raise TypeError(_unchecked(name, value))
    return value


def text_of(params: Params, name: str) -> str:
    """A ``choice`` parameter's value out of checked parameters; TypeError when they were not checked."""
    value = params[name]
    if not isinstance(value, str):
        raise TypeError(_unchecked(name, value))
    return value


def choice_of(params: Params, parameter: Parameter) -> str:
    """The value of a choice whose default goes without saying; TypeError when the parameters were not checked."""
    return str(parameter.default) if parameter.name not in params else text_of(params, parameter.name)


def array_of(params: Params, name: str) -> FloatArray:
    """A ``numbers`` parameter's value out of checked parameters, float64 of shape (n,)."""
    return np.asarray(params[name], dtype=np.float64)


def _unchecked(name: str, value: object) -> str:
    return f"{name} is of the wrong kind: {_shown(value)}; use build(), or Family.complete() first."


PEAK_LR = Parameter(
    name="peak_lr",
    kind="float",
    meaning="LR reached at the end of the warmup",
    unit="LR",
    low=0,
    low_open=True,
    search_low=1e-4,
    search_high=1e-1,
    search_log=True,
)
FINAL_LR_RATIO = Parameter(
    name="final_lr_ratio",
    kind="float",
    meaning="LR the decay ends at, as a share of the peak LR",
    unit="share of the peak LR",
    low=0,
    high=1,
    default=0.0,
    search_low=1e-3,
    search_high=0.3,
    search_log=True,
)
