"""What a study found, and how many updates it had spent by then.

Updates are counted as the budget counts them: when they are scheduled, shared ones once. Runs on fresh seeds come after
the search and are no part of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from autosched.ledger.events import Stamped, TrialEnded, TrialProposed
from autosched.ledger.fold import apply
from autosched.ledger.state import StudyState, TrialState
from autosched.schedules.schedule import FloatArray
from autosched.space.records import ScheduleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A trial that reached the horizon.

    Attributes:
        spent: updates of the whole search until then.
        loss: final validation loss, nats.
    """

    spent: int
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One study of a comparison.

    Attributes:
        method, seed: whose it is.
        study, ledger: its name and where it is kept.
        horizon: updates of a full run.
        ends: complete trials in the order in which they ended.
        spent: updates of the whole search.
        curves: of every trial of the search, in order of proposal: (update, validation loss) pairs.
        chosen: the schedule with the lowest final loss; None when no trial was complete.
        fresh: training seed -> final loss of the chosen schedule on it, infinite where the run diverged.
        seconds: wall-clock seconds.
    """

    method: str
    seed: int
    study: str
    ledger: str
    horizon: int
    ends: tuple[End, ...]
    spent: int
    curves: tuple[tuple[tuple[int, float], ...], ...] = ()
    chosen: ScheduleSpec | None = None
    fresh: Mapping[int, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def best(self) -> float:
        """The lowest final loss; infinite without a complete trial."""
        return min((end.loss for end in self.ends), default=math.inf)

    def steps_to(self, target: float) -> float:
        """Updates spent when a complete trial first had a loss of at most `target`; infinite when none has."""
        return min((end.spent for end in self.ends if end.loss <= target), default=math.inf)

    def best_after(self, spent: FloatArray) -> FloatArray:
        """The lowest final loss known after so many updates, infinite before the first; shape of `spent`."""
        losses = np.full(len(spent), np.inf)
        for end in self.ends:
            losses = np.where(spent >= end.spent, np.minimum(losses, end.loss), losses)
        return losses


def trace_of(method: str, seed: int, ledger: str, study: str, events: Iterable[Stamped]) -> Trace:
    """Read a study's trace from its events; it may be unfinished."""
    state, ends, spent = StudyState(study), [], None
    for stamped in events:
        apply(state, stamped)
        event = stamped.event
        if isinstance(event, TrialProposed) and event.role == "confirm" and spent is None:
            spent = state.steps_scheduled
        if isinstance(event, TrialEnded) and event.value is not None and state.trials[event.trial].role != "confirm":
            ends.append(End(spent=state.steps_scheduled, loss=event.value))
    best = state.best_trial()
    return Trace(
        method=method,
        seed=seed,
        study=study,
        ledger=ledger,
        horizon=int(state.space["horizon_steps"]),
        ends=tuple(ends),
        spent=state.steps_scheduled if spent is None else spent,
        curves=tuple(tuple((point.step, point.loss) for point in trial.points) for trial in state.searched),
        chosen=None if best is None else best.spec,
        fresh={} if best is None else _fresh(state, best),
        seconds=state.seconds,
    )


def _fresh(state: StudyState, best: TrialState) -> dict[int, float]:
    """Final losses of the best trial's schedule on fresh seeds; a run that failed says nothing."""
    again = [t for t in state.trials if t.role == "confirm" and t.of == best.number]
    ended = {t.seed: t.value if t.status == "complete" else math.inf for t in again if t.status != "failed"}
    return {seed: loss for seed, loss in ended.items() if loss is not None}
