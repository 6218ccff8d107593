"""The ``hyperparameters`` key of a space file: options of the trainer that are searched together with the schedule.

    hyperparameters:
      weight_decay: {low: 0.01, high: 1.0, scale: log}
      batch: {low: 8, high: 64, scale: log, integer: true}     # whole numbers only
      optimizer: [adamw, lion]
      betas: {choices: [[0.9, 0.95], [0.9, 0.99]], when: {optimizer: adamw}}

LRs of groups of weights over the schedule's may be written below a key of their own: ``groups: {head: {lr_ratio: …}}``
is ``hyperparameters: {head_lr_ratio: …}``.

A point of the space is one mapping: the family's parameters, then these. It is divided again where a schedule is built
(:func:`autosched.space.membership.build_schedule`): the schedule carries them beside its LRs, and the trainer of its
segments gets them over its own options (:meth:`autosched.space.trainer_spec.TrainerSpec.beside`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from autosched import schedules
from autosched.schedules import Parameter
from autosched.schedules.schedule import Coordinates, ParameterValue
from autosched.space.conditions import When
from autosched.space.document import Document, KeyPath, shown
from autosched.space.domains import FORMS, MOST_CHOICES, domain_of, endpoints, read_domain
from autosched.space.records import Choice, Domain, FamilySpace, Fixed, Range, SearchParameter
from autosched.space.section import Faults, Section, dotted, is_number
from autosched.space.trainer_spec import TrainerSpec

KEY = "hyperparameters"
GROUPS, LR_RATIO = "groups", "lr_ratio"
WEIGHT_DECAY = "weight_decay"
"""What an option is called that is AdamW's weight decay, of the built-in trainers and nearly all others."""
_Values = dict[str, ParameterValue]
Part = TypeVar("Part")
RULE = "a finite number, a text, true or false, or a list of numbers"


def read_hyperparameters(top: Section) -> dict[str, SearchParameter]:
    """The domains, in the order of the file, so that conditions look back only.

    As in ``schedule``, a list of mappings of one name each is the same in JSON, where the order of keys is none.
    """
    listed = top.raw(KEY)
    if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
        section = Section({name: part for one in listed for name, part in one.items()}, (KEY,), top.faults)
    else:
        section = top.section(KEY, form="a mapping like {weight_decay: {low: 0.01, high: 1, scale: log}}")
    found: dict[str, SearchParameter] = {}
    for name in section.data:
        _add(found, section, name, name)
    groups = top.section(GROUPS, form="a mapping like {embeddings: {lr_ratio: {low: 0.1, high: 10, scale: log}}}")
    for group in groups.data:
        own = groups.section(group, form="a mapping like {lr_ratio: {low: 0.1, high: 10, scale: log}}")
        if f"{group}_{LR_RATIO}" in found:
            groups.fault(group, f"has its {LR_RATIO} as {KEY}.{group}_{LR_RATIO} already.")
        elif own.require(LR_RATIO, FORMS):
            _add(found, own, LR_RATIO, f"{group}_{LR_RATIO}")
        own.close()
    return found


def _add(known: dict[str, SearchParameter], section: Section, key: str, name: str) -> None:
    """Read the hyperparameter `name` from the section's `key`, and add it to those before it."""
    parameter = _read((*section.path, key), name, section.raw(key), known, section.faults)
    if parameter is not None:
        known[name] = parameter


def hyperparameters_in(space: Mapping[str, Any]) -> dict[str, SearchParameter]:
    """The domains in a space as JSON data, as the ledger holds it; none where it is damaged."""
    if isinstance(space.get("candidates"), list):
        return searched_in([point.get(KEY, {}) for point in space["candidates"]])
    return read_hyperparameters(Section(dict(space), (), Faults(Document(data={}, places={}))))


def read_values(section: Section, known: Mapping[str, SearchParameter], trainer: TrainerSpec | None) -> _Values | None:
    """Plain values below `section`, one of every hyperparameter; those left out are the trainer's own options.

    None after a fault.
    """
    given: dict[str, ParameterValue] = {}
    for name, value in section.data.items():
        path = (*section.path, name)
        if known and name not in known:
            section.faults.add(path, f"{dotted(path)} must be one of {', '.join(known)}.", at_key=True)
            return None
        if not _is_value(value):
            section.faults.add(path, f"{dotted(path)} must be {RULE}, but got {shown(value)}.")
            return None
        given[name] = value
    own = {} if trainer is None else trainer.own_hyperparameters
    point: dict[str, ParameterValue] = {}
    for name in known or given:
        if known and not known[name].exists(point):
            continue
        if name not in given and name not in own:
            text = f"{dotted((*section.path, name))} is missing; write it there, or as an option of the trainer."
            section.faults.missing(section.path, text)
            return None
        point[name] = given[name] if name in given else own[name]
    return point


def beside(family: FamilySpace, hyperparameters: Mapping[str, SearchParameter]) -> FamilySpace:
    """A family's space with the hyperparameters after its own parameters."""
    return FamilySpace(family=family.family, parameters={**family.parameters, **hyperparameters})


def divided(params: Mapping[str, Part], names: Mapping[str, Any]) -> tuple[dict[str, Part], dict[str, Part]]:
    """A point's family parameters, and its hyperparameters; or the domains of both."""
    return (
        {name: value for name, value in params.items() if name not in names},
        {name: value for name, value in params.items() if name in names},
    )


def searched_in(points: Sequence[Mapping[str, ParameterValue]]) -> dict[str, SearchParameter]:
    """The domains of listed points' hyperparameters: the values that occur."""
    found: dict[str, SearchParameter] = {}
    for name in dict.fromkeys(name for point in points for name in point):
        values = [point[name] for point in points if name in point]
        found[name] = SearchParameter(domain=domain_of(values))
    return found


def central(hyperparameters: Mapping[str, SearchParameter]) -> _Values:
    """The middle of every range on its scale, and the first of every choice."""
    point: _Values = {}
    for name, parameter in hyperparameters.items():
        if parameter.exists(point):
            point[name] = _middle(parameter.domain)
    return point


def to_check(hyperparameters: Mapping[str, SearchParameter], trainer: TrainerSpec) -> _Values:
    """Values to look at a trainer with before anything is trained: its own, or else the middle."""
    return {**central(hyperparameters), **divided(trainer.own_hyperparameters, hyperparameters)[1]}


def coordinates(hyperparameters: Mapping[str, SearchParameter], values: Mapping[str, ParameterValue]) -> Coordinates:
    """Where values lie in their domains: what a law's residual process is told of them.

    A number of a range lies at 0 to 1 on the range's scale. Any other domain of several values has a coordinate for
    each, 1 / sqrt(2) at the value that is there and else 0, so that two values are 1 apart. What does not exist lies at
    the middle.
    """
    found: list[float] = []
    for name, parameter in hyperparameters.items():
        domain, value = parameter.domain, values.get(name)
        if isinstance(domain, Range):
            found.append(_place(domain, value))
        elif isinstance(domain, Choice):
            found += [math.sqrt(0.5) * (known == value) for known in domain.values]
    return Coordinates(tuple(found), _log_decay(hyperparameters, values))


def _log_decay(hyperparameters: Mapping[str, SearchParameter], values: Mapping[str, ParameterValue]) -> float | None:
    """ln of the weight decay, where it is searched between bounds above 0; what does not exist is the middle's."""
    searched = hyperparameters.get(WEIGHT_DECAY)
    if searched is None or not isinstance(searched.domain, Range) or searched.domain.low <= 0:
        return None
    value = values.get(WEIGHT_DECAY, _middle(searched.domain))
    return math.log(max(float(value), searched.domain.low)) if isinstance(value, int | float) else None


def _place(domain: Range, value: ParameterValue | None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.5
    if domain.log:
        return math.log(max(value, 1e-300) / domain.low) / math.log(domain.high / domain.low)
    return (value - domain.low) / (domain.high - domain.low)


def _middle(domain: Domain) -> ParameterValue:
    if isinstance(domain, Fixed):
        return domain.value
    if isinstance(domain, Choice):
        return domain.values[0]
    middle = math.sqrt(domain.low) * math.sqrt(domain.high) if domain.log else (domain.low + domain.high) / 2
    return round(middle) if domain.integer else middle


def _read(
    path: KeyPath, name: str, value: Any, known: Mapping[str, SearchParameter], faults: Faults
) -> SearchParameter | None:
    if not name.isidentifier():
        faults.add(path, f"{dotted(path)} must be the name of an option of the trainer.", at_key=True)
        return None
    families = [f for f in schedules.family_names() if name in schedules.get_family(f).parameters]
    if families:
        message = f"is a parameter of the schedule family {families[0]}, which is searched below schedule"
        faults.add(path, f"{dotted(path)} {message}.", at_key=True)
        return None
    if isinstance(value, dict) and ("low" in value or "high" in value):
        kept = {key: part for key, part in value.items() if key != "integer"}
        inner = Section(value, path, faults)
        integer = inner.flag("integer", default=False)
        parameter = Parameter(name=name, kind="integer" if integer else "float", meaning="")
        domain = read_domain(parameter, KEY, kept, path, faults)
    else:
        domain = _plain(faults, path, value)
    when = _when(faults, path, value, known)
    return None if domain is None or when is None else SearchParameter(domain=domain, when=when)


def _plain(faults: Faults, path: KeyPath, value: Any) -> Domain | None:
    """A value, or several."""
    if not isinstance(value, dict):
        return _choices(faults, path, value) if isinstance(value, list) else _fixed(faults, path, value)
    inner = Section(value, path, faults)
    inner.has("when")
    choices, fixed = inner.raw("choices"), inner.raw("value")
    inner.close()
    if isinstance(choices, list):
        return _choices(faults, (*path, "choices"), choices)
    return _fixed(faults, (*path, "value") if "value" in value else path, fixed)


def _choices(faults: Faults, path: KeyPath, values: list[Any]) -> Domain | None:
    if not values or len(values) > MOST_CHOICES:
        faults.add(path, f"{dotted(path)} must have 1 to {MOST_CHOICES} choices, but has {len(values)}.")
        return None
    for index, value in enumerate(values):
        here = (*path, index)
        if not _is_value(value):
            faults.add(here, f"{dotted(here)} must be {RULE}, but got {shown(value)}.")
            return None
        if any(value == other and type(value) is type(other) for other in values[:index]):
            faults.add(here, f"{dotted(here)} is {shown(value)} again; choices must differ.")
            return None
    return Choice(values=tuple(values))


def _fixed(faults: Faults, path: KeyPath, value: Any) -> Domain | None:
    if _is_value(value):
        return Fixed(value=value)
    faults.add(path, f"{dotted(path)} must be {FORMS}, but got {shown(value)}.")
    return None


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(is_number(part) for part in value)
    return isinstance(value, bool | str) or is_number(value)


def _when(faults: Faults, path: KeyPath, value: Any, known: Mapping[str, SearchParameter]) -> When | None:
    """The condition of a hyperparameter on earlier ones; empty without one, None after a fault."""
    if not isinstance(value, dict) or "when" not in value:
        return {}
    path, written = (*path, "when"), value["when"]
    if not isinstance(written, dict) or not written:
        rule = "a mapping of an earlier hyperparameter to its values, like {optimizer: adamw}"
        faults.add(path, f"{dotted(path)} must be {rule}, but got {shown(written)}.")
        return None
    found: When = {}
    for other, values in written.items():
        here = (*path, other)
        if other not in known or isinstance(known[other].domain, Range):
            earlier = [name for name, one in known.items() if not isinstance(one.domain, Range)]
            rule = f"must name an earlier hyperparameter that has choices, one of {', '.join(earlier) or 'none'}."
            faults.add(here, f"{dotted(here)} {rule}", at_key=True)
            return None
        possible: Sequence[ParameterValue] = endpoints(known[other].domain)
        listed = values if isinstance(values, list) and values not in possible else [values]
        strange = [one for one in listed if one not in possible]
        if strange:
            rule = f"must be among {', '.join(map(shown, possible))}, but got {shown(strange[0])}"
            faults.add(here, f"{dotted(here)} {rule}.")
            return None
        found[other] = tuple(listed)
    return found
