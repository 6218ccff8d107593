"""Every method that is compared, by name: libraries driven as they are, and this package's own studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from autosched.errors import UsageError
from autosched.space import Component
from searches.drive import Outcome, drive
from searches.studies import run_study
from searches.world import World

Runner = Callable[[World, int, int], Outcome]
"""From a world, a seed and a number of workers to an outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A controller with a pruner.

    Attributes:
        name, pruner: as in the table.
        package: what must be installed.
    """

    name: str
    pruner: str
    run: Runner
    package: str

    @property
    def label(self) -> str:
        """``name+pruner``."""
        return f"{self.name}+{self.pruner}"

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return find_spec(self.package) is not None


def all_methods() -> tuple[Method, ...]:
    """In the order of the table: libraries first, this package's own last."""
    samplers, pruners = ("random", "tpe", "gp"), ("none", "median", "asha", "hyperband")
    optuna = [_optuna(sampler, pruner) for sampler in samplers for pruner in pruners]
    own = [_study(controller, pruner) for controller, pruner in (("random", "law"), ("tpe", "law"), ("law", "law"))]
    others = [
        Method(name="random", pruner="ray_asha", run=_ray, package="ray.tune"),
        Method(name="random", pruner="syne_asha", run=_syne, package="syne_tune"),
    ]
    plug_ins = [
        *[_optuna_law(sampler) for sampler in ("random", "tpe")],
        Method(name="random", pruner="ray_law", run=_ray_law, package="ray.tune"),
    ]
    return (*optuna, *others, *plug_ins, *own)


def chosen_methods(names: Sequence[str] | None) -> tuple[tuple[Method, ...], tuple[str, ...]]:
    """The methods to compare, and a line for each that is left out because its package is missing.

    Args:
        names: labels (``tpe+median``) or controllers (``tpe``: with every pruner); None for all that are installed.

    Raises:
        UsageError: an unknown name, or nothing that is installed.
    """
    every = all_methods()
    known = {name for method in every for name in (method.name, method.label)}
    for name in names or ():
        if name not in known:
            labels = ", ".join(method.label for method in every)
            raise UsageError(f"methods must be some of {labels}, but got {name!r}.")
    wanted = [method for method in every if names is None or {method.name, method.label} & set(names)]
    missing = tuple(f"{m.label} is left out: {m.package} is not installed." for m in wanted if not m.installed)
    chosen = tuple(method for method in wanted if method.installed)
    if not chosen:
        raise UsageError(f"{' '.join(missing)} Try pip install 'autosched[peers]'.")
    return chosen, missing


def _optuna(sampler: str, pruner: str) -> Method:
    def run(world: World, seed: int, workers: int) -> Outcome:
        from searches.optuna_peer import OptunaSearch

        return drive(world, OptunaSearch(world, seed, sampler=sampler, pruner=pruner), workers=workers)

    return Method(name=sampler, pruner=pruner, run=run, package="optuna")


def _optuna_law(sampler: str) -> Method:
    def run(world: World, seed: int, workers: int) -> Outcome:
        from searches.plug_in import OptunaLaw

        return drive(world, OptunaLaw(world, seed, sampler=sampler), workers=workers)

    return Method(name=sampler, pruner="optuna_law", run=run, package="optuna")


def _ray_law(world: World, seed: int, workers: int) -> Outcome:
    from searches.plug_in import RayLaw

    return drive(world, RayLaw(world, seed), workers=workers)


def _ray(world: World, seed: int, workers: int) -> Outcome:
    from searches.ray_peer import RayAsha

    return drive(world, RayAsha(world, seed), workers=workers)


def _syne(world: World, seed: int, workers: int) -> Outcome:
    from searches.syne_peer import SyneAsha

    return drive(world, SyneAsha(world, seed), workers=workers)


def _study(controller: str, pruner: str) -> Method:
    """One of this package's own controllers with one of its pruners; to add one, add it to :func:`all_methods`."""

    def run(world: World, seed: int, workers: int) -> Outcome:
        components = {"controller": Component(name=controller), "pruner": Component(name=pruner)}
        return run_study(world, seed, **components, workers=workers)

    return Method(name=controller, pruner=pruner, run=run, package="autosched")
