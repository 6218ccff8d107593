"""The ``target`` of a space: the training that its runs stand for, so that the winner is carried over to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autosched.schedules.schedule import MOST_UPDATES
from autosched.space.document import shown
from autosched.space.records import Space, Target
from autosched.space.section import Section, is_number
from autosched.space.trainer_spec import TrainerSpec

OPTIONS: Mapping[str, tuple[str, ...]] = {"batch": ("batch", "batch_size"), "width": ("width",)}
"""Options of a trainer that say what its runs have of it."""


def read_target(top: Section, trainer: TrainerSpec | None) -> Target | None:
    """The ``target`` key; None without one."""
    if not top.has("target"):
        return None
    section = top.section("target", form="a mapping like {steps: 50000, batch: 64}")
    target = Target(
        steps=section.integer("steps", at_least=1, at_most=MOST_UPDATES),
        **{name: section.number(name, above_zero=True) for name in OPTIONS},
        **{f"from_{name}": _own(section, name, trainer) for name in OPTIONS},
        rungs=_rungs(section),
    )
    section.close()
    if isinstance(top.raw("target"), dict) and not {"steps", "batch", "width", "rungs"} & section.data.keys():
        top.fault("target", "must have at least one of steps, batch, width, rungs.")
    return target


def check_target(space: Space, top: Section) -> None:
    """Note what cannot be carried over from runs whose hyperparameters differ."""
    if space.target is None or not space.hyperparameters:
        return
    if space.target.rungs:
        message = "target.rungs cannot stand beside hyperparameters: the best peak LRs of runs that differ in more are"
        top.faults.add(("target", "rungs"), f"{message} no ladder.")
    for name, options in OPTIONS.items():
        searched = next((option for option in options if option in space.hyperparameters), None)
        if searched is not None and getattr(space.target, name) is not None:
            message = f"target.{name} cannot be given where {searched} is searched: it would be another for every run."
            top.faults.add(("target", name), message, related=[("hyperparameters", searched)])


def _own(section: Section, name: str, trainer: TrainerSpec | None) -> float | None:
    """What the study's runs have: as the target says, else as the trainer's options do, if it is needed."""
    given = section.number(f"from_{name}", above_zero=True)
    if given is not None or not section.has(name):
        return given
    options = {} if trainer is None else trainer.options
    known = next((options[option] for option in OPTIONS[name] if is_number(options.get(option))), None)
    if known is None and trainer is not None:
        message = f"needs what the study's own runs have: trainer.with has no {' or '.join(OPTIONS[name])}"
        section.fault(name, f"{message}; write target.from_{name}.")
    return None if known is None else float(known)


def _rungs(section: Section) -> tuple[str, ...]:
    if not section.has("rungs"):
        return ()
    value = section.raw("rungs")
    if isinstance(value, list) and value and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    section.fault("rungs", f"must be a list of names of studies, but got {shown(value)}.")
    return ()


def target_to_json(target: Target) -> dict[str, Any]:
    """What :func:`read_target` reads; what is None is left out."""
    values = {name: getattr(target, name) for name in ("steps", "batch", "width", "from_batch", "from_width")}
    given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    return {**given, "rungs": list(target.rungs)} if target.rungs else given
