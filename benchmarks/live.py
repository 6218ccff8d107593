"""Real training: every method searches with the same number of updates, and its schedule is trained on fresh seeds.

    OMP_NUM_THREADS=1 python benchmarks/live.py --out FOLDER [--json] [--processes 2]

Searches the demo's space (`search_spaces/wsd.yaml`) on the gpt trainer, a model smaller than the demo's and runs twice
as long: 6 full runs of 1,200 updates for every search, 5 seeds, 7 methods, each chosen schedule trained on 3 fresh
seeds. That takes about 45 minutes of one core; what lies in FOLDER already is not trained again, so it may be
interrupted at any time. The same file runs on a GPU, with a larger model:
--width 512 --layers 8 --heads 8 --context 512 --batch 32 --horizon 6000.

`--trainer digits` and `--trainer vision` search on scikit-learn's digits instead: 200 updates of SGD with momentum
without label noise, whose loss starts at ln(10) and falls by factors of 30, and 400 of AdamW with label noise. Both
search peak LRs over three decades; a run takes two seconds of one core.

Losses are of 32,768 validation tokens, because good schedules differ by thousandths: on the trainer's own 2,048, final
losses of one schedule scatter by 0.03 to 0.04 between seeds, on these by 0.02.

The first method is compared with the best of the others (lowest mean on fresh seeds over all seeds): after which share
of that peer's updates it had the peer's final loss, and how much higher or lower its schedule ends on fresh seeds. A
second table compares it with whichever peer was luckiest on each seed, a best of six searches that nobody can choose.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark_command import ended, whole
from peers import Duel, Gap, duel_of, strongest_peer

from autosched.compare.document import results_document
from autosched.compare.method import Method, parse_methods
from autosched.compare.outcome import Goal, results_of, write_results
from autosched.compare.plan import equal_updates, plan
from autosched.compare.run import Means, run_jobs
from autosched.compare.table import aligned, plain_lines, runs_text
from autosched.errors import UsageError
from autosched.report.summary import json_safe
from autosched.space import load_space
from autosched.space.records import Space
from autosched.study.run import RunOptions, make_backend, versions
from autosched.study.start import CHECKS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is trained.

    Attributes:
        use, options: the trainer.
        horizon: updates of a full run.
        evaluations: of a run; half as many checkpoints.
        peaks: bounds of the peak LR; None for the demo's.
    """

    use: str
    horizon: int
    evaluations: int = 30
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    peaks: tuple[float, float] | None = None


SPACE = Path(__file__).parents[1] / "search_spaces" / "wsd.yaml"
METHODS = "law,tpe+none,gp+none,random+none,random+median,tpe+asha,tpe+hyperband"
SIZES = {"layers": 2, "width": 32, "heads": 2, "context": 32, "batch": 16, "eval_batches": 64}
SGD = {"optimizer": "sgd", "weight_decay": 5e-4, "label_noise": 0.0, "clip": 0.0}
TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "gpt": Task(use="gpt", horizon=1200),
        "digits": Task(use="vision", horizon=200, evaluations=20, options=SGD, peaks=(1e-3, 1.0)),
        "vision": Task(use="vision", horizon=400, evaluations=20, peaks=(1e-4, 0.1)),
    }
)
STARTUP = 2
"""Random runs of TPE and of the Gaussian process before they propose; with their usual ones they all search alike."""


def live_space(given: argparse.Namespace) -> Space:
    """The demo's space with another trainer and horizon; evaluations, checkpoints and warmup keep their shares."""
    task = TASKS[given.trainer]
    horizon = given.horizon or task.horizon
    sizes = (*SIZES, "data", "device") if task.use == "gpt" else ("device",)
    if horizon % (2 * task.evaluations):
        raise UsageError(f"--horizon must be a multiple of {2 * task.evaluations}, but got {horizon}.")
    changes = {
        "study": "live",
        "trainer.use": task.use,
        "trainer.with": {**task.options, **{name: getattr(given, name) for name in sizes}},
        "horizon_steps": horizon,
        "eval_every": horizon // task.evaluations,
        "checkpoint_every": 2 * horizon // task.evaluations,
        "schedule.wsd.warmup_steps": horizon // 20,
        "default.wsd.warmup_steps": horizon // 20,
    }
    if task.peaks is not None:
        low, high = task.peaks
        changes["schedule.wsd.peak_lr"] = {"low": low, "high": high, "scale": "log"}
        changes["default.wsd.peak_lr"] = math.sqrt(low * high)
    return load_space(SPACE, [f"{key}={json.dumps(value)}" for key, value in changes.items()], CHECKS)


def duel_document(duel: Duel) -> dict[str, Any]:
    """The duel as JSON data; what was never reached is None."""
    document = {
        **dataclasses.asdict(duel),
        "shares": duel.shares,
        "median_share": duel.median_share,
        "early_shares": duel.early_shares,
        "steps": duel.steps,
        "gap": duel.gap,
        "worse_on": duel.worse_on,
    }
    safe: dict[str, Any] = json_safe(document)
    return safe


def duel_lines(duel: Duel, horizon: int, title: str) -> list[str]:
    """The duel for a person."""
    head = ("seed", "peer", "its loss", "after", "own full runs", "share", "peer on fresh seeds", "gap")
    rows = [
        (
            str(one.seed),
            one.peer,
            f"{one.loss:.4f}",
            runs_text(one.peer_steps, horizon),
            runs_text(one.steps[duel.method], horizon),
            f"{share:.0%}" if math.isfinite(share) else "never",
            "" if one.gap is None else one.gap.peer,
            "" if one.gap is None else gap_text(one.gap),
        )
        for one, share in zip(duel.seeds, duel.shares, strict=True)
    ]
    reached = ", ".join(f"{name} {runs_text(steps, horizon)}" for name, steps in duel.steps.items())
    worse = ", ".join(map(str, duel.worse_on)) or "none"
    median = f"{duel.median_share:.0%} in the median" if math.isfinite(duel.median_share) else "never in the median"
    gap = "" if duel.gap is None else f"mean gap on fresh seeds: {duel.gap:+.4f}"
    return [
        f"{duel.method} beside {title}",
        *aligned(head, rows),
        f"share of that peer's whole search until its final loss was reached: {median}",
        f"median full runs until that peer's final loss was reached: {reached}",
        f"seeds on which it ends higher by more than one standard error: {worse}",
        *([gap] if gap else []),
    ]


def gap_text(gap: Gap) -> str:
    """Mean and standard error, nats."""
    return f"{gap.mean:+.4f}" + ("" if gap.standard_error is None else f" ± {gap.standard_error:.4f}")


def sooner(method: Method) -> Method:
    """The method with fewer random runs at the start: TPE's and GP's usual ones would fill the whole budget."""
    if method.controller.name not in {"tpe", "gp"}:
        return method
    controller = dataclasses.replace(method.controller, options={"n_startup_trials": STARTUP})
    return dataclasses.replace(method, controller=controller)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for studies and results; called again, goes on")
    parser.add_argument("--methods", default=METHODS, help="the first is compared with the best of the others")
    parser.add_argument("--seeds", type=whole, default=5, help="searches of each method")
    parser.add_argument("--full-runs", type=float, default=6.0, help="budget of each search")
    parser.add_argument("--fresh-seeds", type=whole, default=3, help="runs of each chosen schedule")
    parser.add_argument("--trainer", choices=TASKS, default="gpt", help="what is trained")
    parser.add_argument("--horizon", type=whole, help="updates of a full run; default: the trainer's")
    for name, default in SIZES.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=whole, default=default, help="of the model, its batches and its validation")
    parser.add_argument("--data", default="stdlib", help="stdlib, a text file, or nanoGPT's .bin files")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--processes", type=whole, default=1, help="searches at the same time")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args(arguments)


def run(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Run what is left; the result for a machine and for a person."""
    space = live_space(given)
    methods = tuple(sooner(method) for method in parse_methods(given.methods, [], space))
    terms = equal_updates(space, full_runs=given.full_runs, seeds=given.seeds, fresh_seeds=given.fresh_seeds)
    terms = dataclasses.replace(terms, with_default=False)  # a guess that all share would hide what they find
    means = Means(
        make_backend=partial(make_backend, options=RunOptions(backend="local")),
        versions=versions(),
        processes=given.processes,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
        quiet=True,
    )
    traces = run_jobs(plan(space, methods, terms, given.out, CHECKS), means)
    goal = Goal()
    results = results_of(traces, terms, goal, title="Live training")
    own = methods[0].name
    peer = strongest_peer(own, traces)
    duel, luckiest = duel_of(own, traces, peer=peer), duel_of(own, traces)
    origin = {"command": sys.argv, "trainer": dict(space.trainer.options), "versions": versions()}
    duels = {"peer": peer, "duel": duel_document(duel), "luckiest": duel_document(luckiest)}
    document = results_document(results, **origin, **duels)
    write_results(results, goal, given.out, document)
    lines = duel_lines(duel, results.horizon, f"the best peer, {peer}")
    lines += ["", *duel_lines(luckiest, results.horizon, "the luckiest peer of each seed")]
    return document, [*plain_lines(results), "", *lines]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    given = parse(arguments)
    return ended(partial(run, given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
