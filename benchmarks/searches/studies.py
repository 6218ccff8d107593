"""This package's own methods: real studies through the real engine, on a trainer that shows a world's runs.

A study's ledger, loop, prefix store, controller and pruner are those of ``autosched tune``; only the trainer's losses
are known beforehand. Updates are counted as the ledger counts them, so sharing comes in whole segments between
checkpoints.
"""

from __future__ import annotations

import dataclasses
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import fsspec

from autosched.engine.assembly import make_loop
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.ledger.events import Stamped, StudyCreated, TrialEnded
from autosched.ledger.state import StudyState, TrialState
from autosched.ledger.store import Ledger
from autosched.report.calibration import told_ends
from autosched.space import Component, Resources, Space, Storage, space_to_json
from searches.drive import Outcome, Tally
from searches.world import Run, World


def run_study(world: World, seed: int, *, controller: Component, pruner: Component, workers: int = 1) -> Outcome:
    """One study until it has completed a run at or under the target, or its budget is spent.

    Args:
        seed: of the search; the training seed has one recording.
        workers: virtual workers.
    """
    root = f"memory://replay-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        space = dataclasses.replace(
            world.space(),
            seed=seed,
            controller=controller,
            pruner=pruner,
            resources=Resources(workers=workers, retries=0),
            storage=Storage(ledger=f"sqlite:///{Path(folder) / 'ledger.db'}", checkpoints=root),
        )
        ledger = Ledger(space.storage.ledger)
        ledger.append(space.study, 0, [StudyCreated(space=space_to_json(space), versions={})])
        watch = _Watch(world, space)
        journal = Journal(ledger, space.study, [watch.seen])
        backend = LocalBackend(world.factory, workers=workers)
        try:
            make_loop(space, ledger, journal, backend, reuse=False).run()
        except _FoundError:
            pass
        finally:
            backend.close()
            ledger.close()
            files = fsspec.filesystem("memory")
            if files.exists(root):
                files.rm(root, recursive=True)
        return watch.outcome(journal.state)


class _FoundError(Exception):
    """The target is reached: what the study would do next is no part of the figure."""


@dataclass(slots=True)
class _Watch:
    """Reads a study's events and judges them as :func:`searches.drive.drive` judges a library's."""

    world: World
    space: Space
    tally: Tally = field(init=False)
    runs: dict[int, Run | None] = field(default_factory=dict)
    found: bool = False

    def __post_init__(self) -> None:
        self.tally = Tally(self.world)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Called after every committed event."""
        event = stamped.event
        if not isinstance(event, TrialEnded):
            return
        run = self._run(state.trials[event.trial])
        if run is None:
            return
        if event.status == "pruned":
            self.tally.killed(run)
        elif event.status == "complete" and self.tally.completed(run):
            self.found = True
            raise _FoundError

    def outcome(self, state: StudyState) -> Outcome:
        """The figures at the event that was seen last."""
        ahead = sum(
            state.scheduled[segment].due - state.clock
            for segment in state.in_flight
            if state.scheduled[segment].due > state.clock
        )
        pending = sum(state.scheduled[segment].stop - state.scheduled[segment].start for segment in state.in_flight)
        alone = sum(trial.step for trial in state.trials) + pending
        return Outcome(
            spent=alone - ahead if self.found else None,
            spent_sharing=state.steps_scheduled - ahead if self.found else None,
            shares=True,
            winner_killed=self.tally.winner_killed,
            kills=self.tally.kills,
            false_kills=self.tally.false_kills,
            forecasts=tuple(told_ends(state, self.space, self._end)),
        )

    def _end(self, trial: TrialState) -> float | None:
        run = self._run(trial)
        return None if run is None else run.end

    def _run(self, trial: TrialState) -> Run | None:
        if trial.number not in self.runs:
            self.runs[trial.number] = self.world.run_of(trial.schedule)
        return self.runs[trial.number]
