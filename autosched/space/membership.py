"""Points of a space: which are inside, what schedule they stand for, and how much of it others can share."""

from __future__ import annotations

from collections.abc import Mapping

from autosched import schedules
from autosched.errors import ScheduleError
from autosched.schedules.schedule import ParameterValue, Schedule
from autosched.space.hyperparameters import coordinates, divided
from autosched.space.records import Choice, Domain, FamilySpace, Fixed, Range, ScheduleSpec, SearchParameter, Space


def build_schedule(space: Space, spec: ScheduleSpec) -> Schedule:
    """The schedule of a point, over the space's horizon.

    Raises:
        ScheduleError: an unknown family or parameter, or a value against the family's rules.
    """
    params, beside = divided(spec.params, space.hyperparameters)
    built = schedules.build(spec.family, params, steps=space.horizon_steps)
    return built.beside(beside, coordinates(space.hyperparameters, beside))


def contains(space: Space, spec: ScheduleSpec) -> bool:
    """Whether a proposal of this space could stand for the same schedule as `spec`.

    Every parameter that exists under the space's conditions is there with a value of its domain. One that does not
    exist may be there with the family's own default, as a built schedule carries it.
    """
    family = _competing(space, spec)
    if family is None:
        return False
    if space.candidates:
        return _is_listed(space, spec)
    params = stated(family, spec.params)
    active = active_parameters(family, params)
    drawn = all(name in params and domain_contains(p.domain, params[name]) for name, p in active.items())
    return drawn and all(_is_default(family, params, name) for name in params if name not in active)


def can_branch(space: Space, spec: ScheduleSpec | Schedule, step: int) -> bool:
    """Whether another proposal of this space can share exactly the first `step` LRs of this schedule.

    It can inside the family's stable phase, when every parameter that shapes it is fixed or has countable values
    (a number drawn from a continuous range is never drawn again), and anywhere when no parameter is continuous.
    The checkpoint at `step` is worth keeping exactly then.
    """
    family = _competing(space, spec)
    if family is None or not 0 < step <= space.horizon_steps:
        return False
    given = {**spec.params, **spec.hyperparameters} if isinstance(spec, Schedule) else spec.params
    params = stated(family, given)
    active = active_parameters(family, params)
    if all(_repeats(parameter, params.get(name)) for name, parameter in active.items()):
        return True
    shape = schedules.get_family(spec.family)
    stable = [name for name in (*shape.stable_parameters, *space.hyperparameters) if name in active]
    complete = shape.complete(
        divided(params, space.hyperparameters)[0], steps=space.horizon_steps
    )  # with what a condition left to its default
    within = step <= shape.stable_steps(complete, space.horizon_steps)
    return within and all(_repeats(active[name], params.get(name)) for name in stable)


def stated(family: FamilySpace, params: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """`params` with the values that go without saying (:attr:`Parameter.implied`) of parameters this space has."""
    known = schedules.get_family(family.family).parameters
    silent = {name: known[name].default for name in family.parameters if name in known and known[name].implied}
    return {name: value for name, value in silent.items() if value is not None} | dict(params)


def active_parameters(family: FamilySpace, params: Mapping[str, ParameterValue]) -> dict[str, SearchParameter]:
    """The parameters of a family that exist when others have the values in `params`, in the order they are drawn."""
    active: dict[str, SearchParameter] = {}
    for name, parameter in family.parameters.items():
        if all(other in active and params.get(other) in values for other, values in parameter.when.items()):
            active[name] = parameter
    return active


def domain_contains(domain: Domain, value: ParameterValue | None) -> bool:
    """Whether a value can be drawn from a domain; None, that is no value, cannot."""
    if value is None:
        return False
    if isinstance(domain, Fixed):
        return _same(value, domain.value)
    if isinstance(domain, Choice):
        return any(_same(value, known) for known in domain.values)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return domain.low <= value <= domain.high and (not domain.integer or float(value).is_integer())


def _is_listed(space: Space, spec: ScheduleSpec) -> bool:
    """Whether the point is one of the space's candidates, which are complete."""
    try:
        own, beside = divided(spec.params, space.hyperparameters)
        params = schedules.get_family(spec.family).complete(own, steps=space.horizon_steps)
    except ScheduleError:
        return False
    return ScheduleSpec(family=spec.family, params={**params, **beside}) in space.candidates


def _competing(space: Space, spec: ScheduleSpec | Schedule) -> FamilySpace | None:
    return next((family for family in space.schedule if family.family == spec.family), None)


def _is_default(family: FamilySpace, params: Mapping[str, ParameterValue], name: str) -> bool:
    """Whether the family itself would give this parameter this value."""
    parameter = schedules.get_family(family.family).parameters.get(name)
    return (
        parameter is not None
        and parameter.default is not None
        and parameter.exists(params)
        and _same(params[name], parameter.default)
    )


def _repeats(parameter: SearchParameter, value: ParameterValue | None) -> bool:
    """Whether this value can be drawn a second time."""
    domain = parameter.domain
    if value is None or (isinstance(domain, Range) and not domain.integer):
        return False
    return domain_contains(domain, value)


def _same(value: ParameterValue, other: ParameterValue) -> bool:
    """Equal, and true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)
