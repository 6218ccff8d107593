"""Holdouts: trials the pruner wanted to stop but kept, to count how often it would have thrown a winner away."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """A condemned trial that went on.

    Attributes:
        step: updates at the first decision to stop it.
        decision: that decision.
        incumbent: lowest value of the complete default and search trials at that moment; None before there is one.
        value: the trial's own final loss; None while it runs, and when it ended without one.
        false_kill: whether stopping it would have been wrong: it completed below the incumbent that stood when it was
            condemned (any completion counts where there was none). None while the trial runs.
    """

    trial: int
    step: int
    decision: Decision
    incumbent: float | None
    value: float | None
    false_kill: bool | None


def holdouts(state: StudyState) -> list[Holdout]:
    """All holdouts in order of trial number; the incumbents are read off the study's log."""
    condemned = _condemnations(state)
    incumbents = _incumbents_at(state, {trial: step for trial, (step, _) in condemned.items()})
    return [
        _holdout(state, number, step, decision, incumbents.get(number, math.inf))
        for number, (step, decision) in condemned.items()
    ]


def _holdout(state: StudyState, number: int, step: int, decision: Decision, incumbent: float) -> Holdout:
    trial = state.trials[number]
    value = trial.value if trial.status == "complete" else None
    return Holdout(
        trial=number,
        step=step,
        decision=decision,
        incumbent=incumbent if math.isfinite(incumbent) else None,
        value=value,
        false_kill=None if trial.status == "running" else value is not None and value < incumbent,
    )


def _condemnations(state: StudyState) -> dict[int, tuple[int, Decision]]:
    found: dict[int, tuple[int, Decision]] = {}
    for trial in state.trials:
        for step, decision in trial.decisions:
            if decision.holdout:
                found[trial.number] = (step, decision)
                break
    return found


def _incumbents_at(state: StudyState, steps: dict[int, int]) -> dict[int, float]:
    """The incumbent's value at the moment each trial reached its step."""
    incumbent, found = math.inf, {}
    for kind, number, step, status, value, _ in state.log:
        if kind == "ended" and status == "complete" and state.trials[number].role != "confirm" and value is not None:
            incumbent = min(incumbent, value)
        elif kind == "advanced" and steps.get(number) == step:
            found[number] = incumbent
    return found
