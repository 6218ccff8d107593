"""Seesaw beside a cosine at equal tokens: the loss, and the updates of the weights.

    OMP_NUM_THREADS=1 python benchmarks/seesaw.py --out FOLDER [--seeds 5] [--json]

The demo's GPT for 600 batches. The cosine's peak LR is the best of a grid on seed 0, powers of two times 0.01, as far
as its best is not at an end; seesaw has the same peak LR, as in its paper, and the best number of doublings there. Both
are then trained on fresh seeds. Losses are of 32,768 validation tokens. What lies in FOLDER is not trained again.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_command import ended, whole

from autosched.schedules import Schedule, build
from autosched.schedules.batch_ramp import DOUBLE_BATCH_AT, serial_updates
from autosched.trainer import Diverged
from workers.registry import make_trainer

MODEL: Mapping[str, Any] = {"layers": 2, "width": 64, "heads": 4, "context": 64, "batch": 16, "data": "stdlib"}
SMALL = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 4}
WARMUP, FIRST_PEAK, TUNED_ON = 30, 0.01, 0
DOUBLINGS = (2, 4)


@dataclass(frozen=True, slots=True)
class Runs:
    """What is trained, in files."""

    folder: Path
    steps: int
    options: Mapping[str, Any]

    def schedule(self, family: str, params: Mapping[str, Any]) -> Schedule:
        """Of a whole run."""
        return build(family, {"warmup_steps": WARMUP, **params}, steps=self.steps)

    def loss(self, family: str, params: Mapping[str, Any], seed: int) -> float:
        """At the end of a run, nats; infinite where it diverged."""
        name = "-".join([family, *(f"{value:g}" for value in params.values()), str(seed), str(self.steps)])
        kept = self.folder / f"{name}.json"
        if not kept.exists():
            schedule = self.schedule(family, params)
            trainer: Any = make_trainer("gpt", {**self.options, **schedule.hyperparameters}, seed, self.steps)
            trainer.start()
            try:
                trainer.train(schedule.lrs)
                found = float(trainer.evaluate())
            except Diverged:
                found = math.inf
            print(f"{name}: {found}", file=sys.stderr)
            kept.write_text(json.dumps(found))
        return float(json.loads(kept.read_text()))


def best_place(loss_at: Callable[[int], float]) -> int:
    """The whole number whose loss is least, from 0 on, as far as it is not at an end of what was tried."""
    tried = {place: loss_at(place) for place in (-1, 0, 1)}
    while (best := min(tried, key=lambda place: tried[place])) in (min(tried), max(tried)):
        further = best + (1 if best == max(tried) else -1)
        tried[further] = loss_at(further)
    return best


def benchmark(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    given.out.mkdir(parents=True, exist_ok=True)
    steps = 64 if given.quick else 600
    options = {**MODEL, **(SMALL if given.quick else {}), "averages": "none", "eval_batches": 4 if given.quick else 32}
    runs = Runs(given.out, steps, options)
    place = best_place(lambda place: runs.loss("cosine", {"peak_lr": FIRST_PEAK * 2.0**place}, TUNED_ON))
    peak = {"peak_lr": FIRST_PEAK * 2.0**place}
    doublings = min(DOUBLINGS, key=lambda count: runs.loss("seesaw", {**peak, "doublings": count}, TUNED_ON))
    seeds = range(TUNED_ON + 1, TUNED_ON + 1 + given.seeds)
    table = rows(runs, {"cosine": peak, "seesaw": {**peak, "doublings": doublings}}, seeds)
    document = {"batches": steps, "seeds": list(seeds), "rows": table}
    lines = [
        f"{row['family']:7} {row['updates']} updates ({row['share']:.1%}): {row['mean']:.4f}, {row['over_cosine']:+.4f}"
        for row in table
    ]
    return document, lines


def rows(runs: Runs, compared: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row per family; the cosine comes first."""
    found, first = [], np.zeros(0)
    for family, params in compared.items():
        losses = np.array([runs.loss(family, params, seed) for seed in seeds])
        first = first if first.size else losses
        ramp = runs.schedule(family, params).hyperparameters.get(DOUBLE_BATCH_AT, [])
        updates, more = serial_updates(runs.steps, ramp), losses - first
        row = {"family": family, **params, "double_batch_at": ramp, "updates": updates, "share": updates / runs.steps}
        error = float(more.std(ddof=1) / math.sqrt(more.size)) if more.size > 1 else None
        row |= {"losses": losses.tolist(), "mean": float(losses.mean())}
        found.append({**row, "over_cosine": float(more.mean()), "standard_error": error})
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of what was trained")
    parser.add_argument("--seeds", type=whole, default=5, help="fresh seeds")
    parser.add_argument("--quick", action="store_true", help="a small model and 64 batches, to try it out")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    given = parser.parse_args(arguments)
    return ended(lambda: benchmark(given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
