"""What a law-guided search may train next: points of the space, near ones, branches off stable phases, stopped trials.

name         meaning                                                                          unit
cost to go   updates a candidate still has to train: those no trial of the study has scheduled   updates
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.laws.forecast import Query
from autosched.laws.residual import HISTORY, history
from autosched.ledger.events import Role
from autosched.ledger.records import SegmentIds, cut_points
from autosched.ledger.state import RESUMABLE, StudyState, TrialState
from autosched.randomness import generator
from autosched.schedules.registry import get_family
from autosched.schedules.schedule import FloatArray, ParameterValue, Schedule
from autosched.search.priors import ALIKE, CENTRAL_WEIGHTS, NEAR
from autosched.space import build_schedule, draw
from autosched.space.membership import active_parameters, stated
from autosched.space.records import Choice, Fixed, Range, ScheduleSpec, Space

SPREAD_OF_LRS = 3
"""Features of a whole run that tell how high its LRs are, and when: see :mod:`autosched.laws.residual`."""
CANDIDATE_ROLES: frozenset[Role] = frozenset({"design", "reference", "search"})
"""Of the trials that the search proposed as candidates: not the pilots, and not what the user or the end asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A schedule that may be trained, or trained on.

    Attributes:
        ids: identity of the model's state at every cut, in order.
        trial: the stopped or running trial that it is; None for a new one.
    """

    spec: ScheduleSpec
    schedule: Schedule
    ids: Mapping[int, str]
    trial: int | None = None

    def cost_to_go(self, state: StudyState) -> int:
        """Updates until its end that no trial of the study has scheduled."""
        return self.schedule.steps - state.scheduled_steps(self.ids)


class Candidates:
    """The candidates of a space; those drawn once stay, so that what a law needs to know of them is kept too.

    Args:
        size: points drawn for the whole study; with a list of candidates in the space, the list is all there is.
        near: further points per decision, around the best and branching off stable phases that exist.
    """

    def __init__(self, space: Space, *, size: int, near: int) -> None:
        self._space, self._near = space, near
        specs = space.candidates or [draw(space, generator(space.seed, index, "pool")) for index in range(size)]
        self.pool = self._distinct(specs, known=set())
        self.asked = Query.ends([candidate.schedule for candidate in self.pool])
        self._trials: dict[int, Candidate] = {}
        self._spreads: dict[int, FloatArray] = {}  # of trials
        self._latest: tuple[Any, list[Candidate]] | None = None

    def central(self, log_peak: float) -> Candidate:
        """Of the candidates nearest to this ln(peak LR) the one in the middle of how LRs are spread over the run."""
        features = _spread_columns(self.asked.features)
        low, high = features.min(axis=0), features.max(axis=0)
        middle = np.concatenate(([log_peak], ((low + high) / 2)[1:]))
        apart = (features - middle) / np.where(high > low, high - low, 1.0)
        weights = [*CENTRAL_WEIGHTS, *([1.0] * (features.shape[1] - SPREAD_OF_LRS))]
        return self.pool[int((apart**2 @ weights).argmin())]

    def novel(self, fresh: Sequence[Candidate], trials: Sequence[TrialState]) -> list[Candidate]:
        """Those of `fresh` that are no near-duplicate of a trial: what they would end at is told by that one.

        Without this, a search whose gaps lie under the scatter branches ever more off a stable phase it has.
        """
        if not fresh or not trials:
            return list(fresh)
        known = np.array([self._trial_spread(trial) for trial in trials])
        asked = np.array([_spread(candidate.schedule) for candidate in fresh])
        gaps = [*ALIKE, *([NEAR] * (asked.shape[1] - SPREAD_OF_LRS))]
        alike = np.all(np.abs(asked[:, None, :] - known[None, :, :]) < gaps, axis=2).any(axis=1)
        return [candidate for candidate, same in zip(fresh, alike, strict=True) if not same]

    def _trial_spread(self, trial: TrialState) -> FloatArray:
        found = self._spreads.get(trial.number)
        if found is None:
            found = self._spreads[trial.number] = _spread(self.of(trial).schedule)
        return found

    def of(self, trial: TrialState) -> Candidate:
        """A trial as a candidate."""
        found = self._trials.get(trial.number)
        if found is None:
            found = self._trials[trial.number] = self._made(trial.spec, trial.schedule, trial.number)
        return found

    def stopped(self, state: StudyState, most: int) -> list[Candidate]:
        """Candidates that were trained and may be resumed, those stopped last first."""
        found = [trial for trial in state.trials if trial.status in RESUMABLE and trial.role in CANDIDATE_ROLES]
        found.sort(key=lambda trial: -trial.due)
        return [self.of(trial) for trial in found[:most]]

    def near(self, seen: int, origins: Sequence[ScheduleSpec]) -> list[Candidate]:
        """New points: each origin with some parameters moved a little, or with another cooldown after its stable phase.

        Args:
            seen: segments that the study has seen; with as many, the same points.
        """
        if self._space.candidates or not origins:
            return []
        if self._latest is None or self._latest[0] != (seen, tuple(map(repr, origins))):
            self._latest = (seen, tuple(map(repr, origins))), self._around(seen, origins)
        return self._latest[1]

    def _around(self, seen: int, origins: Sequence[ScheduleSpec]) -> list[Candidate]:
        generator_ = generator(self._space.seed, seen, "near")
        specs = []
        for index in range(self._near):
            origin = origins[index % len(origins)]
            moved = self._branch(origin, generator_) if index % 2 else None
            specs.append(moved or self._nudged(origin, generator_))
        known = {candidate.schedule for candidate in self.pool}
        return self._distinct([spec for spec in specs if spec is not None], known=known)

    def _distinct(self, specs: Iterable[ScheduleSpec], *, known: set[Schedule]) -> list[Candidate]:
        found = []
        for spec in specs:
            schedule = build_schedule(self._space, spec)
            if schedule not in known:
                known.add(schedule)
                found.append(self._made(spec, schedule, None))
        return found

    def _made(self, spec: ScheduleSpec, schedule: Schedule, trial: int | None) -> Candidate:
        space = self._space
        cuts = cut_points(schedule.steps, every=space.checkpoint_every)
        ids = SegmentIds(space.trainer, seed=space.seed, eval_every=space.eval_every, schedule=schedule, cuts=cuts)
        return Candidate(spec=spec, schedule=schedule, ids=ids, trial=trial)

    def _nudged(self, origin: ScheduleSpec, generator_: np.random.Generator) -> ScheduleSpec | None:
        """The origin with its numbers moved by about `NEAR` of their ranges, a choice now and then drawn again."""
        family = self._space.family(origin.family)
        params: dict[str, ParameterValue] = {}
        given = stated(family, origin.params)
        for name, parameter in family.parameters.items():
            if not parameter.exists(params):
                continue
            domain, value = parameter.domain, given.get(name)
            if isinstance(domain, Fixed):
                params[name] = domain.value
            elif isinstance(domain, Choice):
                again = value not in domain.values or generator_.uniform() < NEAR
                params[name] = domain.values[int(generator_.integers(len(domain.values)))] if again else value  # type: ignore[assignment]
            elif isinstance(value, int | float):
                params[name] = _moved(domain, float(value), NEAR * float(generator_.normal()))
            else:
                params[name] = _moved(domain, domain.low, float(generator_.uniform()))
        return ScheduleSpec(family=origin.family, params=params)

    def _branch(self, origin: ScheduleSpec, generator_: np.random.Generator) -> ScheduleSpec | None:
        """Another point of the origin's family with the origin's stable phase; None for a family without one."""
        shape = get_family(origin.family).stable_parameters
        if not shape:
            return None
        stable = (*shape, *self._space.hyperparameters)
        family = self._space.family(origin.family)
        for _ in range(8):
            other = draw(self._space, generator_)
            if other.family == origin.family:
                given = stated(family, origin.params)
                params = {**other.params, **{name: given[name] for name in stable if name in given}}
                active = active_parameters(family, params)
                return ScheduleSpec(family=origin.family, params={n: v for n, v in params.items() if n in active})
        return None


def _spread(schedule: Schedule) -> FloatArray:
    """Log peak LR, mean and moment of the LRs over the peak, and the hyperparameters' coordinates, shape (3 + k,)."""
    found: FloatArray = _spread_columns(history(schedule, np.array([float(schedule.steps)])))[0]
    return found


def _spread_columns(features: FloatArray) -> FloatArray:
    """Of the features of a history those that tell whole runs apart, shape (n, 3 + k)."""
    chosen = [*range(SPREAD_OF_LRS), *range(HISTORY, features.shape[1])]
    found: FloatArray = features[:, chosen]
    return found


def _moved(domain: Range, value: float, by: float) -> ParameterValue:
    """A value moved by a share of its range, on the range's own scale, and turned back at its ends."""
    low, high = (math.log(domain.low), math.log(domain.high)) if domain.log else (domain.low, domain.high)
    at = (math.log(max(value, domain.low)) if domain.log else value) + by * (high - low)
    at = low + (at - low) % (2 * (high - low)) if high > low else low
    at = 2 * high - at if at > high else at
    found = min(max(math.exp(at) if domain.log else at, domain.low), domain.high)
    return round(found) if domain.integer else found
