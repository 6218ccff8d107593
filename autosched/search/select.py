"""From a name in a space file to a controller or a pruner; the only place where these names become objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from autosched.errors import SpaceError
from autosched.search.autolrs_controller import AutoLrsController
from autosched.search.autolrs_space import NAME as AUTOLRS
from autosched.search.autolrs_space import check_budget, check_pruner, check_schedule
from autosched.search.law_controller import LawController
from autosched.search.law_judge import LawJudge, PausingPruner
from autosched.search.law_pruner import LawPruner, LawPrunerOptions
from autosched.search.optuna_controller import OptunaController
from autosched.search.optuna_pruner import NoPruner, OptunaPruner
from autosched.search.protocols import Controller, Pruner
from autosched.space.records import Space

_SAMPLERS = ("tpe", "gp", "random", "qmc", "cmaes")
_OPTUNA_PRUNERS = ("median", "percentile", "asha", "hyperband", "threshold")


def make_controller(space: Space) -> Controller:
    """The controller a space asks for.

    Raises:
        SpaceError: an unknown name, or an option it does not have.
    """
    if space.controller.name == "law":
        return LawController(space, space.controller.options)
    if space.controller.name == AUTOLRS:
        return AutoLrsController(space)
    if space.controller.name in _SAMPLERS:
        return OptunaController(space, space.controller)
    raise SpaceError(
        f"controller must be one of law, autolrs, {', '.join(_SAMPLERS)}, but got {space.controller.name!r}."
    )


def make_search(space: Space) -> tuple[Controller, Pruner]:
    """The controller and the pruner a space asks for; the law controller pauses what the pruner would keep.

    Raises:
        SpaceError: an unknown name, or an option it does not have.
    """
    controller, pruner = make_controller(space), make_pruner(space)
    if isinstance(controller, AutoLrsController):
        check_budget(space)
        return controller, controller
    if not isinstance(controller, LawController):
        return controller, pruner
    if isinstance(pruner, LawPruner):
        return controller, LawJudge(space, controller, LawPrunerOptions.of(space.pruner.options))
    return controller, PausingPruner(pruner, controller)


def make_pruner(space: Space) -> Pruner:
    """The pruner a space asks for.

    Raises:
        SpaceError: an unknown name, or an option it does not have.
    """
    check_pruner(space)
    name = space.pruner.name
    if name == "law":
        return LawPruner(space, space.pruner.options)
    if name == "none":
        return NoPruner()
    if name in _OPTUNA_PRUNERS:
        return OptunaPruner(space, space.pruner)
    raise SpaceError(f"pruner must be one of law, none, {', '.join(_OPTUNA_PRUNERS)}, but got {name!r}.")


CHECKS: Mapping[str, Callable[[Space], object]] = MappingProxyType(
    {"schedule": check_schedule, "controller": make_controller, "pruner": make_pruner, "budget": check_budget}
)
"""What a space says of its search that only the search can check, by the key of the space file."""
