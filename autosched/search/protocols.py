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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState
from autosched.schedules.schedule import ParameterValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schedule to try: a family and its parameters."""

    family: str
    params: Mapping[str, ParameterValue]


class Controller(Protocol):
    """Decides what to train next."""

    def ask(self, state: StudyState) -> Proposal | None:
        """The next proposal, as trial ``len(state.trials)``; None when nothing is left to try.

        Its schedule is none of an earlier trial's: parameters that give the same curve are one point.
        """


class Pruner(Protocol):
    """Decides from a partial curve whether a trial goes on."""

    def decide(self, state: StudyState, trial: int) -> Decision:
        """Asked after every segment of a search trial that has not reached the horizon (`state` includes it)."""
