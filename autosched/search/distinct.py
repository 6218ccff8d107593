"""One curve is one point: parameters that give the schedule of an earlier trial again are drawn anew.

Different parameters can mean the same curve: every cooldown longer than what the warmup leaves, a power cooldown of
exponent 1 and a linear one, a number that was drawn before. Such a proposal would cost nothing (its segments are
shared) and tell nothing (trials of a study share one seed), but it would use up a trial of the budget and be told to
the controller as if it were news. So the controller draws again, from the sampler some times and then from the space
itself; when all these draws were tried before, the space is taken to be exhausted and the search ends.

All of this depends on the study's seed, the trial's number and the curves of the earlier trials alone, so a resumed
study decides as an uninterrupted one would, and what is exhausted stays so.
"""

from __future__ import annotations

from dataclasses import dataclass

from autosched.ledger.state import StudyState
from autosched.randomness import generator
from autosched.search.priors import SPACE_DRAWS
from autosched.space import build_schedule, draw
from autosched.space.records import ScheduleSpec, Space


@dataclass(frozen=True, slots=True)
class Distinct:
    """Tells which curves of a space were tried."""

    space: Space

    def tried(self, state: StudyState, number: int) -> frozenset[str]:
        """Fingerprints of all trials before trial `number`, whatever became of them."""
        return frozenset(trial.fingerprint for trial in state.trials[:number])

    def from_the_space(self, number: int, tried: frozenset[str]) -> ScheduleSpec | None:
        """The first of :data:`SPACE_DRAWS` random points of the space that is new; None when none of them is."""
        for attempt in range(SPACE_DRAWS):
            spec = draw(self.space, generator(self.space.seed, number, attempt, "anew"))
            if build_schedule(self.space, spec).fingerprint not in tried:
                return spec
        return None
