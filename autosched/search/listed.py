"""The candidates of a space that lists them: which are left, and which of them a free proposal means."""

from __future__ import annotations

from collections.abc import Sequence

from autosched.ledger.state import StudyState
from autosched.randomness import generator
from autosched.schedules.schedule import ParameterValue
from autosched.space import build_schedule
from autosched.space.records import ScheduleSpec, Space


class Listed:
    """A space's candidates by fingerprint; without candidates it restricts nothing.

    Training again what was trained would tell nothing new (trials of a study share one seed), so each candidate is
    proposed at most once, whatever became of it. (:mod:`autosched.search.distinct` does this for other spaces.)
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._candidates = {build_schedule(space, spec).fingerprint: spec for spec in space.candidates}
        self._places = _places(space.candidates)

    def __bool__(self) -> bool:
        return bool(self._candidates)

    def left(self, state: StudyState) -> list[ScheduleSpec]:
        """Candidates that no trial of the study has, in an order that is the study's own for this trial."""
        tried = {trial.fingerprint for trial in state.trials}
        left = [spec for fingerprint, spec in self._candidates.items() if fingerprint not in tried]
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
