"""Going on from a trained model on other text: is the tuned re-warm better, and do the law's intervals hold?

    OMP_NUM_THREADS=1 python benchmarks/continual.py --out FOLDER [--json]

The demo's GPT learns Python (the standard library) for 600 updates. From its checkpoint, written as
`autosched export --to checkpoint` writes it, runs of 600 updates learn C++ (torch's headers). The shipped space
`continual.yaml` is searched by the law for the least mean of the losses on new and old text; the winner, a full re-warm
(to the pretraining's peak LR, the space's default) and no re-warm (the pretraining's last LR, which stays) are then
trained on the same three fresh seeds. `--horizon` makes the runs that go on shorter.

Then the continual-pretraining law: for every schedule that was trained to its end, it is fitted to the runs of all
other schedules and to the pretraining, once for each loss, and forecasts the schedule's ends. Goes on where it was
interrupted; takes a few minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_command import ended, whole

from autosched.compare.table import aligned
from autosched.curves.continued import continued
from autosched.curves.curve import Curve
from autosched.laws.continual import ContinualFamily, Effect
from autosched.laws.fit import FitFailure
from autosched.laws.forecast import Query
from autosched.laws.forecaster_fit import alone, fit_forecaster
from autosched.ledger.state import TrialState
from autosched.schedules.schedule import Schedule
from autosched.space.document import read_document
from autosched.study.results import Study
from autosched.study.tuning import tune

SPACE = Path(__file__).parents[1] / "search_spaces" / "continual.yaml"
PEAK, LAST = 1e-2, 1e-3
"""Of the pretraining; the space has the first as its default's peak."""
PRETRAINING = {"peak_lr": PEAK, "warmup_steps": 30, "cooldown_fraction": 0.5, "final_lr_ratio": LAST / PEAK}
WITHOUT = [{"constant": {"peak_lr": LAST}}]
EFFECTS: Mapping[str, Effect] = {"old": "forgetting", "new": "adaptation"}
SEEDS = 3


def pretrained(folder: Path, overrides: Sequence[str]) -> tuple[Study, Path]:
    """The study that trained the model, and its checkpoint."""
    study = _tuned(
        folder,
        overrides,
        "pretraining",
        {
            "trainer.with.data": "stdlib",
            "trainer.with.old_data": "headers",
            "trainer.with.init_from": None,
            "objective": "new",
            "candidates": [{"wsd": PRETRAINING}],
            "schedule": None,
            "default": None,
            "controller": "random",
            "pruner": "none",
            "budget": {"trials": 1},
            "confirm": {"seeds": 0},
        },
    )
    path = folder / "pretrained.pt"
    if not path.exists():
        path.write_bytes(study.checkpoint())
    return study, path


def studies(folder: Path, overrides: Sequence[str], checkpoint: Path, horizon: int | None) -> dict[str, Study]:
    """The search, and the runs without a re-warm."""
    start = {"trainer.with.init_from": str(checkpoint), "confirm.seeds": SEEDS}
    start |= {} if horizon is None else {"horizon_steps": horizon}
    without = {
        **start,
        "candidates": WITHOUT,
        "schedule": None,
        "default": None,
        "controller": "random",
        "pruner": "none",
        "budget": {"trials": len(WITHOUT)},
        "confirm.finalists": len(WITHOUT),
    }
    return {
        "search": _tuned(folder, overrides, "continual", {**start, "confirm.finalists": 1}),
        "without": _tuned(folder, overrides, "without", without),
    }


def _tuned(folder: Path, overrides: Sequence[str], name: str, changes: Mapping[str, Any]) -> Study:
    data: dict[str, Any] = json.loads(json.dumps(read_document(SPACE).data))
    for key, value in {**changes, "study": name, "tracking": "none", "storage.checkpoints": "checkpoints"}.items():
        *path, last = key.split(".")
        inner = data
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
        if value is None:
            del inner[last]
    ledger = f"sqlite:///{folder.resolve()}/autosched.db"
    return tune(data, overrides=overrides, backend="local", ledger=ledger, resume=True, progress=sys.stderr.isatty())


def final(trial: TrialState) -> dict[str, float]:
    """A trial's last losses and the objective."""
    return {**trial.points[-1].losses, "objective": trial.points[-1].loss}


def fresh_seeds(found: Mapping[str, Study]) -> list[dict[str, Any]]:
    """The compared schedules on the fresh seeds, with what the winner gains on each."""
    search, without = found["search"], found["without"]
    best, default = search.trial(), search.default
    assert default is not None
    compared = [("tuned", search, best), ("full re-warm", search, default)]
    compared += [(f"no re-warm, {trial.family}", without, trial) for trial in without.trials if trial.of is None]
    own = _fresh(search, best)
    return [_row(name, trial, _fresh(study, trial), own) for name, study, trial in compared]


def _fresh(study: Study, trial: TrialState) -> dict[int, dict[str, float]]:
    return {run.seed: final(run) for run in study.trials if run.of == trial.number and run.status == "complete"}


def _row(
    name: str, trial: TrialState, runs: Mapping[int, Mapping[str, float]], best: Mapping[int, Mapping[str, float]]
) -> dict[str, Any]:
    gains = np.array([runs[seed]["objective"] - best[seed]["objective"] for seed in best])
    return {
        "name": name,
        "schedule": trial.schedule.describe(),
        **{loss: float(np.mean([run[loss] for run in runs.values()])) for loss in ("new", "old", "objective")},
        "worse_by": float(gains.mean()),
        "standard_error": float(gains.std(ddof=1) / math.sqrt(gains.size)),
        "worse_on": int(np.sum(gains > 0)),
        "seeds": int(gains.size),
    }


def law_rows(pretraining: Study, found: Mapping[str, Study]) -> list[dict[str, Any]]:
    """Each loss of each schedule's end, forecast from the other schedules' runs."""
    before = pretraining.schedule()
    rows = []
    for loss, effect in EFFECTS.items():
        first = pretraining.curves_of("old" if loss == "new" else "new")[0]
        runs = [
            (trial, continued(study.curves_of(loss)[trial.number], before))
            for study in found.values()
            for trial in study.trials
            if trial.status == "complete"
        ]
        for schedule in dict.fromkeys(trial.schedule for trial, _ in runs):
            own = [curve for trial, curve in runs if trial.schedule == schedule]
            others = [curve for trial, curve in runs if trial.schedule != schedule]
            rows.append({"loss": loss, **_forecast([first, *others], own, effect, before)})
    return rows


def _forecast(others: Sequence[Curve], own: Sequence[Curve], effect: Effect, before: Schedule) -> dict[str, Any]:
    seen = float(np.mean([curve.losses[-1] for curve in own]))
    family = ContinualFamily(effect=effect, pretraining_steps=before.steps)
    law = fit_forecaster(others, alone(family))
    row = {
        "schedule": own[0].name,
        "runs": len(own),
        "seen": seen,
        "peak_lr": own[0].schedule.lrs[before.steps :].max(),
    }
    if isinstance(law, FitFailure):
        return {**row, "reason": law.reason, "inside": False}
    told = law.forecast(Query.ends([own[0].schedule])).loss(0)
    return {**row, "mean": told.mean, "low": told.low, "high": told.high, "inside": told.low <= seen <= told.high}


def measured(
    folder: Path, overrides: Sequence[str] = (), horizon: int | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Everything, as JSON data and as lines."""
    folder.mkdir(parents=True, exist_ok=True)
    pretraining, checkpoint = pretrained(folder, overrides)
    found = studies(folder, overrides, checkpoint, horizon)
    seeds, laws = fresh_seeds(found), law_rows(pretraining, found)
    inside = {loss: sum(row["inside"] for row in laws if row["loss"] == loss) for loss in EFFECTS}
    counts = {loss: sum(row["loss"] == loss for row in laws) for loss in EFFECTS}
    errors = {
        loss: float(np.mean([abs(row["mean"] - row["seen"]) for row in laws if row["loss"] == loss and "mean" in row]))
        for loss in EFFECTS
    }
    document = {
        "start": {name: final(pretraining.trial())[name] for name in ("new", "old")},
        "fresh": seeds,
        "laws": laws,
        "inside": inside,
        "schedules": counts,
        "mean_error": errors,
        "winner": found["search"].trial().schedule.describe(),
    }
    head = ("schedule", "new", "old", "mean of both", "above the tuned")
    rows = [
        (
            row["name"],
            f"{row['new']:.4f}",
            f"{row['old']:.4f}",
            f"{row['objective']:.4f}",
            f"{row['worse_by']:+.4f} ± {row['standard_error']:.4f}, on {row['worse_on']} of {row['seeds']} seeds",
        )
        for row in seeds
    ]
    told = [
        f"{loss}: {inside[loss]} of {counts[loss]} ends in the law's 90% interval, mean error {errors[loss]:.4f} nats"
        for loss in EFFECTS
    ]
    return document, [f"tuned: {document['winner']}", *aligned(head, rows), *told]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder of the studies.", metavar="FOLDER")
    parser.add_argument(
        "--set", action="append", default=[], help="Override a value of all studies.", metavar="KEY=VALUE"
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    parser.add_argument("--horizon", type=whole, help="Updates of a run that goes on; default: the space's.")
    given = parser.parse_args(arguments)
    return ended(lambda: measured(given.out, given.set, given.horizon), as_json=given.json)


if __name__ == "__main__":
    raise SystemExit(main())
