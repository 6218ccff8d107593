"""The ``schedule`` and ``default`` keys of a space file: which families compete, with which domains and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations, islice, product
from typing import Any

from autosched import schedules
from autosched.errors import ScheduleError
from autosched.schedules import Family
from autosched.schedules.schedule import ParameterValue
from autosched.space.conditions import Conditions
from autosched.space.document import KeyPath, shown
from autosched.space.domains import default_domain, endpoints, read_domain, read_value
from autosched.space.hyperparameters import KEY as HYPERPARAMETERS
from autosched.space.hyperparameters import read_values
from autosched.space.records import FamilySpace, Fixed, ScheduleSpec, SearchParameter
from autosched.space.section import Section, closest, dotted
from autosched.space.trainer_spec import TrainerSpec

RECIPE = "recipe"
NAMED = 8  # families in a message about none: all of them make a paragraph
MOST_CORNERS = 4096
"""Extreme points of a family's space that are tried against the family's rules, those near the first one first."""
MOST_CHANGED = 3
"""Parameters in which such a point differs from the first one; no family has a rule about more."""


def read_families(top: Section, horizon: int | None) -> tuple[FamilySpace, ...]:
    """The competing families, in the order of the file.

    ``schedule`` is a mapping of family to parameters, or a list of family names (then with the family's own bounds)
    and such mappings.
    """
    names = schedules.family_names()
    some = ", ".join(names[:NAMED])
    rule = f"a mapping or list of at least one of {some}, … (`autosched schedules` lists all {len(names)})"
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


def read_default(
    top: Section, horizon: int | None, hyperparameters: Mapping[str, SearchParameter], trainer: TrainerSpec | None
) -> ScheduleSpec | None:
    """What would have been used without tuning; None when there is none, or after a fault.

    Hyperparameters that it does not name are the trainer's own.
    """
    if not top.has("default"):
        return None
    value = top.raw("default")
    written = value.get(HYPERPARAMETERS, {}) if isinstance(value, dict) else {}
    if isinstance(value, dict):
        value = {name: part for name, part in value.items() if name != HYPERPARAMETERS}
    spec = _read_default(Section({**top.data, "default": value}, top.path, top.faults), horizon)
    if spec is None or not (hyperparameters or written):
        return spec
    path = ("default", HYPERPARAMETERS)
    if not isinstance(written, dict) or not hyperparameters:
        rule = "a mapping of names to values" if hyperparameters else "left out, as the space has no hyperparameters"
        top.faults.add(path, f"{dotted(path)} must be {rule}, but got {shown(written)}.")
        return None
    beside = read_values(Section(written, path, top.faults), hyperparameters, trainer)
    return None if beside is None else ScheduleSpec(family=spec.family, params={**spec.params, **beside})


def _read_default(top: Section, horizon: int | None) -> ScheduleSpec | None:
    value = top.raw("default")
    if not isinstance(value, dict) or (len(value) != 1 and RECIPE not in value):
        top.fault("default", f"must be one family with plain values, like {{wsd: {{…}}}}, but got {shown(value)}.")
        return None
    section = top.section("default")
    if RECIPE in value:
        family = _recipe(section)
        return None if family is None else _read_point(family, _without_recipe(section), horizon)
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
        message = f"default.{error}"
        missing = next((n for n in family.parameters if str(error).startswith(f"{family.name}.{n} is missing")), None)
        if missing is not None:
            section.faults.missing(section.path, message)
            return None
        name = _blamed(family, str(error))
        path = section.path if name is None else (*section.path, name)
        section.faults.add(path, message, related=[("horizon_steps",)])
        return None
    return ScheduleSpec(family=family.name, params=complete)


def _families_of(section: Section, horizon: int | None) -> list[FamilySpace]:
    """Families of a mapping; one without parameters (``cosine:``) is searched with its own bounds.

    ``recipe: NAME`` beside parameters is the one family NAME with them.
    """
    if RECIPE in section.data:
        recipe, given = _recipe(section), _without_recipe(section)
        return [] if recipe is None else [_read_family(recipe, given, horizon, searched=not given.data)]
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
        if not isinstance(entry, dict) or (len(entry) != 1 and RECIPE not in entry):
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


def _recipe(section: Section) -> Family | None:
    """The family that ``recipe`` names."""
    name, names = section.data[RECIPE], schedules.recipe_names()
    if isinstance(name, str) and name in names:
        return schedules.get_family(name)
    hint = (closest(name, names) if isinstance(name, str) else "") or "."
    message = f"{RECIPE} must be one of {', '.join(names)}, but got {shown(name)}{hint}"
    section.faults.add((*section.path, RECIPE), message)
    return None


def _without_recipe(section: Section) -> Section:
    """The parameters beside ``recipe``, in the same place."""
    return Section({k: v for k, v in section.data.items() if k != RECIPE}, section.path, section.faults)


def _family(name: str, section: Section) -> Family | None:
    names = schedules.family_names()
    if name in names:
        return schedules.get_family(name)
    path = (*section.path, name)
    section.faults.add(path, no_family(name), at_key=True)
    return None


def no_family(name: str) -> str:
    """What to say of a name that no family has."""
    names = schedules.family_names()
    families = ", ".join(known for known in names if known not in schedules.recipe_names())
    hint = closest(name, names) or "."
    return f"family must be one of {families}, or a recipe, but got {shown(name)}{hint}"


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
    faulty: set[str] = set()
    conditions = Conditions(family, known, section.faults)
    for name in family.parameters:
        if _reads(family, name, section) & faulty:  # whether it exists cannot be told; its values can be checked
            if name in section.data:
                read_domain(
                    family.parameters[name], family.name, section.data[name], (*section.path, name), section.faults
                )
            faulty.add(name)
            continue
        parameter = _read_parameter(family, name, section, conditions, searched=searched)
        if parameter is not None:
            known[name] = parameter
        elif name in section.data or (family.parameters[name].required and conditions.own(name) is not None):
            faulty.add(name)
    found = FamilySpace(family=family.name, parameters=known)
    if not faulty and horizon is not None:
        _check_corners(family, found, section, horizon)
    return found


def _reads(family: Family, name: str, section: Section) -> set[str]:
    """The parameters that the conditions of `name` are about."""
    value = section.data.get(name)
    when = value.get("when") if isinstance(value, dict) else None
    return {*family.parameters[name].when, *(when if isinstance(when, dict) else ())}


def _read_parameter(
    family: Family, name: str, section: Section, conditions: Conditions, *, searched: bool
) -> SearchParameter | None:
    parameter, path = family.parameters[name], (*section.path, name)
    own = conditions.own(name)
    if name not in section.data:
        domain = default_domain(parameter, searched=searched)
        if own is None or (parameter.implied and isinstance(domain, Fixed)):
            return None
        if domain is None:
            section.faults.missing(section.path, f"{dotted(path)} is missing; it must be {parameter.rule}, or bounds.")
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
            name = _blamed(family, str(error))
            path = section.path if name is None else _worst(section, name, point)
            message = ".".join(filter(None, (dotted(section.path[:-1]), str(error))))
            section.faults.add(path, message, related=[("horizon_steps",)])
            return


def _blamed(family: Family, message: str) -> str | None:
    """The parameter a family's fault is about."""
    return next((name for name in family.parameters if re.match(rf"{family.name}\.{name}\b", message)), None)


def _worst(section: Section, name: str, point: Mapping[str, ParameterValue]) -> KeyPath:
    """The place of the bound or choice that made a corner, which may have a line of its own."""
    path, value = (*section.path, name), section.data.get(name)
    if name not in point:  # a condition left it to its default
        return (*path, "when")
    if isinstance(value, dict) and "high" in value:
        return (*path, "high" if value["high"] == point[name] else "low")
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        path, value = (*path, "choices"), value["choices"]
    return (*path, value.index(point[name])) if isinstance(value, list) and point[name] in value else path


def _corners(space: FamilySpace) -> Iterator[dict[str, ParameterValue]]:
    """The first corner, then those that differ from it in one parameter, in two, in three."""
    values = {name: endpoints(parameter.domain) for name, parameter in space.parameters.items()}
    open_names = [name for name, options in values.items() if len(options) > 1]
    for count in range(min(len(open_names), MOST_CHANGED) + 1):
        for changed in combinations(open_names, count):
            for chosen in product(*(values[name][1:] for name in changed)):
                yield _existing(
                    space, {name: v[0] for name, v in values.items()} | dict(zip(changed, chosen, strict=True))
                )


def _existing(space: FamilySpace, values: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """Those of the values whose parameters exist beside the others."""
    point: dict[str, ParameterValue] = {}
    for name, value in values.items():
        if space.parameters[name].exists(point):
            point[name] = value
    return point
