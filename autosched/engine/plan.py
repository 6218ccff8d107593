"""How a trial is cut into segments, and what each segment is called.

name   meaning                                                          unit
cuts   updates after which a checkpoint is written; the last is the     updates
       horizon
ids    identity of the model's state at each cut (content address)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autosched.ledger.records import SegmentIds
from autosched.ledger.state import TrialState
from autosched.schedules.schedule import Schedule
from autosched.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """A trial's schedule and its segments.

    Attributes:
        cuts: increasing, the last is the horizon.
        ids: identity at each cut.
        validate: see :class:`autosched.ledger.records.Segment`.
        trial: whose plan it is; None for none's.
    """

    schedule: Schedule
    seed: int
    cuts: tuple[int, ...]
    ids: Mapping[int, str]
    validate: bool = True
    trial: int | None = None

    def next_cut(self, step: int) -> int:
        """The first cut after `step`."""
        return next(cut for cut in self.cuts if cut > step)

    def previous_cuts(self, step: int) -> list[int]:
        """The cuts at or before `step`, longest prefix first; update 0 (a fresh model) is not one of them."""
        return [cut for cut in reversed(self.cuts) if cut <= step]


class Plans:
    """The plans of a study's active trials; an old one is made again when it is asked for.

    Args:
        cuts: of every trial, see :class:`TrialPlan`.
    """

    def __init__(self, space: Space, cuts: tuple[int, ...]) -> None:
        self._space, self._cuts = space, cuts
        self._plans: dict[int, TrialPlan] = {}

    def make(self, schedule: Schedule, seed: int, trial: int | None = None) -> TrialPlan:
        """The plan of a schedule trained with `seed`."""
        space = self._space
        ids = SegmentIds(space.trainer, seed=seed, eval_every=space.eval_every, schedule=schedule, cuts=self._cuts)
        return TrialPlan(schedule=schedule, seed=seed, cuts=self._cuts, ids=ids, trial=trial)

    def of(self, trial: TrialState) -> TrialPlan:
        """The plan of `trial`."""
        plan = self._plans.get(trial.number)
        if plan is None:
            plan = self._plans[trial.number] = self.make(trial.schedule, trial.seed, trial.number)
        return plan

    def drop(self, number: int) -> None:
        """Forget an ended trial's plan."""
        self._plans.pop(number, None)
