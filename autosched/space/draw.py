"""A random point of a space, for pictures and for tests; searching is the controllers' work."""

from __future__ import annotations

import math

import numpy as np

from autosched.schedules.schedule import ParameterValue
from autosched.space.records import Choice, Domain, Fixed, ScheduleSpec, Space


def draw(space: Space, generator: np.random.Generator) -> ScheduleSpec:
    """One point: a family uniformly, then its parameters in order, each uniform on its own scale; or a candidate."""
    if space.candidates:
        return space.candidates[int(generator.integers(len(space.candidates)))]
    family = space.schedule[int(generator.integers(len(space.schedule)))]
    params: dict[str, ParameterValue] = {}
    for name, parameter in family.parameters.items():
        if parameter.exists(params):
            params[name] = _draw(parameter.domain, generator)
    return ScheduleSpec(family=family.family, params=params)


def _draw(domain: Domain, generator: np.random.Generator) -> ParameterValue:
    if isinstance(domain, Fixed):
        return domain.value
    if isinstance(domain, Choice):
        return domain.values[int(generator.integers(len(domain.values)))]
    low, high = (math.log(domain.low), math.log(domain.high)) if domain.log else (domain.low, domain.high)
    value = float(generator.uniform(low, high))
    value = min(max(math.exp(value) if domain.log else value, domain.low), domain.high)
    return round(value) if domain.integer else value
