"""The ``candidates`` key of a space file: listed schedules instead of domains, when only these are worth a run.

    candidates:
      - wsd: {peak_lr: 1e-3, warmup_steps: 30, cooldown_fraction: 0.2}
      - cosine: {peak_lr: 2e-3, warmup_steps: 30}

It stands instead of ``schedule``. The families' domains are the values that occur, so that controllers can learn from
one candidate about others; combinations that are not listed are never proposed, and no candidate is proposed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autosched import schedules
from autosched.errors import ScheduleError
from autosched.schedules import Family
from autosched.schedules.schedule import ParameterValue
from autosched.space.document import KeyPath, shown
from autosched.space.domains import MOST_CHOICES, domain_of, read_value
from autosched.space.hyperparameters import KEY as HYPERPARAMETERS
from autosched.space.hyperparameters import read_values
from autosched.space.records import FamilySpace, Fixed, ScheduleSpec, SearchParameter
from autosched.space.schedule_section import no_family
from autosched.space.section import Section, closest, dotted
from autosched.space.trainer_spec import TrainerSpec

FORM = "a list of schedules, each one family with plain values, like [{wsd: {peak_lr: 1e-3, …}}, …]"


def read_candidates(top: Section, horizon: int | None, trainer: TrainerSpec | None) -> tuple[ScheduleSpec, ...]:
    """The listed schedules, complete with defaults; empty when there are none, or after a fault."""
    specs: list[ScheduleSpec] = []
    found: dict[schedules.Schedule, int] = {}
    listed = _listed(top)
    names = hyperparameters_of(listed)
    for index, entry in enumerate(listed):
        path = ("candidates", index)
        known = isinstance(entry, dict)
        own = {name: part for name, part in entry.items() if name != HYPERPARAMETERS} if known else entry
        spec = None if horizon is None else _read_candidate(top, path, own, horizon)
        if spec is None or horizon is None:
            return ()
        beside = _read_beside(top, path, entry, names, trainer)
        if beside is None:
            return ()
        built = schedules.build(spec.family, spec.params, steps=horizon).beside(beside)
        spec = ScheduleSpec(family=spec.family, params={**spec.params, **beside})
        first = found.setdefault(built, index)
        if first != index:
            message = f"candidates[{index}] is the schedule of candidates[{first}] again; candidates must differ."
            top.faults.add(("candidates", index), message)
            return ()
        specs.append(spec)
    return tuple(specs)


def hyperparameters_of(listed: Sequence[Any]) -> list[str]:
    """The names of hyperparameters that any listed candidate has."""
    parts = [entry.get(HYPERPARAMETERS) for entry in listed if isinstance(entry, dict)]
    return list(dict.fromkeys(name for part in parts if isinstance(part, dict) for name in part))


def _read_beside(
    top: Section, path: KeyPath, entry: Any, names: Sequence[str], trainer: TrainerSpec | None
) -> dict[str, ParameterValue] | None:
    """The hyperparameters of a candidate: all that any candidate has, the trainer's own where it has none."""
    written = entry.get(HYPERPARAMETERS, {})
    here = (*path, HYPERPARAMETERS)
    if not isinstance(written, dict):
        top.faults.add(here, f"{dotted(here)} must be a mapping of names to values, but got {shown(written)}.")
        return None
    known = {name: SearchParameter(domain=Fixed(value=0)) for name in names}
    return read_values(Section(written, here, top.faults), known, trainer)


def families_of(candidates: Sequence[ScheduleSpec]) -> tuple[FamilySpace, ...]:
    """The families of listed schedules, with the values that occur as domains."""
    names = list(dict.fromkeys(spec.family for spec in candidates))
    return tuple(_family_space(name, [spec.params for spec in candidates if spec.family == name]) for name in names)


def _listed(top: Section) -> list[Any]:
    """What is written below ``candidates``; empty when there is nothing, or after a fault."""
    if not top.has("candidates"):
        return []
    listed = top.raw("candidates")
    if not isinstance(listed, list) or not listed:
        top.fault("candidates", f"must be {FORM}, but {'is empty' if listed == [] else f'got {shown(listed)}'}.")
        return []
    if len(listed) > MOST_CHOICES:
        top.fault("candidates", f"must be at most {MOST_CHOICES}, but are {len(listed)}.")
        return []
    for other in ("schedule", HYPERPARAMETERS):
        if top.has(other):
            top.fault("candidates", f"stand instead of {other}; keep one of the two.", related=[other])
            return []
    return listed


def _read_candidate(top: Section, path: KeyPath, entry: Any, horizon: int) -> ScheduleSpec | None:
    if not isinstance(entry, dict) or len(entry) != 1:
        message = f"{dotted(path)} must be one family with plain values, like {{wsd: {{…}}}}, but got {shown(entry)}."
        top.faults.add(path, message)
        return None
    name, given = next(iter(entry.items()))
    here = (*path, name)
    if name not in schedules.family_names():
        top.faults.add(here, no_family(name), at_key=True)
        return None
    if not isinstance(given, dict):
        top.faults.add(here, f"{dotted(here)} must be a mapping of parameters to values, but got {shown(given)}.")
        return None
    params = _read_params(top, schedules.get_family(name), here, given, horizon)
    return None if params is None else ScheduleSpec(family=name, params=params)


def _read_params(
    top: Section, family: Family, path: KeyPath, given: Mapping[str, Any], horizon: int
) -> dict[str, ParameterValue] | None:
    checked: dict[str, ParameterValue] = {}
    for key, value in given.items():
        if key not in family.parameters:
            hint = closest(key, family.parameters) or "."
            message = f"{family.name} has no parameter {key!r}; it has {', '.join(family.parameters)}{hint}"
            top.faults.add((*path, key), message, at_key=True)
            return None
        known = read_value(family.parameters[key], family.name, value, (*path, key), top.faults)
        if known is None:
            return None
        checked[key] = known
    try:
        return family.complete(checked, steps=horizon)
    except ScheduleError as error:
        top.faults.add(path, f"{dotted(path[:-1])}.{error}", related=[("horizon_steps",)])
        return None


def _family_space(name: str, points: Sequence[Mapping[str, ParameterValue]]) -> FamilySpace:
    """Domains of the parameters that occur, in the family's order, each under the family's own condition."""
    parameters: dict[str, SearchParameter] = {}
    for key, parameter in schedules.get_family(name).parameters.items():
        silent = [parameter.default] if parameter.implied and parameter.default is not None else []
        values = [point[key] for point in points if key in point]
        if values:
            values += silent if len(values) < len(points) else []
            parameters[key] = SearchParameter(domain=domain_of(values), when=dict(parameter.when))
    return FamilySpace(family=name, parameters=parameters)
