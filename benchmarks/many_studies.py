"""Many studies that are submitted at once to one cluster: whether all are taken and end, and how they share it.

    python benchmarks/many_studies.py [--studies 200] [--at-once 2] [--trials 8] [--step 0.05]
                                       [--minutes 600] [--json]

It starts the cluster of deploy/loopback.sh, two nodes with one place for a worker each, and submits small studies that
ask for both, as `autosched submit` does; so many run at once, the others wait. A study is accepted, or refused with a
reason. When all jobs have ended, or after `--minutes`, the ledger says how workers' time was shared: for every two
studies that ran at the same time for at least `--window` seconds, counted from the first segment of the later one to
the last of the one that ended first, workers' seconds of the one that got less over those of the other.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmark_command import ended, whole
from loopback_cluster import Cluster

from autosched.errors import AutoschedError
from autosched.ledger.events import SegmentFinished
from autosched.study.start import Settings
from autosched.study.submission import packed
from workers.ray_jobs import RayJobs

SPACE = """\
study: s
trainer: {use: simulated, with: {noise: 0.001}}
horizon_steps: 60
eval_every: 10
checkpoint_every: 20
schedule:
  wsd: {peak_lr: {low: 1e-3, high: 1e-1, scale: log}, warmup_steps: 4, cooldown_fraction: {low: 0.1, high: 0.9}}
controller: random
pruner: none
resources: {workers: 2}
tracking: none
"""
Span = tuple[float, float]
"""When a segment began and ended, in Unix seconds."""


def submit(cluster: Cluster, jobs: RayJobs, number: int, asked: argparse.Namespace) -> str | None:
    """Send a study; None when it is accepted, else why not."""
    given = {
        "budget.trials": asked.trials,
        "trainer.with.seconds_per_step": asked.step,
        "storage.checkpoints": str(cluster.folder / "checkpoints"),
        "storage.reports": str(cluster.folder / "reports"),
    }
    settings = Settings(overrides=given, name=f"study-{number}", seed=number)
    try:
        with packed(cluster.folder / "space.yaml", settings, restarts=0) as job:
            jobs.submit(job.study, job.command, job.folder)
    except AutoschedError as error:
        return str(error)
    return None


def until_all_ended(jobs: RayJobs, minutes: float) -> Counter[str]:
    """Wait for all jobs, at most so long; how many stand how."""
    pause, end = threading.Event(), time.monotonic() + 60 * minutes
    while any(not job.ended for job in jobs.jobs()) and time.monotonic() < end:
        pause.wait(5.0)
    return Counter(job.status.lower() for job in jobs.jobs())


def spans(cluster: Cluster, study: str) -> list[Span]:
    """Of the segments that were trained for a study."""
    log = cluster.ask(lambda store: list(store.read(study)))
    done = [(one.time, one.event.observation) for one in log if isinstance(one.event, SegmentFinished)]
    return [(at - seen.seconds, at) for at, seen in done if seen.trained]


def seconds_within(trained: list[Span], window: Span) -> float:
    """Of workers' time."""
    return sum(max(0.0, min(end, window[1]) - max(begin, window[0])) for begin, end in trained)


def shares(of_studies: list[list[Span]], shortest: float) -> list[float]:
    """For every two studies that ran together: workers' seconds of the one that got less over those of the other."""
    found = []
    for pair in itertools.combinations(of_studies, 2):
        window = max(one[0][0] for one in pair), min(one[-1][1] for one in pair)
        if window[1] - window[0] >= shortest:
            less, more = sorted(seconds_within(one, window) for one in pair)
            found.append(less / more)
    return found


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Submit all, wait for all, and read what the ledger has."""
    with tempfile.TemporaryDirectory(prefix="many-") as place:
        cluster = Cluster(Path(place))
        cluster.environment["STUDIES"] = str(asked.at_once)
        (cluster.folder / "space.yaml").write_text(SPACE)
        try:
            cluster.up()
            os.environ |= {name: cluster.inside[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")}
            os.environ["AUTOSCHED_LEDGER"] = cluster.ledger
            return together(cluster, RayJobs(cluster.dashboard), asked)
        finally:
            if cluster.state.exists():
                cluster.down()


def together(cluster: Cluster, jobs: RayJobs, asked: argparse.Namespace) -> dict[str, Any]:
    """The studies' part of it, on a cluster that is up."""
    began = time.monotonic()
    answers = [submit(cluster, jobs, number, asked) for number in range(asked.studies)]
    accepted, refused = answers.count(None), sorted({answer for answer in answers if answer is not None})
    submitting = time.monotonic() - began
    how = until_all_ended(jobs, asked.minutes)
    states = cluster.ask(lambda store: [store.state(row.name) for row in store.studies()])
    trained = [sorted(spans(cluster, state.name)) for state in states]
    ratios = shares([one for one in trained if one], asked.window)
    return {
        "studies": asked.studies,
        "at_once": asked.at_once,
        "accepted": accepted,
        "refused": refused,
        "jobs": dict(how),
        "finished": sum(state.finished is not None for state in states),
        "failed_trials": sum(trial.status == "failed" for state in states for trial in state.trials),
        "submitting_seconds": round(submitting, 1),
        "seconds": round(time.monotonic() - began),
        "pairs": len(ratios),
        "median_share": statistics.median(ratios) if ratios else None,
        "least_share": min(ratios, default=None),
        "within_a_fifth": sum(ratio >= 0.8 for ratio in ratios),
        "load_average": os.getloadavg()[0],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=whole, default=200)
    parser.add_argument("--at-once", type=whole, default=2)
    parser.add_argument("--trials", type=whole, default=8, help="of each study")
    parser.add_argument("--step", type=float, default=0.05, help="seconds that an update takes")
    parser.add_argument("--window", type=float, default=5.0, help="seconds that two studies must have run together")
    parser.add_argument("--minutes", type=float, default=600.0, help="to wait for them after the last is submitted")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    def measured() -> tuple[dict[str, Any], list[str]]:
        found = measure(asked)
        return found, [f"{name}: {value}" for name, value in found.items()]

    return ended(measured, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
