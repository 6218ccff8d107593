"""A schedule written again for another horizon, peak LR or cooldown."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.batch_ramp import DOUBLE_BATCH_AT
from autosched.schedules.parameter import Parameter
from autosched.schedules.registry import build, family_names, get_family
from autosched.schedules.schedule import ParameterValue, Schedule
from autosched.schedules.table import TABLE

_WARMUP = "warmup_steps"


def carried(
    schedule: Schedule, *, steps: int, factor: float = 1.0, changes: Mapping[str, ParameterValue] | None = None
) -> Schedule:
    """The same kind of schedule with `steps` updates and `factor` times the peak LR.

    A family's schedule is built again: counts of updates times the ratio of the horizons, rounded, LRs times `factor`;
    only the warmup keeps its number of updates, since it lasts as long as the optimizer's statistics need. Where that
    does not scale the whole curve (a power law cut off at a maximum) the LRs are scaled and the result is a table. A
    table, or a schedule whose LRs are not those of its parameters, is stretched as a whole, warmup included.

    Args:
        changes: parameters of the family to give another value.

    Raises:
        ScheduleError: the parameters do not fit the new horizon, or `changes` for a table.

    Example:
        >>> old = build("wsd", {"peak_lr": 0.01, "warmup_steps": 2, "cooldown_fraction": 0.5}, steps=8)
        >>> carried(old, steps=16, factor=0.5).lrs.tolist()[:4]
        [0.0025, 0.005, 0.005, 0.005]
        >>> carried(Schedule([4.0, 2.0]), steps=4).lrs.tolist()
        [4.0, 3.5, 2.5, 2.0]
    """
    made = _carried(schedule, steps, factor, changes)
    if DOUBLE_BATCH_AT in schedule.hyperparameters and DOUBLE_BATCH_AT not in made.hyperparameters:
        text = "counts the updates of one horizon: only a family that has a ramp can be carried over"
        raise ScheduleError(f"{DOUBLE_BATCH_AT} {text}.")
    return made.beside({**schedule.hyperparameters, **made.hyperparameters})


def _carried(schedule: Schedule, steps: int, factor: float, changes: Mapping[str, ParameterValue] | None) -> Schedule:
    if is_family(schedule):
        same, scaled = (_rebuilt(schedule, steps, by, changes or {}) for by in (1.0, factor))
        whole = np.allclose(scaled.lrs, factor * same.lrs, rtol=1e-9, atol=0)
        return scaled if whole else Schedule(factor * same.lrs)
    if changes:
        raise ScheduleError(f"a table has no {', '.join(changes)}: only a family's schedule can be changed so.")
    shares = (np.arange(schedule.steps) + 0.5) / schedule.steps
    stretched = np.interp((np.arange(steps) + 0.5) / steps, shares, schedule.lrs)
    return Schedule(factor * stretched, "table", schedule.params)


def is_family(schedule: Schedule) -> bool:
    """Whether the schedule is its family's for its parameters, so that it can be built for another horizon."""
    if schedule.family not in family_names() or schedule.family == TABLE.name:
        return False
    try:
        return build(schedule.family, schedule.params, steps=schedule.steps).bare == schedule.bare
    except ScheduleError:
        return False


def _rebuilt(schedule: Schedule, steps: int, factor: float, changes: Mapping[str, ParameterValue]) -> Schedule:
    """The family's schedule for `steps` updates, its LRs given as parameters times `factor`."""
    params = scaled_params(schedule.family, schedule.params, factor, steps / schedule.steps)
    return build(schedule.family, {**params, **changes}, steps=steps)


def scaled_params(
    family: str, params: Mapping[str, ParameterValue], factor: float, ratio: float
) -> dict[str, ParameterValue]:
    """A family's parameters at `ratio` times the horizon and `factor` times the LRs."""
    parameters = get_family(family).parameters
    return {name: scaled_parameter(parameters[name], value, factor, ratio) for name, value in params.items()}


def scaled_parameter(parameter: Parameter, value: ParameterValue, factor: float, ratio: float) -> ParameterValue:
    """A parameter's value at `ratio` times the horizon and `factor` times the LRs."""
    if parameter.unit == "LR":
        scale = factor
    elif parameter.unit == "updates" and parameter.name != _WARMUP:
        scale = ratio
    else:
        return value
    if isinstance(value, list):
        return [_times(number, scale, whole=parameter.unit == "updates") for number in value]
    if isinstance(value, bool | str):
        return value
    return _times(value, scale, whole=parameter.kind == "integer")


def _times(number: float, scale: float, *, whole: bool) -> float | int:
    if scale == 1:
        return number
    if not whole:
        return number * scale
    rounded = math.floor(number * scale + 0.5)
    return max(rounded, 1) if number > 0 else rounded
