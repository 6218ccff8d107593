"""Ray Tune's `ASHAScheduler` over a random search.

The scheduler is driven in this process by the calls that Tune's controller makes; starting Ray for every seed would
take longer than all decisions together and change none of them.
"""

from __future__ import annotations

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from autosched.randomness import generator
from searches.drive import Ticket
from searches.optuna_peer import first_rung
from searches.untried import Untried
from searches.world import World


class RayAsha:
    """A `Search`: runs in the seed's order (or at random where there is no list), stopped by Ray Tune."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._untried = world, Untried(world, seed)
        self._random = generator(seed, "ray points")
        self._trials: dict[int, Trial] = {}
        self._scheduler: TrialScheduler = ASHAScheduler(
            time_attr="step", metric="loss", mode="min", max_t=world.horizon, grace_period=first_rung(world)
        )

    def ask(self) -> Ticket | None:
        """The next run at random."""
        if self._untried.exhausted:
            return None
        if self._untried.listed:
            ticket = self._untried.take(self._untried.first())
        else:
            ticket = self._untried.take(self._untried.near(random_point(self._world, self._random)))
        config = {"schedule": ticket.run.schedule}
        trial = Trial("replay", config=config, trial_id=str(ticket.number), stub=True)
        self._trials[ticket.number] = trial
        self._scheduler.on_trial_add(None, trial)
        return ticket

    def report(self, ticket: Ticket, step: int, loss: float) -> bool:
        """What the scheduler says to a result."""
        trial = self._trials[ticket.number]
        action = self._scheduler.on_trial_result(None, trial, {"step": step, "loss": loss})
        if action != TrialScheduler.STOP:
            return True
        self._scheduler.on_trial_remove(None, trial)
        return False

    def finish(self, ticket: Ticket, final: float) -> None:
        """Tell that the run is complete."""
        result = {"step": self._world.horizon, "loss": final}
        self._scheduler.on_trial_complete(None, self._trials[ticket.number], result)


def random_point(world: World, random: np.random.Generator) -> dict[str, float | int]:
    """Uniform on every axis, on its own scale."""
    point: dict[str, float | int] = {}
    for axis in world.axes:
        if axis.size:
            point[axis.name] = int(random.integers(axis.size))
        elif axis.log:
            point[axis.name] = float(np.exp(random.uniform(np.log(axis.low), np.log(axis.high))))
        else:
            point[axis.name] = float(random.uniform(axis.low, axis.high))
    return point
