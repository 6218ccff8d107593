"""`--ladder N`: the same study at smaller horizons or widths, so that a transfer rule can be fitted to one's own code.

Each rung has half the size of the next; the largest is the study itself. A rung has the study's budget in full runs of
its own, no confirming runs, and the space's own bounds; counts of updates in its schedules shrink with the horizon, but
for the warmup's.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from autosched.errors import UsageError
from autosched.schedules.registry import get_family
from autosched.space import space_to_json
from autosched.space.records import Budget, Choice, Confirm, Domain, FamilySpace, Fixed, Range, ScheduleSpec, Space
from autosched.space.target import OPTIONS
from autosched.space.yaml_file import checked_space
from autosched.study.sources import SpaceSource, override_texts, read_source
from autosched.study.start import CHECKS, Settings
from autosched.study.target import axis_of, size_of
from autosched.transfer.carry import scaled_parameter, scaled_params
from autosched.transfer.ladder import QUANTITIES
from autosched.transfer.rule import Axis


class Rung(NamedTuple):
    """A study of a ladder that is to be begun.

    Attributes:
        resume: go on with it where it exists, as those below the study itself always are.
        is_own: whether it is the study that was asked for, the last one.
    """

    source: SpaceSource
    settings: Settings
    resume: bool
    is_own: bool


def ladder_of(source: SpaceSource, settings: Settings, count: int | None, *, resume: bool) -> list[Rung]:
    """The studies to run one after another, the smallest first: a ladder of `count`, or the study alone without one.

    Raises:
        UsageError: as :func:`rungs_below`, or the space has a fault (SpaceError).
    """
    if count is None:
        return [Rung(source, settings, resume, is_own=True)]
    below = rungs_below(checked_space(read_source(source), settings.texts(), CHECKS), count)
    named = f"target.rungs={json.dumps([rung['study'] for rung in below])}"
    own = dataclasses.replace(settings, overrides=[*override_texts(settings.overrides), named])
    bare = Settings(ledger=settings.ledger)
    return [*(Rung(rung, bare, True, is_own=False) for rung in below), Rung(source, own, resume, is_own=True)]


def rungs_below(space: Space, count: int) -> list[Mapping[str, Any]]:
    """The spaces of the smaller rungs, the smallest first.

    Args:
        count: rungs of the ladder, the space's own among them.

    Raises:
        UsageError: fewer than two, a size that cannot be halved so often, or a space with hyperparameters.
    """
    axis = axis_of(space)
    size = size_of(space, axis)
    if count < 2:
        raise UsageError(f"--ladder must be at least 2, the studies of the ladder with this one, but got {count}.")
    if size is None:
        raise UsageError(f"--ladder over widths needs the trainer's option {' or '.join(OPTIONS['width'])}.")
    if space.hyperparameters:
        raise UsageError(
            f"--ladder compares peak LRs alone, but this space searches {', '.join(space.hyperparameters)}."
        )
    parts = [2**power for power in range(count - 1, 0, -1)]
    if size % parts[0]:
        halved = f"{QUANTITIES[axis]} that can be halved {count - 1} times"
        raise UsageError(f"--ladder {count} needs {halved}, but this space has {size:g}.")
    return [_rung(space, axis, part) for part in parts]


def _rung(space: Space, axis: Axis, part: int) -> Mapping[str, Any]:
    size = int(size_of(space, axis) or 0) // part
    named = dataclasses.replace(space, study=f"{space.study}-{size}", confirm=Confirm(), target=None)
    if axis == "width":
        option = next(option for option in OPTIONS["width"] if option in space.trainer.options)
        options = {**space.trainer.options, option: size}
        return space_to_json(dataclasses.replace(named, trainer=dataclasses.replace(space.trainer, options=options)))
    shorter = dataclasses.replace(
        named,
        horizon_steps=size,
        schedule=tuple(_shorter_family(family, part) for family in space.schedule),
        candidates=tuple(_shorter_spec(spec, part) for spec in space.candidates),
        default=None if space.default is None else _shorter_spec(space.default, part),
        budget=_shorter_budget(space.budget, part),
    )
    data = space_to_json(shorter)
    return {key: value for key, value in data.items() if key not in {"eval_every", "checkpoint_every"}}


def _shorter_budget(budget: Budget, part: int) -> Budget:
    return dataclasses.replace(budget, steps=None if budget.steps is None else max(1, budget.steps // part))


def _shorter_spec(spec: ScheduleSpec, part: int) -> ScheduleSpec:
    return ScheduleSpec(family=spec.family, params=scaled_params(spec.family, spec.params, 1.0, 1 / part))


def _shorter_family(family: FamilySpace, part: int) -> FamilySpace:
    known = get_family(family.family).parameters
    searched = {
        name: dataclasses.replace(parameter, domain=_shorter(known[name], parameter.domain, part))
        for name, parameter in family.parameters.items()
    }
    return dataclasses.replace(family, parameters=searched)


def _shorter(parameter: Any, domain: Domain, part: int) -> Domain:
    def scaled(value: Any) -> Any:
        return scaled_parameter(parameter, value, 1.0, 1 / part)

    match domain:
        case Fixed(value=value):
            return Fixed(value=scaled(value))
        case Choice(values=values):
            return Choice(values=tuple(scaled(value) for value in values))
        case Range(low=low, high=high):
            return dataclasses.replace(domain, low=scaled(low), high=scaled(high))
