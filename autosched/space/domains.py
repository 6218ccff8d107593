"""Domains of single parameters: a plain value fixes, a list is a choice, a mapping with bounds is a range.

The bounds of a peak LR may be ``auto``, see :mod:`autosched.space.auto_bounds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autosched.errors import ScheduleError
from autosched.schedules import Parameter
from autosched.schedules.schedule import LEAST_PEAK_LR, ParameterValue
from autosched.space.auto_bounds import AUTO, auto_range, may_be_auto, refuse_auto
from autosched.space.document import KeyPath, shown
from autosched.space.records import Choice, Domain, Fixed, Range
from autosched.space.section import Faults, Section, closest, dotted, is_number

SCALES = ("linear", "log")
MOST_CHOICES = 1_000
WIDE = 100
"""Of two decades, half of all linear draws would be in the last third of a decade: hardly ever what is meant."""
FORMS = "a value, a list of choices, or bounds like {low: 1e-3, high: 1e-1, scale: log}"


def read_value(parameter: Parameter, family: str, value: Any, path: KeyPath, faults: Faults) -> ParameterValue | None:
    """A value the family allows, in its canonical type; None after a fault."""
    try:
        return parameter.check(value, family)
    except ScheduleError as error:
        hint = closest(value, parameter.choices) if isinstance(value, str) else ""
        message = f" must be {_rule(parameter, value)}, but got {shown(value)}{hint or '.'}"
        if parameter.kind == "numbers" and isinstance(value, list):  # say which of the numbers, or how many are missing
            message = str(error).removeprefix(f"{family}.{parameter.name}")
        faults.add(path, f"{dotted(path)}{message}")
        return None


def read_domain(parameter: Parameter, family: str, value: Any, path: KeyPath, faults: Faults) -> Domain | None:
    """The domain someone wrote for a parameter; None after a fault. ``when`` in a mapping is left to the caller."""
    if isinstance(value, dict):
        return _read_mapping(parameter, family, value, path, faults)
    if value == AUTO and may_be_auto(parameter):
        return auto_range(parameter, low=None, high=None)
    if value == AUTO and parameter.kind != "choice":
        refuse_auto(parameter, path, faults)
        return None
    if isinstance(value, list) and parameter.kind != "numbers":
        return _read_choices(parameter, family, value, path, faults)
    if value is None:
        faults.add(path, f"{dotted(path)} must be {FORMS}, but is empty.")
        return None
    known = read_value(parameter, family, value, path, faults)
    return None if known is None else Fixed(value=known)


def _rule(parameter: Parameter, value: Any) -> str:
    """The parameter's rule as an answer to `value`: what is no finite number hears that it should be one."""
    if parameter.kind != "float" or is_number(value) or "number" in parameter.rule:
        return parameter.rule
    return f"a {'finite ' if isinstance(value, float) else ''}number {parameter.rule}"


def default_domain(parameter: Parameter, *, searched: bool) -> Domain | None:
    """The domain of a parameter nobody wrote down; None when it must be written.

    Args:
        searched: the family was listed by name alone: use its own search bounds and choices.
    """
    if searched and parameter.searched_choices:
        return Choice(values=parameter.searched_choices)
    if searched and parameter.search_low is not None and parameter.search_high is not None:
        return Range(
            low=float(parameter.search_low),
            high=float(parameter.search_high),
            log=parameter.search_log,
            integer=parameter.kind == "integer",
        )
    return None if parameter.default is None else Fixed(value=parameter.default)


def domain_of(values: Sequence[ParameterValue]) -> Domain:
    """One value or, numbers in order, several."""
    distinct = [value for index, value in enumerate(values) if value not in values[:index]]
    if len(distinct) == 1:
        return Fixed(value=distinct[0])
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct):
        distinct = sorted(distinct, key=lambda value: float(str(value)))
    return Choice(values=tuple(distinct))


def endpoints(domain: Domain) -> tuple[ParameterValue, ...]:
    """Values that span a domain: all of a choice, both ends of a range."""
    if isinstance(domain, Fixed):
        return (domain.value,)
    if isinstance(domain, Choice):
        return domain.values
    return (int(domain.low), int(domain.high)) if domain.integer else (domain.low, domain.high)


def _read_mapping(
    parameter: Parameter, family: str, value: dict[str, Any], path: KeyPath, faults: Faults
) -> Domain | None:
    section = Section(value, path, faults)
    section.has("when")
    if section.has("value"):
        section.close()
        known = read_value(parameter, family, value["value"], (*path, "value"), faults)
        return None if known is None else Fixed(value=known)
    if section.has("choices"):
        section.close()
        choices = value["choices"]
        if not isinstance(choices, list):
            section.fault("choices", f"must be a list, but got {shown(choices)}.")
            return None
        return _read_choices(parameter, family, choices, (*path, "choices"), faults)
    return _read_range(parameter, family, section)


def _read_range(parameter: Parameter, family: str, section: Section) -> Domain | None:
    path, faults = section.path, section.faults
    given = [section.has(key) for key in ("low", "high")]
    automatic = AUTO in (section.raw("low"), section.raw("high"))
    scale = section.raw("scale") if section.has("scale") else "log" if automatic else "linear"
    section.close()
    if parameter.kind not in {"float", "integer"}:
        faults.add(
            path, f"{dotted(path)} must be {parameter.rule}: it has no bounds; write a value or a list of choices."
        )
        return None
    if not all(given):
        missing = "low" if not given[0] else "high"
        faults.missing(path, f"{dotted(path)}.{missing} is missing; a parameter must be {FORMS}.")
        return None
    if scale not in SCALES:
        section.fault("scale", f"must be one of {', '.join(SCALES)}, but got {shown(scale)}.")
        return None
    if automatic:
        return _read_auto(parameter, family, section, log=scale == "log")
    low = read_value(parameter, family, section.data["low"], (*path, "low"), faults)
    high = read_value(parameter, family, section.data["high"], (*path, "high"), faults)
    if not is_number(low) or not is_number(high):
        return None
    return _bounded(parameter, section, float(low), float(high), log=scale == "log")  # type: ignore[arg-type]


def _read_auto(parameter: Parameter, family: str, section: Section, *, log: bool) -> Domain | None:
    """A range with at least one bound that a range test finds; it spans decades, so its scale is the logarithm."""
    keys = [key for key in ("low", "high") if section.data[key] == AUTO]
    if not may_be_auto(parameter):
        refuse_auto(parameter, (*section.path, keys[0]), section.faults)
        return None
    if not log:
        section.fault("scale", f"must be log, or left out, where a bound is {AUTO}.")
        return None
    bounds: dict[str, float | None] = {"low": None, "high": None}
    for key in set(bounds) - set(keys):
        known = read_value(parameter, family, section.data[key], (*section.path, key), section.faults)
        if not isinstance(known, int | float):
            return None
        bounds[key] = float(known)
    return auto_range(parameter, low=bounds["low"], high=bounds["high"])


def _bounded(parameter: Parameter, section: Section, low: float, high: float, *, log: bool) -> Domain | None:
    if low >= high:
        written = section.data["low"], section.data["high"]
        section.fault(
            "low", f"must be below high ({shown(written[1])}), but got {shown(written[0])}.", related=["high"]
        )
        return None
    if log and low <= 0:
        section.fault("low", f"must be > 0 on a log scale, but got {shown(section.data['low'])}.", related=["scale"])
        return None
    if log and low < LEAST_PEAK_LR:
        section.fault("low", f"must be >= {LEAST_PEAK_LR:g}, but got {shown(section.data['low'])}.", related=["scale"])
        return None
    if parameter.kind == "float" and "scale" not in section.data and 0 < low <= high / WIDE:
        message = f"must be log or linear where high is {WIDE} times low and more: which of them is not clear."
        section.faults.missing(section.path, f"{dotted((*section.path, 'scale'))} {message}")
        return None
    return Range(low=low, high=high, log=log, integer=parameter.kind == "integer")


def _read_choices(parameter: Parameter, family: str, values: list[Any], path: KeyPath, faults: Faults) -> Domain | None:
    if not values:
        faults.add(path, f"{dotted(path)} must have at least one choice, but is empty.")
        return None
    if len(values) > MOST_CHOICES:
        message = f"must have at most {MOST_CHOICES} choices, but has {len(values)}; write bounds instead."
        faults.add(path, f"{dotted(path)} {message}")
        return None
    known: list[ParameterValue] = []
    for index, value in enumerate(values):
        checked = read_value(parameter, family, value, (*path, index), faults)
        if checked is None:
            return None
        if checked in known:
            faults.add((*path, index), f"{dotted((*path, index))} is {shown(value)} again; choices must differ.")
            return None
        known.append(checked)
    return Choice(values=tuple(known))
