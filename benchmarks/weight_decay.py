"""How well the forecaster knows the ends of runs of a weight decay that it has not seen, with and without timescale.

    python benchmarks/weight_decay.py --world gpt --json

Runs of several weight decays and peak LRs; each weight decay is left out in turn, all its runs with it. ``process``
leaves what weight decay does to the Gaussian process by its place in the range; ``timescale`` adds log10(weight decay x
sum of LRs). Errors are of log losses.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import FULL, fit_forecaster
from autosched.schedules import Schedule, build
from autosched.schedules.schedule import Coordinates
from workers.registry import make_trainer

HORIZON, EVERY = 240, 20
DECAYS, PEAKS = (0.03, 0.1, 0.3, 1.0, 3.0), (0.005, 0.015, 0.045)
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "gpt": {"layers": 2, "width": 64, "heads": 4, "context": 64, "batch": 16, "data": "stdlib", "averages": "none"},
    "simulated": {},
}


def schedule(peak: float, decay: float, *, timescale: bool) -> Schedule:
    """A run's schedule with its weight decay."""
    params = {"peak_lr": peak, "warmup_steps": 15, "cooldown_fraction": 0.4}
    place = math.log(decay / DECAYS[0]) / math.log(DECAYS[-1] / DECAYS[0])
    where = Coordinates((place,), math.log(decay) if timescale else None)
    return build("wsd", params, steps=HORIZON).beside({"weight_decay": decay}, where)


def trained(world: str) -> list[dict[str, Any]]:
    """The losses of all runs."""
    runs = []
    for decay in DECAYS:
        for peak in PEAKS:
            trainer: Any = make_trainer(world, {**OPTIONS[world], "weight_decay": decay}, 0, HORIZON)
            trainer.start()
            lrs, losses = schedule(peak, decay, timescale=False).lrs, []
            for start in range(0, HORIZON, EVERY):
                trainer.train(lrs[start : start + EVERY])
                losses.append(float(trainer.evaluate()))
            runs.append({"weight_decay": decay, "peak_lr": peak, "losses": losses})
    return runs


def left_out(runs: Sequence[Mapping[str, Any]], *, timescale: bool) -> list[dict[str, Any]]:
    """By weight decay the errors of its runs' ends, from all others."""
    steps = np.arange(EVERY, HORIZON + 1, EVERY, dtype=np.float64)

    def curve(run: Mapping[str, Any]) -> Curve:
        made = schedule(run["peak_lr"], run["weight_decay"], timescale=timescale)
        return Curve(schedule=made, steps=steps, losses=np.array(run["losses"]))

    found = []
    for decay in DECAYS:
        law = fit_forecaster([curve(run) for run in runs if run["weight_decay"] != decay], FULL)
        asked = [curve(run) for run in runs if run["weight_decay"] == decay]
        if not isinstance(law, Forecaster):
            raise SystemExit(law.reason)
        ends = law.forecast(Query.ends([one.schedule for one in asked])).log_mean
        errors = ends - np.log([one.losses[-1] for one in asked])
        found.append({"weight_decay": decay, "rms": float(np.sqrt(np.mean(errors**2))), "errors": errors.tolist()})
    return found


def main() -> None:
    """Train, leave out, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=list(OPTIONS), default="simulated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    print(json.dumps(measured(args.world, trained(args.world)), indent=1 if args.json else None))


def measured(world: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The errors of both ways, and their root mean squares over all, and over decays that are not the last."""
    ways = {name: left_out(runs, timescale=name == "timescale") for name in ("process", "timescale")}
    rows = [
        {"weight_decay": decay, **{name: way[index]["rms"] for name, way in ways.items()}}
        for index, decay in enumerate(DECAYS)
    ]
    means = {
        part: {name: math.sqrt(np.mean([row["rms"] ** 2 for row in way[:last]])) for name, way in ways.items()}
        for part, last in {"all": len(DECAYS), "inside": len(DECAYS) - 1}.items()
    }
    return {"world": world, "rows": rows, **means, "runs": list(runs)}


if __name__ == "__main__":
    main()
