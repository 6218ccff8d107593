"""What it costs to search weight decay and batch beside the schedule, on the simulated trainer.

    python benchmarks/hyperparameters.py --seeds 8 --json

Every controller has the same updates. Reported: the loss without noise of the winner, and the updates until the best
loss (on the study's seed) is at most what TPE ended at, as a share of TPE's budget.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import autosched
from autosched.ledger.events import SegmentFinished, TrialEnded
from autosched.ledger.store import Ledger
from workers.simulated import SimulatedOptions

HORIZON, FULL_RUNS = 600, 10
FIXED = {"noise": 0.002}
BESIDE: dict[str, Any] = {
    "weight_decay": {"low": 0.01, "high": 1.0, "scale": "log"},
    "batch": {"low": 8, "high": 32, "scale": "log", "integer": True},
}
IDLE = {"merged_lag": {"low": 0.0, "high": 0.01}}
"""A dimension that does not matter to the final loss."""


def space(controller: str, seed: int, *, idle: bool, ledger: str) -> dict[str, Any]:
    """The study of one controller."""
    wsd = {"peak_lr": {"low": 1e-3, "high": 0.3, "scale": "log"}, "warmup_steps": 30}
    return {
        "study": f"{controller}-{seed}{'-idle' if idle else ''}",
        "seed": seed,
        "trainer": {"use": "simulated", "with": FIXED},
        "horizon_steps": HORIZON,
        "eval_every": 20,
        "checkpoint_every": 40,
        "schedule": {
            "wsd": {**wsd, "cooldown_fraction": {"low": 0.1, "high": 1.0}, "cooldown_shape": ["linear", "sqrt"]}
        },
        "hyperparameters": {**BESIDE, **(IDLE if idle else {})},
        "controller": controller,
        "pruner": "law",
        "budget": {"full_runs": FULL_RUNS},
        "storage": {"ledger": ledger},
        "tracking": "none",
    }


def searched(controller: str, seed: int, *, idle: bool, folder: Path) -> dict[str, Any]:
    """The best loss after each complete trial, by full runs trained so far, and the winner's loss without noise."""
    ledger = f"sqlite:///{folder}/{controller}-{seed}/ledger.db"  # of its own: nothing is taken from other studies
    (folder / f"{controller}-{seed}").mkdir()
    study = autosched.tune(space(controller, seed, idle=idle, ledger=ledger), backend="local", progress=False)
    trained, best, path = 0, float("inf"), []
    for stamped in Ledger(ledger).read(study.name):
        event = stamped.event
        if isinstance(event, SegmentFinished):
            trained += event.observation.trained
        elif isinstance(event, TrialEnded) and event.value is not None and event.value < best:
            best = event.value
            path.append((trained / HORIZON, best))
    winner = study.trial()
    options = SimulatedOptions(**{**FIXED, **dict(winner.hyperparameters)})  # type: ignore[arg-type]
    return {"path": path, "loss": float(options.predict(winner.schedule.lrs)[-1]), "params": dict(winner.params)}


def reached(path: list[tuple[float, float]], loss: float) -> float | None:
    """Full runs until this loss; None when it is not reached."""
    return next((runs for runs, best in path if best <= loss), None)


def rows(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One row per controller; what it needs to get where TPE ended is known only beside TPE."""
    ends = [run["path"][-1][1] for run in found.get("tpe", ())]
    table = []
    for name, runs in found.items():
        losses = [run["loss"] for run in runs]
        needed = [reached(run["path"], end) for run, end in zip(runs, ends, strict=False)]
        row = {"controller": name, "mean_loss": statistics.mean(losses), "losses": losses, "full_runs": needed}
        table.append({**row, "reached": sum(runs is not None for runs in needed)})
    return table


def main() -> None:
    """Run all studies and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--controllers", nargs="+", default=["law", "tpe", "gp", "random"])
    parser.add_argument("--idle", action="store_true", help="with one more dimension, which does not matter")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.controllers:
            found[name] = [searched(name, s, idle=args.idle, folder=Path(folder)) for s in range(args.seeds)]
    table = rows(found)
    document = {"horizon": HORIZON, "budget": FULL_RUNS, "seeds": args.seeds, "idle": args.idle, "rows": table}
    if args.json:
        print(json.dumps(document, indent=1))
        return
    for row in table:
        runs = ", ".join("-" if one is None else f"{one:.1f}" for one in row["full_runs"])
        print(f"{row['controller']:8} {row['mean_loss']:.4f}  full runs until TPE's end: {runs}")


if __name__ == "__main__":
    main()
