"""From the names in a space file to a policy; the only place where these names become objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from autosched.errors import SpaceError
from autosched.schedules import get_family
from autosched.search.autolrs_controller import AutoLrsPolicy
from autosched.search.autolrs_space import NAME as AUTOLRS
from autosched.search.autolrs_space import check_budget, check_hyperparameters, check_pruner, check_schedule
from autosched.search.law_controller import LawController
from autosched.search.law_judge import LawJudge, PausingPruner
from autosched.search.law_pruner import LawPruner, LawPrunerOptions
from autosched.search.optuna_controller import OptunaController
from autosched.search.optuna_options import PRUNER_OPTIONS, SAMPLER_OPTIONS
from autosched.search.optuna_pruner import NoPruner, OptunaPruner
from autosched.search.policy import Composed, Controller, Policy, Pruner
from autosched.space.records import Space

JUDGED_BY = ("holdout_share", "threshold")
"""Options of the pruner law that count beside the controller law."""


def make_policy(space: Space) -> Policy:
    """The policy that a space's controller and pruner make.

    Raises:
        SpaceError: an unknown name, or an option that it does not have or does not obey.
    """
    if space.controller.name == AUTOLRS:
        check_hyperparameters(space)
        check_pruner(space)
        check_budget(space)
        return AutoLrsPolicy(space)
    controller = _controller(space)
    return Composed(space, controller, _pruner(space, controller))


def _controller(space: Space) -> Controller:
    name = space.controller.name
    if name == "law":
        _check_batches(space, "controller law")
        return LawController(space, space.controller.options)
    if name in SAMPLER_OPTIONS:
        return OptunaController(space, space.controller)
    raise SpaceError(f"controller must be one of law, {AUTOLRS}, {', '.join(SAMPLER_OPTIONS)}, but got {name!r}.")


def _pruner(space: Space, controller: Controller) -> Pruner:
    """The pruner beside a controller; that of the law forecasts itself, and pauses what the pruner would keep."""
    name, options = space.pruner.name, space.pruner.options
    if isinstance(controller, LawController):
        if name == "law":
            parsed = LawPrunerOptions.of(options)
            for option in options:
                if option not in JUDGED_BY:
                    raise SpaceError(
                        f"pruner law: {option} has no effect beside the controller law, which forecasts all trials "
                        "together: leave it out."
                    )
            return LawJudge(space, controller, parsed)
        return PausingPruner(_other_pruner(space), controller)
    if name == "law":
        _check_batches(space, "pruner law")
        return LawPruner(space, options)
    return _other_pruner(space)


def _check_batches(space: Space, what: str) -> None:
    """That no batch ramp competes: the laws know LRs, and would take a larger batch for a higher LR."""
    ramps = [one.family for one in space.schedule if get_family(one.family).ramp is not None]
    if ramps:
        others = "pruner none" if what.startswith("pruner") else "tpe, gp or random, with pruner none"
        raise SpaceError(f"{what} forecasts losses of LRs at one batch, but {ramps[0]} raises the batch; use {others}.")


def _other_pruner(space: Space) -> Pruner:
    name = space.pruner.name
    if name == "none":
        return NoPruner()
    if name in PRUNER_OPTIONS:
        return OptunaPruner(space, space.pruner)
    raise SpaceError(f"pruner must be one of law, none, {', '.join(PRUNER_OPTIONS)}, but got {name!r}.")


def _check_controller(space: Space) -> None:
    if space.controller.name == AUTOLRS:
        AutoLrsPolicy(space)
    else:
        _controller(space)


def _check_pruner(space: Space) -> None:
    check_pruner(space)
    if space.controller.name != AUTOLRS:
        _pruner(space, _controller(space))


CHECKS: Mapping[str, Callable[[Space], object]] = MappingProxyType(
    {
        "schedule": check_schedule,
        "hyperparameters": check_hyperparameters,
        "controller": _check_controller,
        "pruner": _check_pruner,
        "budget": check_budget,
    }
)
"""What a space says of its search that only the search can check, by the key of the space file."""
