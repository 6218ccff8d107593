"""What a space must be like for its command: the fields that it names, and what needs checkpoints."""

from __future__ import annotations

from autosched.errors import UsageError
from autosched.schedules import get_family
from autosched.space.auto_bounds import has_auto_bounds
from autosched.space.records import Space
from workers.command import template
from workers.command.options import read_command_options


def check_command_space(space: Space) -> None:
    """Whether a space's command can be run for all that the space lets be tried.

    Raises:
        UsageError: a field that does not exist, a parameter that not every schedule has, or a controller that goes back
            to checkpoints which the command does not have.
    """
    options = read_command_options(space.trainer.options)
    own = {*options.hyperparameters, *space.hyperparameters}
    _check_own_fields(options.fields, own, space)
    families = {family.family for family in space.schedule}
    families |= {space.default.family} if space.default is not None else set()
    parameters = [set(get_family(family).parameters) for family in families]
    for name in options.fields:
        if name in own:
            continue
        if name not in {*template.LRS, *template.PLAIN, "family", *set.union(*parameters)}:
            known = ", ".join(sorted({*template.LRS, *template.PLAIN, "family", *set.intersection(*parameters), *own}))
            raise UsageError(f"command trainer: run has no field {{{name}}}; it has {known}. Write {{{{ for a brace.")
        if name in {*template.LRS, *template.PLAIN, "family"}:
            continue
        if lacking := sorted(family for family in families if name not in get_family(family).parameters):
            raise UsageError(f"command trainer: run has the field {{{name}}}, which {lacking[0]} has no parameter for.")
        if space.controller.name == "law" and space.controller.options.get("pilots") != 0:
            raise UsageError(
                f"command trainer: run has the field {{{name}}}, which the pilot runs of controller law do not have: "
                "write controller: {use: law, pilots: 0}, or controller: tpe, or pass the LRs as {lrs}."
            )
        if has_auto_bounds(space) or space.controller.name == "autolrs":
            raise UsageError(
                f"command trainer: run has the field {{{name}}}, which a range test and autolrs do not have: pass the "
                "LRs as {lrs}."
            )
    if space.controller.name == "autolrs" and not space.trainer.resumes:
        raise UsageError(
            "command trainer: run must have {checkpoint_in} and {checkpoint_out}, or checkpoints: true, for controller "
            "autolrs, which goes back to where a stage began."
        )


def _check_own_fields(fields: list[str], own: set[str], space: Space) -> None:
    """That the command uses its hyperparameters, and that no run lacks one."""
    if taken := sorted(own & {*template.LRS, *template.PLAIN, "family"}):
        raise UsageError(f"hyperparameters: {taken[0]} is a field of every command; use another name.")
    if unused := sorted(own - set(fields)):
        raise UsageError(f"hyperparameters: {unused[0]} is not used by the command: write {{{unused[0]}}} in run.")
    if lacking := [name for name, one in space.hyperparameters.items() if one.when]:
        raise UsageError(f"hyperparameters: {lacking[0]} cannot have a condition: every run of a command fills it in.")
    if has_auto_bounds(space) and (left := sorted(set(space.hyperparameters) - set(space.trainer.own_hyperparameters))):
        raise UsageError(
            f"hyperparameters: a range test needs a value of {left[0]}: write it in trainer.with.hyperparameters."
        )


def names_lrs(fields: list[str]) -> bool:
    """Whether a command gets its LRs by a field; otherwise its script has to ask for them."""
    return any(name in template.LRS for name in fields) or names_parameters(fields)


def names_parameters(fields: list[str]) -> bool:
    """Whether a command has a scheduler of its own, which takes the schedule's parameters by fields."""
    return any(name not in template.LRS and name not in template.PLAIN for name in fields)
