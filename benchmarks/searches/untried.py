"""What a search has not tried yet: nothing is trained twice, whatever a library proposes."""

from __future__ import annotations

from autosched.randomness import generator
from searches.drive import Ticket
from searches.world import Point, Run, World


class Untried:
    """Hands out runs of a world, each once where they are listed.

    Args:
        seed: of the order in which listed runs stand; it is a random search's order, and breaks ties between runs that
            are equally near to what a library proposed.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        order = generator(seed, "replay order").permutation(len(world.runs))
        self._runs = [world.runs[number] for number in order]
        self._listed = bool(self._runs)
        self._given = 0

    @property
    def listed(self) -> bool:
        """Whether the world's runs can be listed."""
        return self._listed

    @property
    def exhausted(self) -> bool:
        """Whether everything was tried."""
        return self._listed and not self._runs

    def first(self) -> Run:
        """The next in the seed's order, not taken yet."""
        return self._runs[0]

    def near(self, point: Point) -> Run:
        """The one nearest to a point, not taken yet."""
        return self._world.near(point, self._runs)

    def take(self, run: Run) -> Ticket:
        """From now on it is tried."""
        if self._listed:
            self._runs.remove(run)
        self._given += 1
        return Ticket(self._given - 1, run)
