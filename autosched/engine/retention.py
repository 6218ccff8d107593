"""Which checkpoints are kept: those something may still be forked from, within a size limit.

A checkpoint is needed when a running trial stands on it, when a stopped one may go on from it, or when another
proposal of the space could share exactly its LRs (a stable phase at a fixed peak LR); the best trial's last one is kept
for its owner to use. The rest goes at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.dispatcher import Dispatcher
from autosched.engine.plan import Plans
from autosched.ledger.events import StageAdvanced
from autosched.ledger.state import RESUMABLE, StudyState, TrialState
from autosched.search.policy import Policy
from autosched.space.records import Space

STANDING = 2
"""Newest checkpoints kept of a running trial: the second one serves when the first turns out to be damaged."""


@dataclass(slots=True)
class Retention:
    """Deletes checkpoints nothing can fork from any more; the oldest of the others when they outgrow the limit.

    Attributes:
        policy: says what another proposal may branch from.
    """

    space: Space
    store: CheckpointStore
    dispatcher: Dispatcher
    plans: Plans
    policy: Policy
    _held: dict[int, list[str]] = field(default_factory=dict)
    _branchable: dict[str, int] = field(default_factory=dict)
    _stopped: dict[str, int] = field(default_factory=dict)
    _best: str = ""

    def restore(self, state: StudyState) -> None:
        """After a resume: learn what there is, and delete what the last driver was killed before deleting."""
        there = self.store.sizes()
        ours: set[str] = set()
        for trial in state.trials:
            self._learn(trial)
        for identity in state.observations:
            if self.store.uri(identity) in there:
                ours.add(identity)
        best = state.best_trial()
        self._best = best.segments[-1] if best is not None else ""
        kept = {*self._branchable, *self._stopped, *self._standing(state), self._best}
        for identity in sorted(ours - kept):
            self._delete(state, identity)

    def _learn(self, trial: TrialState) -> None:
        plan = self.plans.of(trial)
        for cut in plan.previous_cuts(trial.step)[::-1]:
            if self._can_branch(trial, cut):
                self._branchable[plan.ids[cut]] = trial.number
            elif trial.status in RESUMABLE and cut == trial.step:
                self._stopped[plan.ids[cut]] = trial.number
            elif trial.status == "running":
                self._held.setdefault(trial.number, []).append(plan.ids[cut])
        if trial.status != "running":
            self.plans.drop(trial.number)

    def advanced(self, state: StudyState, trial: TrialState) -> None:
        """A running trial has a new checkpoint: its older ones that nothing can branch from go."""
        plan = self.plans.of(trial)
        identity = plan.ids[trial.step]
        if self._can_branch(trial, trial.step):
            self._branchable[identity] = trial.number
            return
        held = self._held.setdefault(trial.number, [])
        held.append(identity)
        while len(held) > STANDING:
            identity = held.pop(0)
            if identity not in self._stopped:
                self._delete(state, identity)

    def _can_branch(self, trial: TrialState, cut: int) -> bool:
        """Whether another proposal may share exactly the first `cut` updates; a fresh seed has no other proposals."""
        return trial.role != "confirm" and self.policy.can_branch(trial.schedule, cut)

    def ended(self, state: StudyState, trial: TrialState) -> None:
        """A trial is over: what only it could use goes, but for the best trial's last checkpoint."""
        held = self._held.pop(trial.number, [])
        if trial.status == "complete":
            held.append(trial.segments[-1])
        elif trial.status in RESUMABLE and held:  # it may go on from there
            self._stopped[held.pop()] = trial.number
        if held and state.best == trial.number:
            last = held.pop()
            if self._best not in ("", last):
                held.append(self._best)
            self._best = last
        for identity in held:
            if identity != self._best and not (identity in self._branchable or identity in self._stopped):
                self._delete(state, identity)  # else another stopped trial may go on from it, too
        self._shrink(state)

    def stage_over(self, state: StudyState, stage: StageAdvanced) -> None:
        """A stage was committed: its losers and where it began are not needed any more."""
        trial = state.trials[stage.trial]
        end = self.plans.of(trial).ids.get(stage.step, "")
        if trial.status != "running":
            self.plans.drop(trial.number)
        for held in (self._stopped, self._branchable):
            for identity in [identity for identity in held if identity not in (end, self._best)]:
                del held[identity]
                self._delete(state, identity)

    def _standing(self, state: StudyState) -> set[str]:
        """Identities running trials stand on or are about to reach."""
        active = (state.trials[number] for number in sorted(state.active))
        return {identity for trial in active for identity in trial.segments[-STANDING:]}

    def _delete(self, state: StudyState, identity: str) -> None:
        if identity in self._standing(state):
            return
        self.dispatcher.forget(identity)
        self.store.delete(self.store.uri(identity))

    def _shrink(self, state: StudyState) -> None:
        """Oldest first, until the folder is within its limit; never what a running trial stands on.

        First those of studies that are over (only the best trials' are left of them), then this study's own.
        """
        limit = self.space.storage.checkpoints_gib * 2**30
        sizes = self.store.sizes()
        total = sum(sizes.values())
        if total <= limit:
            return
        needed = self._needed(state)
        for uri in (uri for uri in self.store.oldest_first() if uri not in needed):
            if total <= limit:
                return
            total -= sizes.get(uri, 0)
            self.store.delete(uri)
        for held in (self._stopped, self._branchable):
            for identity in list(held):
                if total <= limit:
                    return
                if identity not in self._standing(state):
                    total -= sizes.get(self.store.uri(identity), 0)
                    del held[identity]
                    self._delete(state, identity)

    def _needed(self, state: StudyState) -> set[str]:
        """URIs of this study's checkpoints and of those that other studies of the ledger are not done with."""
        ledger, identities = self.dispatcher.ledger, {*state.observations, *state.scheduled}
        for row in ledger.studies():
            if not row.finished and row.name != state.name:
                identities.update(ledger.state(row.name).observations)
        return {self.store.uri(identity) for identity in identities}

    def finished(self, state: StudyState) -> None:
        """The study is over: nothing is resumed any more."""
        for identity in self._stopped:
            if identity not in self._branchable:
                self._delete(state, identity)
        self._stopped.clear()
        self._shrink(state)
