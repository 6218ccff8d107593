"""One curve is one point: parameters that give the schedule of an earlier trial again are drawn anew.

Different parameters can mean the same curve: every cooldown longer than what the warmup leaves, a power cooldown of
exponent 1 and a linear one, a number that was drawn before. Such a proposal would cost nothing (its segments are
shared) and tell nothing (trials of a study share one seed), but it would use up a trial of the budget and be told to
the controller as if it were news. So the controller draws again, from the sampler some times and then from the space
itself; when all these draws were tried before, the space is taken to be exhausted and the search ends. Of a space that
lists its candidates each is proposed once.

All of this depends on the study's seed, the trial's number and the curves of the earlier trials alone, so a resumed
study decides as an uninterrupted one would, and what is exhausted stays so.
"""

from __future__ import annotations

from collections.abc import Sequence

from autosched.ledger.state import StudyState
from autosched.randomness import generator
from autosched.schedules.schedule import ParameterValue
from autosched.search.priors import SPACE_DRAWS
from autosched.space import build_schedule, draw
from autosched.space.records import ScheduleSpec, Space


def tried_before(state: StudyState, number: int) -> frozenset[str]:
    """Fingerprints of all trials before trial `number`, whatever became of them."""
    return frozenset(trial.fingerprint for trial in state.trials[:number])


def drawn_anew(space: Space, number: int, tried: frozenset[str]) -> ScheduleSpec | None:
    """The first of :data:`SPACE_DRAWS` random points of the space that is new; None when none of them is."""
    for attempt in range(SPACE_DRAWS):
        spec = draw(space, generator(space.seed, number, attempt, "anew"))
        if build_schedule(space, spec).fingerprint not in tried:
            return spec
    return None


class Listed:
    """A space's candidates by schedule; without candidates it restricts nothing.

    Training again what was trained would tell nothing new (trials of a study share one seed), so each candidate is
    proposed at most once, whatever became of it.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._candidates = {build_schedule(space, spec): spec for spec in space.candidates}
        self._places = _places(space.candidates)

    def __bool__(self) -> bool:
        return bool(self._candidates)

    def left(self, state: StudyState) -> list[ScheduleSpec]:
        """Candidates that no trial of the study has, in an order that is the study's own for this trial."""
        tried = {trial.schedule for trial in state.trials}
        left = [spec for schedule, spec in self._candidates.items() if schedule not in tried]
        order = generator(self._space.seed, len(state.trials), "candidate").permutation(len(left))
        return [left[number] for number in order]

    def nearest(self, wanted: ScheduleSpec, left: list[ScheduleSpec]) -> ScheduleSpec:
        """The candidate that differs least from a proposal; of equals the first.

        Differences are summed over what both have, the family included: places apart over the number of places for
        numbers, 1 for other values that differ.
        """
        return min(left, key=lambda spec: self._gap(spec, wanted))

    def _gap(self, spec: ScheduleSpec, wanted: ScheduleSpec) -> float:
        total = float(spec.family != wanted.family)
        for name in spec.params.keys() & wanted.params.keys():
            a, b, known = spec.params[name], wanted.params[name], self._places.get(name, ())
            if a in known and b in known:
                total += abs(known.index(a) - known.index(b)) / (len(known) - 1)
            else:
                total += float(a != b)
        return total


def _places(candidates: Sequence[ScheduleSpec]) -> dict[str, tuple[ParameterValue, ...]]:
    """The values, in order, of every parameter that is a number and not always the same."""
    values: dict[str, list[ParameterValue]] = {}
    for spec in candidates:
        for name, value in spec.params.items():
            values.setdefault(name, []).append(value)
    found: dict[str, tuple[ParameterValue, ...]] = {}
    for name, known in values.items():
        numbers = [value for value in known if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) == len(known) and len(set(numbers)) > 1:
            found[name] = tuple(sorted(set(numbers)))
    return found
