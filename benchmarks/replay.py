"""What every search pays for a good schedule: real runs replayed as if they trained.

    python benchmarks/replay.py --curves DIR --group llama124m --horizon 25000 --seeds 25 --json

A search chooses among the recorded runs of one group and horizon and sees their logged losses as if they trained. An
update costs one step. It has found the target when a full run has been completed whose full validation loss is at most
the best one's + 0.002 nats; what it spent until then, over the horizon, is its figure, in full-run equivalents. Methods
with a prefix store are listed twice: paying every update each time it is needed, and paying shared updates once.

``--world simulated`` searches a continuous space instead (peak LR, cooldown, shape), in a world whose losses follow a
law fitted to the group's curves, with the noise between its runs; there the target is the lowest loss of the law in the
space + 0.002 nats, and what counts is the law's loss, not the noisy one that the search sees.

False kill: a run that was stopped early although it would have been better than the best complete run of that time.
Coverage: how often a run's end lay in the 90% interval of a forecast made while it ran; the JSON has it at 50%, 80% and
90% with mean width and bias, apart for what the study had seen (``calibration``).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_command import whole
from searches.drive import Outcome
from searches.figures import Figures, figures
from searches.methods import Method, all_methods, chosen_methods
from searches.recorded import RecordedWorld, recorded_world
from searches.simulated import SimulatedWorld, simulated_world
from searches.world import Run
from threadpoolctl import threadpool_limits

from autosched.errors import AutoschedError
from autosched.testing.published_curves import published_curves

PACKAGES = ("autosched", "optuna", "ray", "syne-tune", "numpy", "scipy", "torch")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorldOrder:
    """Which world to make; a world itself is too large to hand to other processes."""

    kind: str
    curves: str
    group: str
    horizon: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One method with one seed; `method` is its label."""

    world: WorldOrder
    method: str
    seed: int
    workers: int


@lru_cache(maxsize=2)
def make_world(order: WorldOrder) -> RecordedWorld | SimulatedWorld:
    """The world of an order; made once in each process."""
    folder = Path(order.curves)
    if order.kind == "simulated":
        return simulated_world(folder, order.group, order.horizon)
    return recorded_world(folder, order.group, order.horizon)


def run_job(job: Job) -> tuple[Outcome, float]:
    """The outcome, and the seconds it took; on one thread, because the arrays are small."""
    world = make_world(job.world)
    if isinstance(world, SimulatedWorld):
        world = dataclasses.replace(world, seed=job.seed)
    method = next(method for method in all_methods() if method.label == job.method)
    started = time.perf_counter()
    with threadpool_limits(limits=1):
        outcome = method.run(world, job.seed, job.workers)
    return outcome, time.perf_counter() - started


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Outcome, float]]:
    """The outcomes in the order of the jobs."""
    if processes == 1:
        yield from map(run_job, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(run_job, jobs)


def compare(
    order: WorldOrder, methods: Sequence[Method], *, seeds: int, workers: int, processes: int
) -> Iterator[Figures]:
    """The lines of the table, method by method."""
    jobs = [
        Job(world=order, method=method.label, seed=seed, workers=workers) for method in methods for seed in range(seeds)
    ]
    done = run_all(jobs, processes)
    for method in methods:
        results = [next(done) for _ in range(seeds)]
        outcomes, seconds = [outcome for outcome, _ in results], sum(taken for _, taken in results)
        yield from figures(method.name, method.pruner, outcomes, horizon=order.horizon, seconds=seconds)


def document(order: WorldOrder, lines: Sequence[Figures], arguments: argparse.Namespace) -> dict[str, Any]:
    """The result with what it came from, as JSON data."""
    world = make_world(order)
    return {
        "world": order.kind,
        "group": order.group,
        "horizon": order.horizon,
        "runs": len(world.runs),
        "target": world.target,
        "rank_half_way": rank_half_way(world.runs, order.horizon),
        "seeds": arguments.seeds,
        "workers": arguments.workers,
        "results": [dataclasses.asdict(line) for line in lines],
        "left_out": [*getattr(world, "left_out", ()), *chosen_methods(arguments.methods)[1]],
        "versions": {"python": platform.python_version(), **versions()},
    }


def rank_half_way(runs: Sequence[Run], horizon: int) -> int | None:
    """Of the run that ends best, by its loss half-way, from 1; None where no runs are listed."""
    if not runs:
        return None
    best = min(runs, key=lambda run: run.truth)
    seen = [float(np.interp(horizon / 2, run.curve.steps, run.curve.losses)) for run in runs]
    return 1 + sum(loss < seen[runs.index(best)] for loss in seen)


def versions() -> dict[str, str]:
    """Of the packages that are compared, where they are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


HEADER = (
    f"{'method':<10}{'pruner':<12}{'prefixes':<10}{'median':>8}{'p90':>8}{'missed':>8}{'winner':>8}"
    f"{'false':>8}{'cover':>8}{'s/seed':>8}"
)


def table_line(line: Figures, seeds: int) -> str:
    """One line for a person; a dash is infinite, or nothing to count."""

    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    reuse = "shared" if line.prefix_reuse else "paid"
    return (
        f"{line.method:<10}{line.pruner:<12}{reuse:<10}{shown(line.median, '.2f'):>8}{shown(line.p90, '.2f'):>8}"
        f"{line.missed:>8}{line.winner_killed:>8}{shown(line.false_kill_rate if line.killed else None, '.1%'):>8}"
        f"{shown(line.coverage90, '.0%'):>8}{line.seconds / seeds:>8.2f}"
    )


def calibration_lines(line: Figures) -> list[str]:
    """How well the forecasts held, by what the study had seen, for a person."""
    return [
        f"  {stage:<12}{of.forecasts:>6} forecasts; 50/80/90% intervals hold {of.coverage50:.0%}/{of.coverage80:.0%}/"
        f"{of.coverage90:.0%}, mean width {of.width:.4f}, bias {of.bias:+.4f} nats"
        for stage, of in line.calibration.items()
    ]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=Path, help="folder with runs.csv; default: AUTOSCHED_CURVES, or shared/curves")
    parser.add_argument("--group", default="llama124m", help="value of the column 'group' in runs.csv")
    parser.add_argument("--horizon", type=whole, default=25_000, help="updates of a full run")
    parser.add_argument("--seeds", type=whole, default=25, help="searches of each method")
    parser.add_argument(
        "--methods", type=lambda text: text.split(","), help="e.g. tpe+none,random; a name alone is every pruner"
    )
    parser.add_argument("--world", choices=("recorded", "simulated"), default="recorded")
    parser.add_argument("--workers", type=whole, default=1, help="runs that a search trains at the same time")
    parser.add_argument("--jobs", type=whole, default=1, help="processes of this benchmark")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    given = parse(arguments)
    try:
        curves = given.curves or published_curves()
        order = WorldOrder(kind=given.world, curves=str(curves), group=given.group, horizon=given.horizon)
        methods, left_out = chosen_methods(given.methods)
        world = make_world(order)
        for reason in (*getattr(world, "left_out", ()), *left_out):
            print(reason, file=sys.stderr)
        print(f"{len(world.runs) or 'no listed'} runs, target {world.target:.4f} nats", file=sys.stderr)
        print(HEADER, file=sys.stderr if given.json else sys.stdout)
        lines = []
        for line in compare(order, methods, seeds=given.seeds, workers=given.workers, processes=given.jobs):
            lines.append(line)
            print(table_line(line, given.seeds), file=sys.stderr if given.json else sys.stdout, flush=True)
            for text in () if line.prefix_reuse else calibration_lines(line):
                print(text, file=sys.stderr if given.json else sys.stdout)
    except AutoschedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if given.json:
        json.dump(document(order, lines, given), sys.stdout, indent=2)
        sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
