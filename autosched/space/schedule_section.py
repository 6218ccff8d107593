"""The ``schedule`` and ``default`` keys of a space file: which families compete, with which domains and conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from autosched import schedules
from autosched.errors import ScheduleError
from autosched.schedules import Family
from autosched.schedules.schedule import ParameterValue
from autosched.space.conditions import Conditions
from autosched.space.document import KeyPath
from autosched.space.domains import default_domain, endpoints, read_domain, read_value
from autosched.space.records import FamilySpace, ScheduleSpec, SearchParameter
from autosched.space.section import Section, closest, dotted, shown

MOST_CORNERS = 256
"""Extreme points of a family's space that are tried against the family's rules."""


def read_families(top: Section, horizon: int | None) -> tuple[FamilySpace, ...]:
    """The competing families, in the order of the file.

    ``schedule`` is a mapping of family to parameters, or a list of family names (then with the family's own bounds)
    and such mappings.
    """
    known = ", ".join(schedules.family_names())
    rule = f"a mapping or list of at least one of {known}"
    if not top.require("schedule", rule):
        return ()
    value = top.raw("schedule")
    if not isinstance(value, dict | list):
        top.fault("schedule", f"must be {rule}, but got {shown(value)}.")
        return ()
    if not value:
        top.fault("schedule", f"must be {rule}, but is empty.")
        return ()
    if isinstance(value, dict):
        return tuple(_families_of(top.section("schedule"), horizon))
    return tuple(_listed(top, value, horizon))


def read_default(top: Section, horizon: int | None) -> ScheduleSpec | None:
    """The schedule that would have been used without tuning; None when there is none, or after a fault."""
    if not top.has("default"):
        return None
    value = top.raw("default")
    if not isinstance(value, dict) or len(value) != 1:
        top.fault("default", f"must be one family with plain values, like {{wsd: {{…}}}}, but got {shown(value)}.")
        return None
    section = top.section("default")
    name = next(iter(value))
    family = _family(name, section)
    return None if family is None else _read_point(family, section.section(name), horizon)


def _read_point(family: Family, section: Section, horizon: int | None) -> ScheduleSpec | None:
    """One point of a family: all its parameters as plain values, defaults filled in."""
    checked: dict[str, ParameterValue] = {}
    for key, given in section.data.items():
        if key not in family.parameters:
            _unknown_parameter(section, family, key)
            return None
        known = read_value(family.parameters[key], family.name, given, (*section.path, key), section.faults)
        if known is None:
            return None
        checked[key] = known
    try:
        complete = family.complete(checked, steps=horizon) if horizon is not None else checked
    except ScheduleError as error:
        section.faults.add(section.path, f"default.{error}", related=[("horizon_steps",)])
        return None
    return ScheduleSpec(family=family.name, params=complete)


def _families_of(section: Section, horizon: int | None) -> list[FamilySpace]:
    """Families of a mapping; one without parameters (``cosine:``) is searched with its own bounds."""
    found = []
    for name, value in section.data.items():
        family = _family(name, section)
        if family is None:
            continue
        if value is None:
            found.append(
                _read_family(family, Section({}, (*section.path, name), section.faults), horizon, searched=True)
            )
        else:
            found.append(_read_family(family, section.section(name), horizon, searched=False))
    return found


def _listed(top: Section, items: list[Any], horizon: int | None) -> list[FamilySpace]:
    found: list[FamilySpace] = []
    for index, item in enumerate(items):
        path = ("schedule", index)
        entry = {item: None} if isinstance(item, str) else item
        if not isinstance(entry, dict) or len(entry) != 1:
            top.faults.add(
                path, f"schedule[{index}] must be a family's name or {{name: parameters}}, but got {shown(item)}."
            )
            continue
        for family in _families_of(Section(entry, path, top.faults), horizon):
            if any(family.family == other.family for other in found):
                top.faults.add(path, f"schedule[{index}] is {family.family!r} again; families must differ.")
            else:
                found.append(family)
    return found


def _family(name: str, section: Section) -> Family | None:
    names = schedules.family_names()
    if name in names:
        return schedules.get_family(name)
    path = (*section.path, name)
    hint = closest(name, names) or "."
    message = f"family must be one of {', '.join(names)}, but got {shown(name)}{hint}"
    section.faults.add(path, message, at_key=True)
    return None


def _unknown_parameter(section: Section, family: Family, key: str) -> None:
    names = ", ".join(family.parameters)
    hint = closest(key, family.parameters) or "."
    message = f"{family.name} has no parameter {key!r}; it has {names}{hint}"
    section.faults.add((*section.path, key), message, at_key=True)


def _read_family(family: Family, section: Section, horizon: int | None, *, searched: bool) -> FamilySpace:
    """The domains of a family's parameters, in the family's order, so that conditions look back only."""
    for key in section.data:
        if key not in family.parameters:
            _unknown_parameter(section, family, key)
    known: dict[str, SearchParameter] = {}
    conditions = Conditions(family, known, section.faults)
    complete = True
    for name in family.parameters:
        parameter = _read_parameter(family, name, section, conditions, searched=searched)
        if parameter is not None:
            known[name] = parameter
        elif name in section.data or (family.parameters[name].required and conditions.own(name) is not None):
            complete = False
    found = FamilySpace(family=family.name, parameters=known)
    if complete and horizon is not None:
        _check_corners(family, found, section, horizon)
    return found


def _read_parameter(
    family: Family, name: str, section: Section, conditions: Conditions, *, searched: bool
) -> SearchParameter | None:
    parameter, path = family.parameters[name], (*section.path, name)
    own = conditions.own(name)
    if name not in section.data:
        domain = default_domain(parameter, searched=searched)
        if own is None:
            return None
        if domain is None:
            section.faults.add(section.path, f"{dotted(path)} is missing; it must be {parameter.rule}, or bounds.")
            return None
        return SearchParameter(domain=domain, when=own)
    value = section.data[name]
    when = own
    if isinstance(value, dict) and "when" in value:
        when = conditions.written(name, value["when"], (*path, "when"))
        if when is not None and parameter.required and set(when) - set(parameter.when):
            section.faults.add(
                (*path, "when"), f"{dotted(path)} must always have a value, so it can have no condition."
            )
            return None
    elif own is None:
        conditions.impossible(name, path)
    domain = read_domain(parameter, family.name, value, path, section.faults)
    return None if domain is None or when is None else SearchParameter(domain=domain, when=when)


def _check_corners(family: Family, space: FamilySpace, section: Section, horizon: int) -> None:
    """Whether the family accepts the extreme points of the space; blames the parameter that is named in the fault."""
    for point in islice(_corners(space), MOST_CORNERS):
        try:
            family.complete(point, steps=horizon)
        except ScheduleError as error:
            text = str(error)
            name = next((n for n in space.parameters if text.startswith(f"{family.name}.{n} ")), None)
            path = section.path if name is None else (*section.path, name)
            section.faults.add(_worst(path, section, point, name), f"schedule.{text}", related=[("horizon_steps",)])
            return


def _worst(path: KeyPath, section: Section, point: Mapping[str, ParameterValue], name: str | None) -> KeyPath:
    """The place of the bound that made a corner, when it stands on a line of its own."""
    value = None if name is None else section.data.get(name)
    if name is not None and isinstance(value, dict) and "high" in value:
        return (*path, "high" if value["high"] == point[name] else "low")
    return path


def _corners(space: FamilySpace) -> Iterator[dict[str, ParameterValue]]:
    names = list(space.parameters)
    for values in product(*(endpoints(space.parameters[name].domain) for name in names)):
        point: dict[str, ParameterValue] = {}
        for name, value in zip(names, values, strict=True):
            if all(point.get(other) in allowed for other, allowed in space.parameters[name].when.items()):
                point[name] = value
        yield point
