"""What the optimizers that adapt or choose their own LR reach on the two torch trainers, and what an update costs them.

    OMP_NUM_THREADS=1 python benchmarks/baselines.py --runs FOLDER [--seeds N] [--gpt-updates N] [--json FILE]

Every method runs at its published LR (or factor of its own step) and, where it takes an LR, at two more; all of these
runs are its cost. 600 updates for gpt and 400 for vision, at the trainers' default sizes (20 minutes for each seed on
one core; what lies in FOLDER already is not trained again). An update's cost is processor time over that of AdamW's,
both measured in turns in one process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from autosched.schedules.registry import build
from autosched.trainer import Diverged
from workers.registry import make_trainer

UPDATES = {"gpt": 600, "vision": 400}
WARMUP = 20
TURNS, TURN = 7, 6
"""How often, and for how many updates, a method and AdamW are timed in turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A method as it is measured.

    Attributes:
        name: as in the table.
        optimizer: the trainer's option.
        lrs: peak LRs that are tried, the published one first.
        schedule: ``constant``, or ``cosine`` to 0 after a warmup where the method was published with one.
    """

    name: str
    optimizer: Any
    lrs: tuple[float, ...]
    schedule: str = "constant"


ADAM_LRS = (1e-3, 3e-3, 1e-2)
ENTRIES = (
    Entry(name="adamw, constant", optimizer="adamw", lrs=ADAM_LRS),
    Entry(name="adamw, cosine", optimizer="adamw", lrs=ADAM_LRS, schedule="cosine"),
    Entry(name="radam", optimizer="radam", lrs=ADAM_LRS),
    Entry(name="adamod", optimizer="adamod", lrs=ADAM_LRS),
    Entry(name="schedulefree", optimizer="schedulefree", lrs=(2.5e-3, 1e-2, 4e-2)),
    Entry(name="prodigy", optimizer="prodigy", lrs=(1.0,)),
    Entry(name="prodigy, cosine", optimizer="prodigy", lrs=(1.0,), schedule="cosine"),
    Entry(name="muon", optimizer="muon", lrs=(2e-2, 5e-3, 8e-2)),
    Entry(name="soap", optimizer="soap", lrs=(3e-3, 1e-3, 1e-2)),
    Entry(name="lion", optimizer="lion", lrs=(1e-4, 1e-3, 3e-3)),
    Entry(name="dadaptation", optimizer="dadaptation", lrs=(1.0,)),
    Entry(name="dog", optimizer="dog", lrs=(1.0,)),
    Entry(name="ldog", optimizer="ldog", lrs=(1.0,)),
    Entry(name="polyak", optimizer="polyak", lrs=(0.1, 0.3, 1.0)),
    Entry(name="hypergradient", optimizer="hypergradient", lrs=ADAM_LRS),
    Entry(name="fedhyper", optimizer="fedhyper", lrs=ADAM_LRS),
    Entry(name="volsched, cosine", optimizer="volsched", lrs=ADAM_LRS, schedule="cosine"),
    Entry(name="tempbalance, cosine", optimizer="tempbalance", lrs=ADAM_LRS, schedule="cosine"),
)


def schedule_of(entry: Entry, lr: float, steps: int) -> np.ndarray:
    """The LR of every update."""
    if entry.schedule == "constant":
        return np.full(steps, lr)
    return build("cosine", {"peak_lr": lr, "warmup_steps": WARMUP, "final_lr_ratio": 0.0}, steps=steps).lrs


def final_loss(use: str, entry: Entry, lr: float, *, seed: int, steps: int, options: dict[str, Any]) -> float | None:
    """Validation loss after `steps` updates, nats; None where the run diverged."""
    trainer = make_trainer(use, {**options, "optimizer": entry.optimizer}, seed, steps)
    trainer.start()
    try:
        trainer.train(schedule_of(entry, lr, steps))
    except Diverged:
        return None
    return trainer.evaluate()


def relative_cost(use: str, optimizer: Any, *, options: dict[str, Any], turns: int = TURNS, turn: int = TURN) -> float:
    """Median of processor seconds per update over AdamW's, in turns, so that a busy machine slows both."""
    lr = 1e-4  # what it costs does not depend on what it learns
    pair = [make_trainer(use, {**options, "optimizer": name}, 0, turns * turn) for name in (optimizer, "adamw")]
    for trainer in pair:
        trainer.start()
        trainer.train(np.full(2, lr))
    ratios = []
    for _ in range(turns):
        spent = []
        for trainer in pair:
            started = time.process_time()
            trainer.train(np.full(turn, lr))
            spent.append(time.process_time() - started)
        ratios.append(spent[0] / spent[1])
    return median(ratios)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What has been measured on one trainer, in files, and what has not yet been.

    Attributes:
        folder: of the files.
        use: the trainer.
        steps: updates of each run.
        options: of the trainer, besides the optimizer.
    """

    folder: Path
    use: str
    steps: int
    options: dict[str, Any] = field(default_factory=dict)

    def loss(self, entry: Entry, lr: float, seed: int) -> float | None:
        """The final loss of one run, nats; None where it diverged."""
        return self._kept(
            f"{self._name(entry)}-{seed}-{lr:g}",
            lambda: final_loss(self.use, entry, lr, seed=seed, steps=self.steps, options=self.options),
        )

    def cost(self, entry: Entry) -> float:
        """What an update of this method costs, over AdamW's."""
        found = self._kept(
            f"{self._name(entry)}-cost", lambda: relative_cost(self.use, entry.optimizer, options=self.options)
        )
        assert found is not None
        return found

    def rows(self, entries: Sequence[Entry], seeds: int) -> list[dict[str, Any]]:
        """One row for each method, seed and LR; first all published LRs are run, then all second ones, and so on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for index in range(max(len(entry.lrs) for entry in entries)):
            for entry in entries:
                for seed in range(seeds):
                    for lr in entry.lrs[index : index + 1]:
                        loss = self.loss(entry, lr, seed)
                        print(f"{self.use}, {entry.name}, LR {lr:g}, seed {seed}: {loss}", flush=True)
        return [
            {
                "trainer": self.use,
                "method": entry.name,
                "seed": seed,
                "updates": self.steps,
                "lr": lr,
                "final_loss": self.loss(entry, lr, seed),
                "relative_seconds": self.cost(entry),
            }
            for entry in entries
            for seed in range(seeds)
            for lr in entry.lrs
        ]

    def _name(self, entry: Entry) -> str:
        return f"{self.use}-{entry.name.replace(', ', '-')}-{self.steps}"

    def _kept(self, name: str, make: Callable[[], float | None]) -> float | None:
        file = self.folder / f"{name}.json"
        if not file.exists():
            file.write_text(json.dumps(make()))
        found: float | None = json.loads(file.read_text())
        return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each trainer and method: the loss at the published LR and at the best LR, means over the seeds.

    The best LR is the one with the lowest mean; an LR with a diverged run has none.
    """
    table = []
    for use, name in dict.fromkeys((row["trainer"], row["method"]) for row in rows):
        own = [row for row in rows if (row["trainer"], row["method"]) == (use, name)]
        losses: dict[float, list[float | None]] = {}
        for row in own:
            losses.setdefault(row["lr"], []).append(row["final_loss"])
        means = {lr: None if None in found else mean(found) for lr, found in losses.items()}
        sound = {lr: loss for lr, loss in means.items() if loss is not None}
        best = min(sound, key=sound.__getitem__) if sound else None
        table.append(
            {
                "trainer": use,
                "method": name,
                "published_lr": next(iter(means)),
                "published": next(iter(means.values())),
                "best_lr": best,
                "best": None if best is None else sound[best],
                "updates": len(means) * own[0]["updates"],
                "relative_seconds": own[0]["relative_seconds"],
            }
        )
    return table


def as_markdown(table: list[dict[str, Any]]) -> str:
    """The summary as a table for a document."""
    lines = []
    for use in dict.fromkeys(row["trainer"] for row in table):
        lines += [
            f"\n{use}\n",
            "| method | published LR | loss | best LR | loss | updates for it | cost of an update |",
        ]
        lines.append("|---|---|---|---|---|---|---|")
        for row in (row for row in table if row["trainer"] == use):
            shown = ["diverged" if row[key] is None else f"{row[key]:.3f}" for key in ("published", "best")]
            lr = "none" if row["best_lr"] is None else f"{row['best_lr']:g}"
            lines.append(
                f"| {row['method']} | {row['published_lr']:g} | {shown[0]} | {lr} | {shown[1]} "
                f"| {row['updates']:,} | {row['relative_seconds']:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder for what is measured")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trainers", default="vision,gpt")
    for use, updates in UPDATES.items():
        parser.add_argument(f"--{use}-updates", type=int, default=updates)
    parser.add_argument("--json", type=Path, help="write rows and summary here")
    arguments = parser.parse_args()
    rows = []
    for use in arguments.trainers.split(","):
        runs = Runs(folder=arguments.runs, use=use, steps=getattr(arguments, f"{use}_updates"))
        rows += runs.rows(ENTRIES, arguments.seeds)
    table = summary(rows)
    print(as_markdown(table))
    if arguments.json:
        arguments.json.write_text(json.dumps({"results": rows, "summary": table}, indent=1))


if __name__ == "__main__":
    main()
