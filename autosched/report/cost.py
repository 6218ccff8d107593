"""What a study cost, in updates, against training every trial as far as it was meant to go.

name      meaning                                                                       unit
horizon   updates of a full run                                                         updates
planned   the furthest update a trial was meant to reach: a pilot's end, or the horizon updates
reach     updates a trial got to, trained for it or not                                 updates
fresh     updates of a segment that were computed when it was first needed              updates
trained   updates workers really computed: all fresh ones, and those computed again     updates
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from autosched.ledger.records import Observation
from autosched.ledger.state import ScheduledSegment, StudyState, TrialStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCost:
    """A trial's plan, cut into what happened to it: ``trained + reused + rest == planned``, all in updates.

    Attributes:
        trained: computed for this trial, which was the first to need them.
        reused: came with a shared prefix: another trial of this study, or the store, had them.
        rest: never done, because the trial ended before (see `status`) or still runs.
    """

    trial: int
    status: TrialStatus
    trained: int
    reused: int
    rest: int

    @property
    def planned(self) -> int:
        """How far it was meant to go."""
        return self.trained + self.reused + self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A study's cost in updates; all trials count, the default's and the confirming ones too.

    ``full_cost == trained - retrained - range_test + reused + saved_by_pruning + saved_by_divergence + not_trained``

    Attributes:
        horizon: updates of a full run.
        full_cost: what the same trials cost when each is trained from update 0 as far as it was meant to go.
        trained: updates that workers computed.
        retrained: of these, computed again because a checkpoint was lost.
        range_test: of these, computed for the range test that the study began with.
        reused: updates trials stand on that were not computed for them, because a prefix was shared.
        saved_by_pruning: updates pruned trials had left.
        saved_by_divergence: updates diverged trials had left.
        not_trained: updates that paused, failed, stopped and running trials have left: nobody knows whether they would
            have been trained, so they are not saved.
    """

    horizon: int
    full_cost: int
    trained: int
    retrained: int
    range_test: int
    reused: int
    saved_by_pruning: int
    saved_by_divergence: int
    not_trained: int


def trial_costs(state: StudyState) -> list[TrialCost]:
    """The cost of every trial, in order of number."""
    fresh: defaultdict[int, int] = defaultdict(int)
    reach = [trial.step for trial in state.trials]
    for identity, scheduled in state.scheduled.items():
        computed = _fresh(scheduled, state.observations.get(identity))
        fresh[scheduled.trial] += computed
        # A segment may be trained before its trial is told (a running study), or up to a divergence.
        reach[scheduled.trial] = max(reach[scheduled.trial], scheduled.start + computed if computed else 0)
    return [
        TrialCost(
            trial=trial.number,
            status=trial.status,
            trained=fresh[trial.number],
            reused=reach[trial.number] - fresh[trial.number],
            rest=trial.planned - reach[trial.number],
        )
        for trial in state.trials
    ]


def study_cost(state: StudyState, *, horizon: int) -> Cost:
    """The cost of the whole study so far."""
    costs = trial_costs(state)
    pruned, diverged = _rest(costs, "pruned"), _rest(costs, "diverged")
    swept = sum(seen.trained for identity, seen in state.observations.items() if identity not in state.scheduled)
    return Cost(
        horizon=horizon,
        full_cost=sum(cost.planned for cost in costs),
        trained=state.steps_trained,
        retrained=state.steps_trained - swept - sum(cost.trained for cost in costs),
        range_test=swept,
        reused=sum(cost.reused for cost in costs),
        saved_by_pruning=pruned,
        saved_by_divergence=diverged,
        not_trained=sum(cost.rest for cost in costs) - pruned - diverged,
    )


def _rest(costs: Sequence[TrialCost], status: TrialStatus) -> int:
    return sum(cost.rest for cost in costs if cost.status == status)


def _fresh(scheduled: ScheduledSegment, seen: Observation | None) -> int:
    """Updates of a segment computed for the first time; 0 when it was found in the store, or is not done.

    A worker that makes up for a lost checkpoint starts before the segment does: that part is not fresh.
    """
    if seen is None:
        return 0
    return max(seen.trained - max(scheduled.start - seen.start, 0), 0)
