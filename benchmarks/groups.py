"""Muon for matrices and AdamW for the rest: one LR for all, or LRs by groups of weights.

    OMP_NUM_THREADS=1 python benchmarks/groups.py --out FOLDER [--trials 8] [--seeds 5] [--json]

A GPT smaller than the demo's, 200 updates of linear decay after a warmup of 10. Three studies by TPE with as many
trials: AdamW and Muon search the peak LR alone, `groups` searches beside it the ratios of the embeddings' and the
head's LR to the matrices'. Their winners are then trained on the same fresh seeds. The studies are in a ledger in
FOLDER: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_command import ended, whole

import autosched

MODEL = {"layers": 2, "width": 32, "heads": 2, "context": 32, "batch": 16, "data": "stdlib", "averages": "none"}
MUON = {"use": "muon", "with": {"adamw_lr_ratio": 1.0}}
RATIO = {"lr_ratio": {"low": 0.03, "high": 3.0, "scale": "log"}}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "adamw": {"optimizer": "adamw"},
    "muon, one LR": {"optimizer": MUON},
    "muon, groups": {"optimizer": MUON},
}
GROUPS = {"muon, groups": {"embeddings": RATIO, "head": RATIO}}


def searched(way: str, given: argparse.Namespace) -> dict[str, Any]:
    """The winner of one way, and its losses on the fresh seeds."""
    steps = 40 if given.quick else 200
    space = {
        "study": way.replace(", ", "-").replace(" ", "-"),
        "seed": 0,
        "trainer": {"use": "gpt", "with": {**MODEL, **WAYS[way], "eval_batches": 4 if given.quick else 64}},
        "horizon_steps": steps,
        "eval_every": steps,
        "checkpoint_every": steps,
        "schedule": {"linear": {"peak_lr": {"low": 3e-3, "high": 0.3, "scale": "log"}, "warmup_steps": 10}},
        **({"groups": GROUPS[way]} if way in GROUPS else {}),
        "controller": "tpe",
        "pruner": "none",
        "budget": {"trials": given.trials},
        "confirm": {"finalists": 1, "seeds": given.seeds},
        "storage": {"ledger": f"sqlite:///{given.out.resolve()}/ledger.db"},
        "tracking": "none",
    }
    study = autosched.tune(space, backend="local", progress=False, resume=True)
    winner = study.trial()
    runs = {trial.seed: trial.points[-1].loss for trial in study.trials if trial.of == winner.number}
    return {"way": way, **winner.params, "found": winner.points[-1].loss, "runs": dict(sorted(runs.items()))}


def benchmark(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [searched(way, given) for way in WAYS]
    tied = np.array(list(rows[1]["runs"].values()))
    for row in rows:
        losses = np.array(list(row.pop("runs").values()))
        more = losses - tied
        row |= {"losses": losses.tolist(), "mean": float(losses.mean()), "over_one_lr": float(more.mean())}
        row["standard_error"] = float(more.std(ddof=1) / math.sqrt(more.size)) if more.size > 1 else None
    lines = [
        f"{row['way']:13} {row['mean']:.4f} ({row['over_one_lr']:+.4f})  peak {row['peak_lr']:.3g}" for row in rows
    ]
    return {"trials": given.trials, "seeds": given.seeds, "rows": rows}, lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the studies")
    parser.add_argument("--trials", type=whole, default=8, help="runs of each search")
    parser.add_argument("--seeds", type=whole, default=5, help="fresh seeds")
    parser.add_argument("--quick", action="store_true", help="40 updates, to try it out")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    given = parser.parse_args(arguments)
    return ended(lambda: benchmark(given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
