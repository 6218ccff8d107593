"""The wall-clock of one stage of the controller ``autolrs`` on the engine, by the number of workers.

The simulated trainer takes a set time per update, so processes can be told apart from cores. Real workers are Ray's
processes; with the local backend any number of workers is counted in virtual time, one unit per update. The published
server needs tau updates for a stage's search and tau for its training, one after another.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosched.engine.assembly import run_study
from autosched.engine.backend import Backend
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.errors import UsageError
from autosched.ledger.events import SegmentFinished, StageAdvanced, Stamped, StudyCreated, TrialProposed, TrialResumed
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import load_space, space_to_json
from autosched.space.records import Space
from workers.registry import make_trainer

METHOD = "autolrs, one stage"
PROBES, FEWEST = 10, 8
SPACE = """
study: stage
trainer: {{use: simulated, with: {{seconds_per_step: {pace}}}}}
horizon_steps: {tau}
eval_every: {every}
checkpoint_every: {tau}
schedule:
  constant: {{peak_lr: {{low: 1.0e-3, high: 1.0e-1, scale: log}}, warmup_steps: 0}}
controller: {{use: autolrs, first_stage: {tau}, longest_stage: {tau}, probes: {probes}, validation_from: null}}
pruner: none
budget: {{full_runs: 2}}
resources: {{workers: {workers}}}
storage: {{ledger: "sqlite:///{folder}/ledger.db", checkpoints: "{folder}/checkpoints"}}
tracking: {{uri: none}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocked:
    """One stage of tau updates with ten probes.

    Attributes:
        pace: seconds per update.
        virtual: count updates instead of seconds; nobody waits then.
    """

    tau: int
    pace: float
    workers: int
    virtual: bool

    @property
    def label(self) -> str:
        return f"simulated, {METHOD}, {self.workers} {'virtual' if self.virtual else 'real'} workers"

    def run(self) -> dict[str, Any]:
        import sklearn.gaussian_process  # noqa: F401 - a second or two that would count as the first search

        with tempfile.TemporaryDirectory() as folder:
            space = self._space(Path(folder))
            state, events = _studied(space, self._backend(space))
        begun, chosen, ended = (self._when(events, kind) for kind in ("begun", "chosen", "ended"))
        best = state.best_trial()
        return {
            "trainer": "simulated",
            "method": METHOD,
            "seed": space.seed,
            "workers": self.workers,
            "total_steps": state.steps_trained,
            "committed_steps": self.tau,
            "final_loss": None if best is None else best.value,
            "seconds": round(ended - begun, 3),
            "search_seconds": round(chosen - begun, 3),
            "sequential_seconds": 2 * self.tau * self.pace,
            "clock": "virtual" if self.virtual else "wall",
            "lrs": [stage.lr for stage in state.stages],
            "note": "",
        }

    def _space(self, folder: Path) -> Space:
        every = self.tau // PROBES // FEWEST
        if every < 1:
            raise UsageError(f"a stage must have at least {PROBES * FEWEST} updates, but got {self.tau}.")
        pace = 0.0 if self.virtual else self.pace
        file = folder / "space.yaml"
        named = {"tau": self.tau, "pace": pace, "every": every, "workers": self.workers, "probes": PROBES}
        file.write_text(SPACE.format(folder=folder, **named))
        return load_space(file)

    def _backend(self, space: Space) -> Backend:
        if self.virtual:
            return LocalBackend(make_trainer, workers=self.workers)
        from workers.ray_backend import RayBackend

        return RayBackend(workers=self.workers, cpus=space.resources.cpus)

    def _when(self, events: Sequence[Stamped], what: str) -> float:
        """Seconds on the clock when the stage begins, when its LR is chosen, when it is trained to its end."""
        moments = {
            "begun": [one for one in events if isinstance(one.event, TrialProposed)][:1],
            "chosen": [one for one in events if isinstance(one.event, TrialResumed)][:1],
            "ended": [one for one in events if isinstance(one.event, StageAdvanced | SegmentFinished)][-1:],
        }
        (moment,) = moments[what]
        if not self.virtual:
            return moment.time
        return 0.0 if what == "begun" else moment.event.at * self.pace


def _studied(space: Space, backend: Backend) -> tuple[StudyState, list[Stamped]]:
    try:
        ledger = Ledger(space.storage.ledger)
        ledger.append(space.study, 0, [StudyCreated(space=space_to_json(space), versions={})])
        journal = Journal(ledger, space.study)
        run_study(space, ledger, journal, backend)
        events = list(ledger.read(space.study))
        ledger.close()
    finally:
        backend.close()
    return journal.state, events


def jobs_of(tau: int, pace: float, *, real: Sequence[int], virtual: Sequence[int]) -> list[Clocked]:
    """Real workers and virtual ones."""
    counted = [(workers, False) for workers in real] + [(workers, True) for workers in virtual]
    return [Clocked(tau=tau, pace=pace, workers=workers, virtual=simulated) for workers, simulated in counted]


def with_ratios(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with a stage's seconds over those of one worker by the same clock, and over the published server's."""
    alone = {row["clock"]: row for row in rows if row["workers"] == 1}
    found = []
    for row in rows:
        one, sequential = alone.get(row["clock"]), row["sequential_seconds"]
        ratios = {
            "search_to_one_worker": None if one is None else row["search_seconds"] / one["search_seconds"],
            "to_one_worker": None if one is None else row["seconds"] / one["seconds"],
            "search_to_sequential": row["search_seconds"] / (sequential / 2),
            "to_sequential": row["seconds"] / sequential,
        }
        found.append({**row, **{name: None if value is None else round(value, 3) for name, value in ratios.items()}})
    return found


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ratios for a person."""
    return [
        f"{row['workers']} workers ({row['clock']} clock): search {row['search_seconds']:.2f} s, stage "
        f"{row['seconds']:.2f} s; over one worker's: {_shown(row['search_to_one_worker'])} and "
        f"{_shown(row['to_one_worker'])}; over the sequential server's: {_shown(row['search_to_sequential'])} and "
        f"{_shown(row['to_sequential'])}; {row['total_steps'] / row['committed_steps']:.2f} updates per committed one"
        for row in rows
    ]


def _shown(ratio: float | None) -> str:
    return "unknown" if ratio is None else f"{ratio:.2f}"
