"""AutoLRS beside tuned schedules on real training, at equal total updates; and what its workers save.

    OMP_NUM_THREADS=1 python benchmarks/autolrs.py --out FOLDER [--json] [--processes 2]

On the gpt and the vision trainer, per seed: AutoLRS as published, mended, and far-sighted, each with 1,200 updates in
all, search included; a constant LR searched within the same total (10 LRs share half of it, the best goes on); and a
constant LR and a cosine to 0, the best of 10 peak LRs by their final loss, where *each* LR has all 1,200 updates
(their tuning is free; `tuning_steps` says what it took). Then one stage on a noisy quadratic with a
known best LR, 50 seeds, and the wall-clock of one stage by the number of workers. What lies in FOLDER already is not
trained again, so it may be interrupted at any time. FOLDER gets autolrs.json and a picture for each trainer.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from benchmark_command import ended, whole
from stagewise import clock, contest, kept, pictures, quadratic, summary

from autosched.errors import UsageError
from autosched.study.run import versions
from autosched.study.start import check_folder
from workers.registry import check_trainer

TRAINERS = ("gpt", "vision", "quadratic", "simulated")
TRAINED: Mapping[str, Mapping[str, Any]] = {
    "gpt": {"width": 32, "heads": 2, "context": 32, "batch": 8},
    "vision": {},
}
RANGES: Mapping[str, tuple[float, float]] = {"gpt": (1e-3, 1e-1), "vision": (3e-4, 1e-1)}
STAGES = 12
"""The first stage is this part of the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one trainer adds: rows, what they say, and how it is told."""

    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    lines: list[str]
    picture: bytes | None = None


def contest_of(given: argparse.Namespace, trainer: str) -> contest.Contest:
    """What the methods have in common on one trainer.

    Raises:
        UsageError: an option of the trainer or a setting is not allowed.
    """
    options = {**TRAINED[trainer], **getattr(given, trainer)}
    check_trainer(trainer, options)
    low, high = getattr(given, f"{trainer}_range")
    return contest.Contest(
        trainer=trainer,
        options=options,
        total=given.total_steps,
        warmup=given.warmup_steps,
        low=low,
        high=high,
        grid=given.grid,
        first_stage=given.first_stage or given.total_steps // STAGES,
        probe_share=given.probe_share,
        changes=changes_of(given.set),
        threads=given.threads,
    )


def changes_of(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by mode, from ``far-sighted.probes=3``.

    Raises:
        UsageError: no such form, or no such mode.
    """
    short = {mode.removeprefix("autolrs ").replace("autolrs", "default"): mode for mode in contest.MODES}
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        mode, dot, rest = text.partition(".")
        name, equals, value = rest.partition("=")
        if not (dot and equals and name) or mode not in short:
            raise UsageError(f"--set must be MODE.NAME=VALUE with MODE one of {', '.join(short)}, but got {text!r}.")
        found.setdefault(short[mode], {})[name] = scalar(value)
    return found


def trained(given: argparse.Namespace, trainer: str, run: Callable[..., list[dict[str, Any]]]) -> Part:
    """The contest on one trainer."""
    rows = contest.best_of(run(contest.jobs_of(contest_of(given, trainer), range(given.seeds))))
    found = summary.summary(trainer, rows)
    picture = pictures.paths(trainer, rows)
    bare = [{name: value for name, value in row.items() if name != "path"} for row in rows]
    return Part(rows=bare, summary=found, lines=summary.lines(found), picture=picture)


def part_of(given: argparse.Namespace, trainer: str, run: Callable[..., list[dict[str, Any]]]) -> Part:
    """One trainer's rows and summary; trains what is left."""
    if trainer in TRAINED:
        return trained(given, trainer, run)
    if trainer == "quadratic":
        rows = run(quadratic.jobs_of(given.quadratic_steps, given.quadratic_seeds))
        found = quadratic.summary(rows)
        return Part(rows=rows, summary=found, lines=quadratic.lines(found))
    jobs = clock.jobs_of(given.stage, given.pace, real=given.workers, virtual=given.simulated_workers)
    rows = clock.with_ratios(run(jobs, processes=1))  # beside another one, a clock tells nothing
    names = ("workers", "clock", *(name for name in rows[0] if "_to_" in name or name.startswith("to_")))
    stages = [{name: row[name] for name in names} for row in rows]
    return Part(rows=rows, summary={"trainer": trainer, "stage": stages}, lines=clock.lines(rows))


def run(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Run what is left; the results for a machine and for a person.

    Raises:
        UsageError, WorkError: bad input; a process died.
    """
    check_folder(given.out, "--out")
    for trainer in given.trainers:  # bad input is told before anything is trained
        if trainer in TRAINED:
            contest.jobs_of(contest_of(given, trainer), range(1))
    tell = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    parts = {}
    for trainer in given.trainers:
        parts[trainer] = part_of(given, trainer, partial(_results, given, tell))
        if parts[trainer].picture is not None:
            (given.out / f"autolrs-{trainer}.png").write_bytes(parts[trainer].picture)
    document = {
        "command": sys.argv,
        "versions": versions(),
        "results": [row for part in parts.values() for row in part.rows],
        "summary": [part.summary for part in parts.values()],
    }
    (given.out / "autolrs.json").write_text(json.dumps(document, indent=1, allow_nan=False))
    return document, [line for part in parts.values() for line in [*part.lines, ""]]


def _results(
    given: argparse.Namespace, tell: Callable[[str], None], jobs: Sequence[kept.Job], processes: int | None = None
) -> list[dict[str, Any]]:
    return kept.results(jobs, given.out / "runs", processes=processes or given.processes, tell=tell)


def count(text: str) -> int:
    """A whole number of at least 0."""
    return 0 if text == "0" else whole(text)


def wholes(text: str) -> list[int]:
    """Numbers of workers."""
    return [whole(part) for part in text.split(",") if part]


def bounds(text: str) -> tuple[float, float]:
    """Two LRs."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers like 1e-3,1e-1, but got {text!r}.") from None
    if not 0 < low < high < float("inf"):
        raise argparse.ArgumentTypeError(f"must be 0 < low < high, but got {text!r}.")
    return low, high


def scalar(text: str) -> Any:
    """A number, true, false, null or a name."""
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)  # YAML takes 1e-3 for a name
    except (ValueError, yaml.YAMLError):
        return text


def pairs(text: str) -> dict[str, Any]:
    """Options of a trainer."""
    found = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise argparse.ArgumentTypeError(f"must be NAME=VALUE,NAME=VALUE, but got {text!r}.")
        found[name] = scalar(value)
    return found


def known(text: str) -> list[str]:
    """Trainers."""
    names = text.split(",")
    for name in names:
        if name not in TRAINERS:
            raise argparse.ArgumentTypeError(f"must be of {', '.join(TRAINERS)}, but got {name!r}.")
    return names


def positive(text: str) -> float:
    """A number above 0."""
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a number > 0, but got {text!r}.")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for runs and results; called again, goes on")
    add("--trainers", type=known, default=[*TRAINERS], help=f"of {','.join(TRAINERS)}")
    add("--seeds", type=whole, default=5, help="of gpt and vision")
    add("--total-steps", type=whole, default=1200, help="updates of each run, search included")
    add("--warmup-steps", type=count, default=30, help="of every method")
    add("--grid", type=whole, default=10, help="peak LRs that the tuned schedules try")
    add("--first-stage", type=whole, default=0, help=f"faithful and default mode; a {STAGES}th of the total")
    add("--probe-share", type=positive, default=0.1, help="faithful and default mode: of a stage, for each probe")
    add("--set", action="append", default=[], metavar="MODE.NAME=VALUE", help="a setting of faithful, default or "
        "far-sighted, e.g. far-sighted.first_stage=200")  # fmt: skip
    for trainer, (low, high) in RANGES.items():
        add(f"--{trainer}", type=pairs, default={}, metavar="NAME=VALUE,…", help=f"options; usual {TRAINED[trainer]}")
        add(f"--{trainer}-range", type=bounds, default=(low, high), metavar="LOW,HIGH", help=f"LRs, {low:g},{high:g}")
    add("--quadratic-steps", type=whole, default=1000, help="of its one stage")
    add("--quadratic-seeds", type=whole, default=50)
    add("--stage", type=whole, default=800, help="simulated: updates of the stage")
    add("--pace", type=positive, default=0.01, help="simulated: seconds of an update")
    add("--workers", type=wholes, default=[1, 2], help="simulated: real processes (Ray)")
    add("--simulated-workers", type=wholes, default=[1, 2, 10], help="simulated: in virtual time")
    add("--threads", type=whole, default=1, help="of torch in each process")
    add("--processes", type=whole, default=1, help="runs at the same time")
    add("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    given = parse(arguments)
    return ended(partial(run, given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
