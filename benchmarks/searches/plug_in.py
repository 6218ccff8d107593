"""This package's rule in other libraries' loops: `LawPruner` in a plain Optuna study, `LawScheduler` in Ray Tune."""

from __future__ import annotations

from autosched.integrations.optuna import LawPruner
from autosched.integrations.ray_tune import LawScheduler
from searches.drive import Ticket
from searches.optuna_peer import OptunaSearch
from searches.ray_peer import RayAsha
from searches.world import World


class OptunaLaw(OptunaSearch):
    """The Optuna peer with `LawPruner`; what an objective would do once, it does when a run is asked for."""

    def __init__(self, world: World, seed: int, *, sampler: str) -> None:
        super().__init__(world, seed, sampler=sampler, pruner="none")
        self._study.pruner = LawPruner()

    def ask(self) -> Ticket | None:
        """The run nearest to Optuna's proposal, with its schedule."""
        ticket = super().ask()
        if ticket is not None:
            LawPruner.set_schedule(self._trials[ticket.number], ticket.run.schedule)
        return ticket


class RayLaw(RayAsha):
    """The Ray peer with `LawScheduler`; a trial's end is reported in the metric that its log has."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self._scheduler = LawScheduler(lambda config: config["schedule"], metric="loss", mode="min")

    def finish(self, ticket: Ticket, final: float) -> None:
        """Tell that the run is complete."""
        super().finish(ticket, ticket.run.end)
