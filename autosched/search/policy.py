"""What decides about a study: a policy, a function of the folded study without hidden state, so a resume repeats it.

A worked trace, one worker, two trials, `tpe` and `law`::

    state: nothing                 policy.ask(state)       -> Proposal(wsd peak_lr=0.02, …, until=2000)   trial 0
    state: trial 0 at update 40    policy.judge(state, 0)  -> keep  ("too few points")
    …
    state: trial 0 complete 1.91   policy.ask(state)       -> Proposal(wsd peak_lr=0.008, …, until=2000)  trial 1
    state: trial 1 at update 400   policy.judge(state, 1)  -> stop  ("forecast 1.98 to 2.03 cannot beat 1.91")
    state: trial 1 pruned          policy.ask(state)       -> …

Implementations may cache; a cache catches up by reading ``state.log`` from its own cursor, nothing else. A space file
names a controller and a pruner; :mod:`autosched.search.select` composes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from autosched.ledger.events import Role, SearchEnded, StageAdvanced
from autosched.ledger.records import Decision, cut_points
from autosched.ledger.state import StudyState
from autosched.schedules.schedule import Schedule
from autosched.space.records import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schedule to train, as a trial of its own.

    Attributes:
        schedule: over the whole horizon; carries its family and parameters.
        until: the update to reach, one of the policy's cuts. The budget keeps what is needed to get there.
        role: why it is trained.
    """

    schedule: Schedule
    until: int
    role: Role = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A trial that was reached, pruned or paused, to go on with; `until` and `role` as in a :class:`Proposal`.

    Attributes:
        reason: one sentence.
    """

    trial: int
    until: int
    reason: str
    role: Role = "search"


class Controller(Protocol):
    """Decides what to train next."""

    def ask(self, state: StudyState) -> Proposal | Resume | SearchEnded | None:
        """The next proposal, as trial ``len(state.trials)``, or a trial to resume; None when nothing is to be started.

        Or the end of the search, which is final: it is for when no trial runs.

        A proposal's schedule is none of an earlier trial's: parameters that give the same curve are one point. What it
        costs fits the budget: see :mod:`autosched.search.budget`.
        """

    def outcome(self, state: StudyState) -> str | None:
        """See :meth:`Policy.outcome`."""

    def can_branch(self, schedule: Schedule, step: int) -> bool:
        """See :meth:`Policy.can_branch`."""


class Pruner(Protocol):
    """Decides from a partial curve whether a trial goes on."""

    def judge(self, state: StudyState, trial: int) -> Decision:
        """See :meth:`Policy.judge`."""

    def resume(self, state: StudyState) -> Resume | None:
        """A trial that should not have been stopped after all; asked before the controller."""


class Policy(ABC):
    """Decides everything in a study: what is trained next, and whether it goes on.

    Args:
        space: what is searched.
    """

    def __init__(self, space: Space) -> None:
        self._space = space

    @abstractmethod
    def ask(self, state: StudyState) -> Proposal | Resume | SearchEnded | None:
        """What to start when a worker is free; None for nothing now, and with no trial running for nothing any more."""

    @abstractmethod
    def judge(self, state: StudyState, trial: int) -> Decision:
        """Whether a trial that has not reached the horizon goes on, asked after every segment (`state` includes it).

        One at the end of its turn rests unless it is stopped; the reason then says why it was trained so far.
        """

    @abstractmethod
    def outcome(self, state: StudyState) -> str | None:
        """How the search ended, one sentence, when the policy knows more of it than the budget does."""

    @abstractmethod
    def can_branch(self, schedule: Schedule, step: int) -> bool:
        """Whether another proposal may share exactly the first `step` LRs, so that the checkpoint there is kept."""

    def stages(self, state: StudyState) -> Sequence[StageAdvanced]:
        """The stages that are over, in order; those that `state` has not noted yet are committed by the loop."""
        return ()

    def cuts(self) -> tuple[int, ...]:
        """Updates after which every trial is cut, increasing; the last is the horizon."""
        return cut_points(self._space.horizon_steps, every=self._space.checkpoint_every)


class Composed(Policy):
    """A controller that proposes and a pruner that judges, as a space file names them."""

    def __init__(self, space: Space, controller: Controller, pruner: Pruner) -> None:
        super().__init__(space)
        self._controller, self._pruner = controller, pruner

    def ask(self, state: StudyState) -> Proposal | Resume | SearchEnded | None:
        """What the pruner wants resumed, or else the controller's choice."""
        return self._pruner.resume(state) or self._controller.ask(state)

    def judge(self, state: StudyState, trial: int) -> Decision:
        """The pruner's decision."""
        return self._pruner.judge(state, trial)

    def outcome(self, state: StudyState) -> str | None:
        """The controller's word."""
        return self._controller.outcome(state)

    def can_branch(self, schedule: Schedule, step: int) -> bool:
        """The controller knows what it proposes."""
        return self._controller.can_branch(schedule, step)
