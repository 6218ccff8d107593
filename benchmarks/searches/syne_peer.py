"""Syne Tune's asynchronous successive halving over its own random search.

MOBSTER is not here: it left Syne Tune after 0.14, whose versions need numpy below 1.27 and so cannot stand beside this
project's packages.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHA
from syne_tune.optimizer.scheduler import SchedulerDecision

from searches.drive import Ticket
from searches.optuna_peer import first_rung
from searches.untried import Untried
from searches.world import Axis, World


class SyneAsha:
    """A `Search` by Syne Tune's ASHA."""

    def __init__(self, world: World, seed: int) -> None:
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        self._world, self._untried = world, Untried(world, seed)
        self._trials: dict[int, Trial] = {}
        self._scheduler = ASHA(
            config_space={axis.name: _domain(axis) for axis in world.axes},
            metric="loss",
            time_attr="step",
            max_t=world.horizon,
            grace_period=first_rung(world),
            random_seed=seed,
        )

    def ask(self) -> Ticket | None:
        """The run nearest to the scheduler's suggestion; None also when it has none."""
        if self._untried.exhausted:
            return None
        suggestion = self._scheduler.suggest()
        if suggestion is None:
            return None
        ticket = self._untried.take(self._untried.near(suggestion.config))
        trial = Trial(trial_id=ticket.number, config=dict(ticket.run.point), creation_time=datetime.now(UTC))
        self._trials[ticket.number] = trial
        self._scheduler.on_trial_add(trial)
        return ticket

    def report(self, ticket: Ticket, step: int, loss: float) -> bool:
        """What the scheduler says to a result."""
        trial = self._trials[ticket.number]
        action = self._scheduler.on_trial_result(trial, {"step": step, "loss": loss})
        if action != SchedulerDecision.STOP:
            return True
        self._scheduler.on_trial_remove(trial)
        return False

    def finish(self, ticket: Ticket, final: float) -> None:
        """Tell that the run is complete."""
        self._scheduler.on_trial_complete(self._trials[ticket.number], {"step": self._world.horizon, "loss": final})


def _domain(axis: Axis) -> object:
    if axis.size:
        return randint(0, axis.size - 1) if axis.ordered else choice(list(range(axis.size)))
    return loguniform(axis.low, axis.high) if axis.log else uniform(axis.low, axis.high)
