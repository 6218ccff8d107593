"""What the driver takes per segment as workers become many: the real engine on a cluster that exists in simulated time.

    python benchmarks/scale.py [--workers 10 100 1000] [--segments 100000] [--order arrival] [--profile] [--json]

Speeds of workers are log-normal and 5% of segments are preempted, as in arrival.py. Schedules are drawn at random and
nothing is pruned, so that deciding costs little and what is left is the engine's: cutting, queueing, committing,
clearing away. Workers' training is not counted.

driver_ms        processor time of the driver per segment
first, last      the same over the first and the last tenth of the segments
per_second       segments that one driver keeps up with, on a core of its own
shortest         seconds that a segment must take for so many workers to be kept busy by one driver
event_bytes      of the ledger's file, per event
memory_mb        the process's largest size
most             with --profile: the functions that take the most time of their own, with their shares
"""

from __future__ import annotations

import argparse
import cProfile
import math
import pstats
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from arrival import SIGMA, Cluster
from benchmark_command import ended, whole

from autosched.engine.assembly import make_loop
from autosched.engine.backend import Outcome
from autosched.engine.journal import Journal
from autosched.ledger.events import SegmentFinished, Stamped, StudyCreated
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import load_space, space_to_json
from autosched.space.records import Budget, Component, Confirm, Resources, Space, Storage, Tracking
from autosched.space.trainer_spec import TrainerSpec

STEPS, EVERY = 200, 50
"""Updates of a run and of a segment."""
MOST = 8
"""Functions that are named."""


@dataclass(slots=True)
class Timed(Cluster):
    """The cluster, with what its workers take kept apart from the driver's time."""

    trained: float = 0.0

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        began = time.process_time()
        outcomes = super(Timed, self).wait(timeout)  # slots make another class, which a bare super() does not know
        self.trained += time.process_time() - began
        return outcomes


@dataclass(slots=True)
class Clock:
    """Notes the driver's processor time whenever a segment is in the ledger."""

    cluster: Timed
    at: list[float] = field(default_factory=list)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        if isinstance(stamped.event, SegmentFinished):
            self.at.append(time.process_time() - self.cluster.trained)


def space_for(folder: Path, *, workers: int, segments: int, order: Any) -> Space:
    return replace(
        load_space("wsd"),
        study="scale",
        trainer=TrainerSpec(use="simulated"),
        horizon_steps=STEPS,
        eval_every=EVERY,
        checkpoint_every=EVERY,
        controller=Component(name="random"),
        pruner=Component(name="none"),
        budget=Budget(trials=math.ceil(segments * EVERY / STEPS)),
        resources=Resources(workers=workers, order=order),
        storage=Storage(ledger=f"sqlite:///{folder}/scale.db", checkpoints="memory://scale"),
        tracking=Tracking(uri="none"),
        confirm=Confirm(finalists=1, seeds=0),
    )


def run(folder: Path, *, workers: int, segments: int, order: str, profiled: bool) -> dict[str, Any]:
    """One study; what its driver took."""
    space = space_for(folder, workers=workers, segments=segments, order=order)
    speeds = np.random.default_rng(workers).lognormal(0.0, SIGMA, workers).tolist()
    ledger, cluster, profile = Ledger(space.storage.ledger), Timed(speeds, 0), cProfile.Profile(time.process_time)
    clock = Clock(cluster)
    ledger.append(space.study, 0, [StudyCreated(space=space_to_json(space), versions={})])
    journal = Journal(ledger, space.study, [clock.seen])
    began = time.process_time()
    if profiled:
        profile.enable()
    make_loop(space, ledger, journal, cluster).run()
    profile.disable()
    ledger.close()
    done, tenth = len(clock.at), len(clock.at) // 10
    milliseconds = 1e3 * (clock.at[-1] - began) / done
    return {
        "workers": workers,
        "order": order,
        "segments": done,
        "driver_ms": milliseconds,
        "first": 1e3 * (clock.at[tenth] - clock.at[0]) / tenth,
        "last": 1e3 * (clock.at[-1] - clock.at[-1 - tenth]) / tenth,
        "per_second": 1e3 / milliseconds,
        "shortest": workers * milliseconds / 1e3,
        "event_bytes": (folder / "scale.db").stat().st_size / journal.state.events,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "most": most_time(profile) if profiled else [],
    }


def most_time(profile: cProfile.Profile) -> list[str]:
    """The functions that take the most time of their own."""
    stats: Any = pstats.Stats(profile)
    rows = sorted(stats.stats.items(), key=lambda item: item[1][2], reverse=True)[:MOST]
    return [f"{own / stats.total_tt:.0%} {Path(file).name}:{name}" for (file, _, name), (_, _, own, _, _) in rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=whole, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--segments", type=whole, default=100_000)
    parser.add_argument("--order", choices=("virtual", "arrival"), default="arrival")
    parser.add_argument("--profile", action="store_true", help="costs time that is counted")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    def measured() -> tuple[dict[str, Any], list[str]]:
        rows = []
        for workers in asked.workers:
            with tempfile.TemporaryDirectory() as folder:
                how = {"workers": workers, "segments": asked.segments, "order": asked.order}
                rows.append(run(Path(folder), profiled=asked.profile, **how))
                print(rows[-1], file=sys.stderr, flush=True)
        return {"rows": rows}, [str(row) for row in rows]

    return ended(measured, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
