"""Optuna's samplers and pruners, used as its documentation says: ask, report, should_prune, tell.

Samplers and pruners have their defaults, but for the number of random runs at the start and for resources, which have
no default that fits: rungs start at 4% of the horizon. A proposal goes to the nearest run that was not tried, which is
put back with `enqueue_trial`, so that the sampler learns where it really was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import optuna
from optuna import pruners, samplers
from optuna.trial import Trial, TrialState

from searches.drive import Ticket
from searches.untried import Untried
from searches.world import Axis, Point, World

FIRST_RUNG = 0.04
"""Share of the horizon before which no run is stopped by halving, of every library."""
STARTUP = 5
"""Random runs before a model is asked. Optuna's 10 are half of what there is to try; 5 is better for both samplers."""

SAMPLERS: Mapping[str, Callable[[int], samplers.BaseSampler]] = {
    "random": lambda seed: samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: samplers.TPESampler(seed=seed, n_startup_trials=STARTUP),
    "gp": lambda seed: samplers.GPSampler(seed=seed, n_startup_trials=STARTUP),
}


def first_rung(world: World) -> int:
    """Updates of the first rung."""
    return max(1, round(FIRST_RUNG * world.horizon))


PRUNERS: Mapping[str, Callable[[World], pruners.BasePruner]] = {
    "none": lambda world: pruners.NopPruner(),
    "median": lambda world: pruners.MedianPruner(),
    "asha": lambda world: pruners.SuccessiveHalvingPruner(min_resource=first_rung(world)),
    "hyperband": lambda world: pruners.HyperbandPruner(min_resource=first_rung(world), max_resource=world.horizon),
}


class OptunaSearch:
    """A `Search` by an Optuna study in memory.

    Args:
        sampler, pruner: names in :data:`SAMPLERS` and :data:`PRUNERS`; `random` goes through listed runs in the
            seed's order, each once.
    """

    def __init__(self, world: World, seed: int, *, sampler: str, pruner: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._world, self._untried = world, Untried(world, seed)
        self._shuffled = sampler == "random" and self._untried.listed
        self._trials: dict[int, Trial] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._study = optuna.create_study(
                study_name=f"replay-{seed}", sampler=SAMPLERS[sampler](seed), pruner=PRUNERS[pruner](world)
            )

    def ask(self) -> Ticket | None:
        """The run nearest to Optuna's proposal."""
        if self._untried.exhausted:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial, ticket = (
                self._proposed() if not self._shuffled else (None, self._untried.take(self._untried.first()))
            )
            if trial is None:
                self._study.enqueue_trial(dict(ticket.run.point))
                trial = self._study.ask()
                suggested(trial, self._world.axes)
        self._trials[ticket.number] = trial
        return ticket

    def _proposed(self) -> tuple[Trial | None, Ticket]:
        """The sampler's trial, None when what it proposed was not there, and the run to train instead."""
        trial = self._study.ask()
        point = suggested(trial, self._world.axes)
        run = self._untried.near(point)
        if run.point != point:
            self._study.tell(trial, state=TrialState.FAIL)
            trial = None
        return trial, self._untried.take(run)

    def report(self, ticket: Ticket, step: int, loss: float) -> bool:
        """Report to the pruner and ask it."""
        trial = self._trials[ticket.number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial.report(loss, step)
            if not trial.should_prune():
                return True
        self._study.tell(trial, state=TrialState.PRUNED)
        return False

    def finish(self, ticket: Ticket, final: float) -> None:
        """Tell the final loss."""
        self._study.tell(self._trials[ticket.number], final)


def suggested(trial: Trial, axes: tuple[Axis, ...]) -> Point:
    """A trial's point: whole numbers for ordered lists, categories for others, floats for ranges."""
    point: dict[str, float | int] = {}
    for axis in axes:
        if axis.size and axis.ordered:
            point[axis.name] = trial.suggest_int(axis.name, 0, axis.size - 1)
        elif axis.size:
            point[axis.name] = trial.suggest_categorical(axis.name, list(range(axis.size)))
        else:
            point[axis.name] = trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)
    return point
