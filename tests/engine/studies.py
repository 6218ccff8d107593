"""Studies on the simulated trainer, in a folder of their own, for tests of the engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autosched.engine.assembly import run_study
from autosched.engine.backend import Backend
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.ledger.events import (
    Event,
    SegmentFailed,
    SegmentFinished,
    SessionStarted,
    Stamped,
    StudyCreated,
    StudyFinished,
    kind_of,
)
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

    def run(self, *, die_after: int | None = None, dies: Callable[[Stamped], bool] | None = None) -> StudyState:
        """Run to the end, or die right after the event with number `die_after`, or one that `dies` chooses."""
        ledger = Ledger(self.space.storage.ledger)
        if all(row.name != self.space.study for row in ledger.studies()):
            ledger.append(self.space.study, 0, [StudyCreated(space=space_to_json(self.space), versions={})])

        def dying(_state: StudyState, stamped: Stamped) -> None:
            if stamped.number == die_after or (dies is not None and dies(stamped)):
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

    def ended(self) -> StudyState:
        """The state of a study that has run already, as its ledger has it."""
        ledger = Ledger(self.space.storage.ledger)
        state = ledger.state(self.space.study)
        ledger.close()
        assert state.finished is not None
        return state

    def events(self, start: int = 0) -> list[Stamped]:
        ledger = Ledger(self.space.storage.ledger)
        found = list(ledger.read(self.space.study, start))
        ledger.close()
        return found


def decided_twice(study: Study, *, every: int) -> Iterator[tuple[list[Event], list[Event]]]:
    """What a finished study decided after a prefix of its log, and what a fresh driver decides on that prefix.

    Prefixes get shorter, `every` decisions at a time; the ledger of the study is cut off as they do, also between two
    that were written at once.
    """
    log = [stamped for stamped in study.events() if _is_decision(stamped)]
    for number in [stamped.number for stamped in log][::-every]:
        cut_off(study, number)
        with suppress(Interruption):
            study.run(dies=_is_decision)
        again = [_essence(stamped) for stamped in study.events(number) if _is_decision(stamped)]
        logged = [_essence(stamped) for stamped in log if stamped.number >= number]
        yield logged[: len(again)], again


def cut_off(study: Study, number: int) -> None:
    """Leave the events before `number`, and nothing that another study could have left behind."""
    path = study.space.storage.ledger.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM autosched_events WHERE number >= ?", (number,))
        connection.execute("DELETE FROM autosched_segments")


def _is_decision(stamped: Stamped) -> bool:
    """Whether an event is written in virtual time; the first one comes from the test."""
    physical = (StudyCreated, SessionStarted, SegmentFinished, SegmentFailed)
    return not isinstance(stamped.event, physical)


def _essence(stamped: Stamped) -> Event:
    """Without the seconds that a study took."""
    event = stamped.event
    return replace(event, stats={}) if isinstance(event, StudyFinished) else event


def picture(state: StudyState) -> list[tuple[Any, ...]]:
    """What must be equal however a study was run: every trial, what it saw and what was decided."""
    return [
        (
            trial.number,
            tuple(trial.turns),
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
