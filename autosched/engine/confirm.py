"""After the search: finalists and the default on fresh seeds, paired by seed.

All search trials share one training seed, so that they differ by their schedules only. The winner's value on that
seed is therefore a little too good (it was chosen for it); fresh seeds give the honest gain.
"""

from __future__ import annotations

from dataclasses import dataclass

from autosched.ledger.state import StudyState
from autosched.randomness import key
from autosched.space.records import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """One run to make: trial `of`'s schedule again, with `seed`."""

    of: int
    seed: int


def confirmations(space: Space, state: StudyState) -> list[Confirmation]:
    """All runs that confirm the search's outcome, in the order they are made: seed by seed."""
    schedules = [*finalists(space, state), *_default(state)]
    seeds = [key(space.seed, index, "confirm") % 2**31 for index in range(space.confirm.seeds)]
    return [Confirmation(of=number, seed=seed) for seed in seeds for number in dict.fromkeys(schedules)]


def finalists(space: Space, state: StudyState) -> list[int]:
    """The complete trials with the lowest values, best first; equal schedules count once."""
    done = [trial for trial in state.searched if trial.status == "complete" and trial.value is not None]
    ranked = sorted(done, key=lambda trial: (trial.value or 0.0, trial.number))
    distinct: dict[str, int] = {}
    for trial in ranked:
        distinct.setdefault(trial.fingerprint, trial.number)
    return list(distinct.values())[: space.confirm.finalists]


def _default(state: StudyState) -> list[int]:
    return [t.number for t in state.trials if t.role == "default" and t.status == "complete"][:1]
