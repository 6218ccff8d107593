"""How long it takes to make the LRs of a million updates, on one core.

    OMP_NUM_THREADS=1 python benchmarks/schedules.py [--json FILE]

For every family whose LRs have a closed form: milliseconds (processor time, the shortest of seven), the same over what
numpy takes for the cheapest and for a typical array of that length (``arange``, and ``cos`` of it), and, where torch
has the schedule, what its scheduler takes for a million calls of ``step()`` (from 20,000 of them). Limit: 50 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler

from autosched.schedules.family import Family
from autosched.schedules.registry import build, family_names, get_family

STEPS, STEPPED = 1_000_000, 20_000
LIMIT_MS = 50.0
GIVEN: Mapping[str, Any] = {"peak_lr": 0.1, "values": [0.1, 0.05], "boundaries": [500_000], "warmup_steps": 1000}
LONGEST: Mapping[str, Any] = {
    "warmup_shape": "radam",
    "warmup_steps": 800_000,
    "cooldown_shape": "mirror_cosine",
    "cooldown_fraction": 0.2,
}
"""The warmup and the cooldown that take longest, over the whole run."""
PEERS: Mapping[str, Callable[[torch.optim.Optimizer], Any]] = {
    "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=STEPPED),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPPED),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, total_iters=STEPPED, power=2),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, gamma=0.9999),
    "step_decay": lambda o: lr_scheduler.StepLR(o, step_size=STEPPED // 3),
    "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=STEPPED + 1, cycle_momentum=False),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.025, 0.1, step_size_up=STEPPED // 8, cycle_momentum=False),
    "warm_restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=STEPPED // 7, T_mult=2),
}


def shortest(work: Callable[[], Any], repeats: int = 7) -> float:
    """Processor time of the shortest of a few runs, milliseconds."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return 1e3 * best


def parameters(family: Family) -> dict[str, Any] | None:
    """What a family is measured with; None when it is given its LRs one by one or needs what is not known here."""
    required = [name for name, parameter in family.parameters.items() if parameter.required]
    if not set(required) <= set(GIVEN):
        return None
    return {name: GIVEN[name] for name in GIVEN if name in required or name in family.parameters}


def torch_ms(make: Callable[[torch.optim.Optimizer], Any]) -> float:
    """Milliseconds of a million ``step()`` calls of a torch scheduler, from `STEPPED` of them."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    started = time.process_time()
    for _ in range(STEPPED):
        scheduler.step()
    return 1e3 * (time.process_time() - started) * STEPS / STEPPED


def measure() -> list[dict[str, Any]]:
    """One row per family."""
    arange = shortest(lambda: np.arange(STEPS, dtype=np.float64))
    cosine = shortest(lambda: np.cos(np.pi / STEPS * np.arange(STEPS, dtype=np.float64)))
    rows: list[dict[str, Any]] = []
    for name in family_names():
        params = parameters(get_family(name))
        if params is None:
            continue
        ms = shortest(lambda name=name, params=params: build(name, params, steps=STEPS))
        row = {"family": name, "ms": ms, "per_arange": ms / arange, "per_cos": ms / cosine}
        if name in PEERS:
            row["torch_ms"] = torch_ms(PEERS[name])
        rows.append(row)
    dressed = shortest(lambda: build("constant", {"peak_lr": 0.1, **LONGEST}, steps=STEPS))
    rows.append({"family": "(ends only)", "ms": dressed, "per_arange": dressed / arange, "per_cos": dressed / cosine})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torch asks for an optimizer's step before the scheduler's
    rows = measure()
    print(f"{'family':22}{'ms':>8}{'x arange':>10}{'x cos':>8}{'torch s':>10}{'x':>8}")
    for row in rows:
        peer = f"{row['torch_ms'] / 1e3:10.1f}{row['torch_ms'] / row['ms']:8.0f}" if "torch_ms" in row else ""
        print(f"{row['family']:22}{row['ms']:8.1f}{row['per_arange']:10.1f}{row['per_cos']:8.1f}{peer}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    slow = [row["family"] for row in rows if row["ms"] > LIMIT_MS]
    if slow:
        sys.exit(f"over {LIMIT_MS:g} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
