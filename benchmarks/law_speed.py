"""How long fits, refits, predictions and the optimal schedule take, on one core.

    OMP_NUM_THREADS=1 python benchmarks/law_speed.py [--json FILE]

Limits: three-curve fit 0.3 s, warm refit with one more curve 0.03 s, 1,000 predictions of 25,000 steps 1 s, optimal
24,000-step schedule 0.5 s at a predicted loss of at most 2.6891 nats (the published optimum's, 400M parameters).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autosched.laws.fit import LawFit, fit_law
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.functional import FunctionalFamily, Units
from autosched.laws.multi_power import PUBLISHED, MultiPowerFamily
from autosched.laws.optimum import NoOptimum, OptimumTask, optimal_schedule
from autosched.schedules.registry import build
from autosched.testing.published_curves import published_curve

LIMITS = {"fit": 0.3, "refit": 0.03, "predict": 1.0, "optimise": 0.5}


def timed(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Shortest of a few runs, seconds, and the result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
    return best, result


def measure() -> dict[str, float]:
    """Seconds by what was done."""
    curves = [published_curve(f"gpt25m/{name}") for name in ("cosine_24000", "constant_24000", "wsdcon_9", "wsdcon_3")]
    seconds: dict[str, float] = {}
    seconds["fit auto"], law = timed(lambda: fit_forecaster(curves[:3]))
    assert isinstance(law, Forecaster)
    seconds["refit auto"], _ = timed(lambda: fit_forecaster(curves, warm=law))
    functional = FunctionalFamily(units=Units.of([curve.schedule for curve in curves]))
    seconds["fit multi_power"], multi_power = timed(lambda: fit_law(MultiPowerFamily(), curves[:3]))
    seconds["fit functional"], intrinsic = timed(lambda: fit_law(functional, curves[:3]))
    assert isinstance(multi_power, LawFit)
    assert isinstance(intrinsic, LawFit)
    schedules = [
        build("wsd", {"peak_lr": 3e-4, "warmup_steps": 300, "cooldown_fraction": (i + 1) / 1000}, steps=25_000)
        for i in range(0, 1000, 10)
    ]
    for name, one in (("multi_power", multi_power.law), ("functional", intrinsic.law), ("auto", law)):
        taken, _ = timed(lambda one=one: [one.predict(schedule) for schedule in schedules])
        seconds[f"predict {name}"] = 1000 / len(schedules) * taken
    task = OptimumTask(steps=24_000, peak_lr=(3e-4, 3e-4), warmup_steps=2_160)
    seconds["optimise multi_power"], best = timed(lambda: optimal_schedule(PUBLISHED["400M"], task))
    assert not isinstance(best, NoOptimum)
    seconds["optimise auto"], _ = timed(lambda: optimal_schedule(law, task))
    print(f"optimal schedule at 400M parameters: {best.predicted.mean:.5f} nats (published optimum 2.6891)")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the seconds here")
    arguments = parser.parse_args()
    seconds = measure()
    for name, value in seconds.items():
        limit = LIMITS[name.split()[0]]
        print(f"{name:22s}{value:9.3f} s   limit {limit:g} s   {'ok' if value <= limit else 'TOO SLOW'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(seconds, indent=1))


if __name__ == "__main__":
    main()
