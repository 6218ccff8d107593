"""What a study costs when a run has very many updates: memory, time per decision, bytes that are kept.

    OMP_NUM_THREADS=1 python benchmarks/long_horizons.py [--horizons 10000 100000 1000000] [--json]

A whole study by the law with the simulated trainer at each horizon, in a process and a folder of its own, tracked in
MLflow and reported as usual: six full runs of schedules that are nowhere constant but in one family. A decision is
what the loop asks of the policy, judging or proposing, and the identities of what is proposed. Seconds are of the
driver's processor; memory is the largest that the process ever had, training (in the same process) included; `base`
is what it has when everything is imported and nothing is made. Limits: 0.5 GB and 1 s per decision at any horizon.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import autosched
from autosched.engine import assembly
from autosched.ledger.events import StageAdvanced
from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState
from autosched.schedules.schedule import Schedule
from autosched.search.policy import Policy, Proposal, Resume
from autosched.search.select import make_policy
from autosched.space import Space, space_from_json

MOST_GB, MOST_SECONDS = 0.5, 1.0
EVALUATIONS, CHECKPOINTS = 40, 20
"""Of a full run."""


def space(horizon: int) -> dict[str, Any]:
    """Four families, a warmup of 1%; the law's search with its defaults."""
    peak = {"low": 1e-3, "high": 1e-1, "scale": "log"}
    warmup = max(horizon // 100, 1)
    return {
        "study": "long",
        "trainer": {"use": "simulated", "with": {"unit": horizon * 1.25e-4}},
        "horizon_steps": horizon,
        "eval_every": horizon // EVALUATIONS,
        "checkpoint_every": horizon // CHECKPOINTS,
        "schedule": {
            "wsd": {
                "peak_lr": peak,
                "warmup_steps": warmup,
                "cooldown_fraction": {"low": 0.05, "high": 1.0},
                "cooldown_shape": ["linear", "sqrt"],
            },
            "cosine": {"peak_lr": peak, "warmup_steps": warmup},
            "exponential": {"peak_lr": peak, "warmup_steps": warmup},
            "power": {"peak_lr": peak, "warmup_steps": warmup},
        },
        "controller": "law",
        "pruner": "law",
        "budget": {"full_runs": 6},
    }


@dataclass
class Timed(Policy):
    """A policy that notes the processor time of every decision."""

    policy: Policy
    seconds: list[float] = field(default_factory=list)

    def ask(self, state: StudyState) -> Proposal | Resume | None:
        return self._timed(lambda: self.policy.ask(state))

    def judge(self, state: StudyState, trial: int) -> Decision:
        return self._timed(lambda: self.policy.judge(state, trial))

    def outcome(self, state: StudyState) -> str | None:
        return self.policy.outcome(state)

    def can_branch(self, schedule: Schedule, step: int) -> bool:
        return self.policy.can_branch(schedule, step)

    def stages(self, state: StudyState) -> Sequence[StageAdvanced]:
        return self.policy.stages(state)

    def cuts(self) -> tuple[int, ...]:
        return self.policy.cuts()

    def _timed(self, decide):
        begun = time.process_time()
        decided = decide()
        self.seconds.append(time.process_time() - begun)
        return decided


def most_memory() -> float:
    """The largest that this process was so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(horizon: int, folder: Path) -> dict[str, Any]:
    """Run the study in this process."""
    import mlflow
    import optuna  # noqa: F401 - what every study loads

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    base, timed = most_memory(), []

    def make(space: Space) -> Timed:
        timed.append(Timed(make_policy(space)))
        return timed[-1]

    assembly.make_policy = make  # as the study would have made it, with a clock
    ledger = folder / "autosched.db"
    document = {
        **space(horizon),
        "storage": {"checkpoints": f"{folder}/checkpoints", "reports": f"{folder}/reports"},
        "tracking": {"uri": f"sqlite:///{folder}/mlflow.db"},
    }
    begun = time.process_time()
    study = autosched.tune(
        space_from_json(document), backend="local", ledger=f"sqlite:///{ledger}", progress=False, trust_trainer=True
    )
    seconds = timed[-1].seconds
    kept = [path.stat().st_size for path in folder.rglob("schedule.json")]
    return {
        "horizon": horizon,
        "trials": len(study.trials),
        "decisions": len(seconds),
        "base_gb": base,
        "most_gb": most_memory(),
        "mean_s": sum(seconds) / len(seconds),
        "worst_s": max(seconds),
        "study_s": time.process_time() - begun,
        "ledger_kb_per_trial": ledger.stat().st_size / 1000 / len(study.trials),
        "schedule_json_kb": max(kept) / 1000,
        "best": study.best.value,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--horizons", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(measure(given.one, given.folder)))
        return
    rows = []
    for horizon in given.horizons:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--one", str(horizon), "--folder", folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    heads = ("trials", "base GB", "most GB", "mean s", "worst s", "study s", "kB kept")
    print(f"{'horizon':>9}" + "".join(f"{head:>9}" for head in heads))
    for row in rows:
        print(
            f"{row['horizon']:>9}{row['trials']:>9}{row['base_gb']:>9.2f}{row['most_gb']:>9.2f}{row['mean_s']:>9.3f}"
            f"{row['worst_s']:>9.3f}{row['study_s']:>9.1f}{row['schedule_json_kb']:>9.1f}"
        )
    for row in rows:
        if row["most_gb"] > MOST_GB or row["worst_s"] > MOST_SECONDS:
            print(f"TOO MUCH at {row['horizon']}: at most {MOST_GB} GB and {MOST_SECONDS} s")


if __name__ == "__main__":
    main()
