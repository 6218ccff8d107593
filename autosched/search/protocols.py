"""What a controller and a pruner are: functions of the folded study, without hidden state, so a resume repeats them.

A worked trace, one worker, two trials, `tpe` and `law`::

    state: nothing                 controller.ask(state)    -> Proposal(wsd, peak_lr=0.02, …)   trial 0
    state: trial 0 at update 40    pruner.decide(state, 0)  -> keep  ("too few points")
    …
    state: trial 0 complete 1.91   controller.ask(state)    -> Proposal(wsd, peak_lr=0.008, …)  trial 1
    state: trial 1 at update 400   pruner.decide(state, 1)  -> stop  ("forecast 1.98 to 2.03 cannot beat 1.91")
    state: trial 1 pruned          controller.ask(state)    -> …

Implementations may cache; a cache catches up by reading ``state.log`` from its own cursor, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from autosched.ledger.events import StageAdvanced
from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState
from autosched.schedules.schedule import ParameterValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schedule to try: a family and its parameters.

    Attributes:
        until: update at which the controller will look again, when it has counted itself what that costs; None when
            the trial may go to the horizon, and the loop must see to it that the budget has room for that.
    """

    family: str
    params: Mapping[str, ParameterValue]
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thaw:
    """A pruned or paused trial to go on with, and one sentence that says why; `until` as in a :class:`Proposal`."""

    trial: int
    reason: str
    until: int | None = None


class Controller(Protocol):
    """Decides what to train next.

    Attributes:
        counts_prefixes: whether it minds the budget itself and counts only the updates a proposal would really train;
            for others a trial starts only when a whole run fits.
    """

    counts_prefixes: ClassVar[bool]

    def ask(self, state: StudyState) -> Proposal | Thaw | None:
        """The next proposal, as trial ``len(state.trials)``, or a trial to thaw; None when nothing is left to try.

        A proposal's schedule is none of an earlier trial's: parameters that give the same curve are one point.
        """

    def stages(self, state: StudyState) -> Sequence[StageAdvanced]:
        """The stages that are over, in order; those that `state` has not noted yet are committed by the loop."""

    def outcome(self, state: StudyState) -> str | None:
        """How the search ended, one sentence, when the controller knows more of it than the budget does."""


class Unstaged:
    """What a controller without stages says of them."""

    def stages(self, state: StudyState) -> Sequence[StageAdvanced]:
        """None."""
        return ()

    def outcome(self, state: StudyState) -> str | None:
        """The budget knows."""
        return None


class Pruner(Protocol):
    """Decides from a partial curve whether a trial goes on."""

    def decide(self, state: StudyState, trial: int) -> Decision:
        """Asked after every segment of a search trial that has not reached the horizon (`state` includes it)."""

    def thaw(self, state: StudyState) -> Thaw | None:
        """Asked before the controller when a worker is free: a trial that should not have been stopped after all."""
