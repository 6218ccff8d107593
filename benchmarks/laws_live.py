"""Short runs of the demo's byte GPT predict longer ones: where laws are out of their regime, and whether they say so.

    OMP_NUM_THREADS=1 python benchmarks/laws_live.py --runs FOLDER [--json FILE]

Trains 5 peak LRs (3e-3 to 3e-2) x 4 cooldowns (10% to 90%) for 300, 600 and 1,200 updates (10 minutes on one core; what
lies in FOLDER already is not trained again), fits the default law to the runs of 300, and predicts the ends of the
others. Beside it: ranking the long runs by the ends of the short ones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from autosched.curves.curve import Curve
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.schedules.registry import build
from workers.registry import make_trainer

PEAKS = tuple(float(peak) for peak in np.geomspace(3e-3, 3e-2, 5).round(6))
COOLDOWNS = (0.1, 0.3, 0.6, 0.9)
HORIZONS = (300, 600, 1200)
EVERY = 20


def run(folder: Path, horizon: int, peak: float, cooldown: float) -> Curve:
    """Train one run, or read it when it was trained before."""
    params = {"peak_lr": peak, "warmup_steps": 30, "cooldown_fraction": cooldown, "final_lr_ratio": 0.0}
    schedule = build("wsd", params, steps=horizon)
    name = f"wsd_{peak:g}_{cooldown:g}_{horizon}"
    file = folder / f"{name}.json"
    if not file.exists():
        trainer = make_trainer("gpt", {}, 0, horizon)
        trainer.start()
        losses = []
        for start in range(0, horizon, EVERY):
            trainer.train(schedule.lrs[start : start + EVERY])
            losses.append(trainer.evaluate())
        file.write_text(json.dumps(losses))
    losses = json.loads(file.read_text())
    steps = np.arange(EVERY, horizon + 1, EVERY, dtype=np.float64)
    return Curve(schedule=schedule, steps=steps, losses=np.array(losses), name=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the trained runs")
    parser.add_argument("--json", type=Path, help="write the scores here")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    grid = [(peak, cooldown) for peak in PEAKS for cooldown in COOLDOWNS]
    runs = {horizon: [run(arguments.runs, horizon, *point) for point in grid] for horizon in HORIZONS}
    law = fit_forecaster(runs[300])
    if not isinstance(law, Forecaster):
        raise SystemExit(law.reason)
    short = np.array([curve.losses[-1] for curve in runs[300]])
    scores = []
    for horizon in HORIZONS[1:]:
        ends = [law.forecast(Query.of([(curve.schedule, curve.steps[-1:])])) for curve in runs[horizon]]
        predicted = np.array([end.mean[0] for end in ends])
        seen = np.array([curve.losses[-1] for curve in runs[horizon]])
        intervals = [end.interval(0.9) for end in ends]
        inside = [low[0] <= loss <= high[0] for (low, high), loss in zip(intervals, seen, strict=True)]
        scores.append(
            {
                "horizon": horizon,
                "spearman": float(spearmanr(predicted, seen)[0]),
                "spearman_of_short_ends": float(spearmanr(short, seen)[0]),
                "best_gap": float(seen[predicted.argmin()] - seen.min()),
                "mae": float(np.abs(predicted - seen).mean()),
                "coverage90": float(np.mean(inside)),
            }
        )
        print("  ".join(f"{name} {value:.4g}" for name, value in scores[-1].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
