"""How a trial is cut into segments, and what each segment is called.

name   meaning                                                          unit
cuts   updates after which a checkpoint is written; the last is the     updates
       horizon
ids    identity of the model's state at each cut (content address)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autosched.ledger.state import TrialState
from autosched.schedules.schedule import Schedule
from autosched.search.autolrs_space import trial_cuts
from autosched.search.prefixes import segment_ids
from autosched.space import Space, build_schedule
from autosched.space.records import ScheduleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """A trial's schedule and its segments.

    Attributes:
        cuts: increasing, the last is the horizon.
        ids: identity at each cut.
        validate: see :class:`autosched.ledger.records.Segment`.
    """

    spec: ScheduleSpec
    schedule: Schedule
    seed: int
    cuts: tuple[int, ...]
    ids: Mapping[int, str]
    validate: bool = True

    def next_cut(self, step: int) -> int:
        """The first cut after `step`."""
        return next(cut for cut in self.cuts if cut > step)

    def previous_cuts(self, step: int) -> list[int]:
        """The cuts at or before `step`, longest prefix first; update 0 (a fresh model) is not one of them."""
        return [cut for cut in reversed(self.cuts) if cut <= step]


def plan_trial(space: Space, spec: ScheduleSpec, seed: int) -> TrialPlan:
    """The plan of a schedule of `space` trained with `seed`."""
    schedule = build_schedule(space, spec)
    cuts = trial_cuts(space)
    ids = segment_ids(space.trainer, seed=seed, eval_every=space.eval_every, lrs=schedule.lrs, cuts=cuts)
    return TrialPlan(spec=spec, schedule=schedule, seed=seed, cuts=cuts, ids=ids)


class Plans:
    """The plans of a study's active trials; an old one is made again when it is asked for."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._plans: dict[int, TrialPlan] = {}

    def of(self, trial: TrialState) -> TrialPlan:
        """The plan of `trial`."""
        plan = self._plans.get(trial.number)
        if plan is None:
            plan = plan_trial(self._space, ScheduleSpec(family=trial.family, params=trial.params), trial.seed)
            self._plans[trial.number] = plan
        return plan

    def drop(self, number: int) -> None:
        """Forget an ended trial's plan."""
        self._plans.pop(number, None)
