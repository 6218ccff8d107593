"""Studies on the simulated trainer, in a folder of their own, for tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autosched.engine.assembly import run_study
from autosched.engine.backend import Backend
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.ledger.events import Stamped, StudyCreated, kind_of
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import Space, space_to_json
from autosched.space.records import (
    Budget,
    Choice,
    Component,
    Confirm,
    FamilySpace,
    Fixed,
    Range,
    Resources,
    ScheduleSpec,
    SearchParameter,
    Storage,
)
from autosched.space.trainer_spec import TrainerSpec
from autosched.trainer import Trainer
from workers.simulated import SimulatedTrainer


def wsd_space(
    folder: Path,
    *,
    workers: int = 2,
    fixed: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Space:
    """A WSD space on the simulated trainer; `fixed` parameters are not searched, `changes` replace fields."""
    domains: dict[str, Any] = {
        "peak_lr": Range(low=1e-3, high=1e-1, log=True),
        "warmup_steps": Fixed(value=10),
        "cooldown_fraction": Range(low=0.05, high=0.9),
        "cooldown_shape": Choice(values=("linear", "sqrt", "cosine")),
        "final_lr_ratio": Fixed(value=0.0),
    }
    domains |= {name: Fixed(value=value) for name, value in (fixed or {}).items()}
    default = {
        "peak_lr": 0.01,
        "warmup_steps": 10,
        "cooldown_fraction": 0.2,
        "cooldown_shape": "linear",
        "final_lr_ratio": 0.0,
    }
    space = Space(
        study="s",
        seed=0,
        trainer=TrainerSpec(use="simulated", options=dict(options or {})),
        horizon_steps=200,
        eval_every=10,
        checkpoint_every=20,
        schedule=(FamilySpace(family="wsd", parameters={n: SearchParameter(domain=d) for n, d in domains.items()}),),
        default=ScheduleSpec(family="wsd", params={**default, **(fixed or {})}),
        controller=Component(name="tpe"),
        pruner=Component(name="median"),
        budget=Budget(trials=8),
        resources=Resources(workers=workers),
        storage=Storage(ledger=f"sqlite:///{folder}/ledger.db", checkpoints=str(folder / "checkpoints")),
        confirm=Confirm(finalists=1, seeds=2),
    )
    return replace(space, **changes)


def simulated(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
    return SimulatedTrainer(options, seed=seed, horizon=horizon)


class Interruption(Exception):
    """Stands for the death of the driver, just after an event was committed."""


@dataclass(slots=True)
class Study:
    """A study that can be run, interrupted and resumed."""

    space: Space
    backend: Callable[[Space], Backend] = lambda space: LocalBackend(simulated, workers=space.resources.workers)
    reuse: bool = True
    now: Callable[[], float] | None = None

    def run(self, *, die_after: int | None = None) -> StudyState:
        """Run to the end, or die right after the event with number `die_after` was committed."""
        ledger = Ledger(self.space.storage.ledger)
        if all(row.name != self.space.study for row in ledger.studies()):
            ledger.append(self.space.study, 0, [StudyCreated(space=space_to_json(self.space), versions={})])

        def dying(_state: StudyState, stamped: Stamped) -> None:
            if stamped.number == die_after:
                raise Interruption(f"after event {stamped.number}, {kind_of(stamped.event)}")

        journal = Journal(ledger, self.space.study, [dying])
        backend = self.backend(self.space)
        clock = {} if self.now is None else {"now": self.now}
        try:
            run_study(self.space, ledger, journal, backend, reuse=self.reuse, **clock)
        finally:
            backend.close()
            ledger.close()
        return journal.state

    def events(self) -> list[Stamped]:
        ledger = Ledger(self.space.storage.ledger)
        found = list(ledger.read(self.space.study))
        ledger.close()
        return found


def picture(state: StudyState) -> list[tuple[Any, ...]]:
    """What must be equal however a study was run: every trial, what it saw and what was decided."""
    return [
        (
            trial.number,
            trial.kind,
            trial.of,
            trial.fingerprint,
            trial.seed,
            trial.status,
            trial.step,
            trial.value,
            trial.reason,
            trial.due,
            trial.steps_shared,
            tuple((point.step, point.loss) for point in trial.points),
            tuple((step, decision.action, decision.reason) for step, decision in trial.decisions),
        )
        for trial in state.trials
    ]


def trained_twice(events: Sequence[Stamped]) -> list[str]:
    """Segments with more than one committed result."""
    seen: set[str] = set()
    twice = []
    for stamped in events:
        if kind_of(stamped.event) == "segment_finished":
            identity = stamped.event.observation.segment
            if identity in seen:
                twice.append(identity)
            seen.add(identity)
    return twice
