"""What waiting for slow workers costs: results decided about in virtual order and in the order of their arrival.

    python benchmarks/arrival.py [--workers 16 64] [--seeds 5] [--json]

Studies of the real engine on a cluster that exists in simulated time alone: speeds of workers are log-normal (sigma 0.5
of the logarithm), and 5% of segments are preempted at a random moment and trained again. A worker has 6 trials.

training       share of the workers' time in which they train, until the budget allows no further trial
whole          the same until the study ends, when the last trials leave most workers without work
lost           share of that training which preemptions threw away
updates        trained until a complete trial is within 0.01 nats of the best schedule of the space, noise apart
seconds        until then, of a worker of median speed that trains one update a second

Medians over seeds; null where half of them or more never get there.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import statistics
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from autosched.engine.assembly import make_loop
from autosched.engine.backend import Outcome
from autosched.engine.execute import SegmentRunner
from autosched.engine.journal import Journal
from autosched.ledger.events import Stamped, StudyCreated, TrialEnded, TrialProposed, TrialResumed
from autosched.ledger.records import Failure, Segment
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.schedules.schedule import Schedule
from autosched.space import load_space, space_to_json
from autosched.space.records import Budget, Component, Confirm, Resources, Space, Storage, Tracking
from autosched.space.trainer_spec import TrainerSpec
from workers.registry import make_trainer
from workers.simulated import SimulatedOptions

SIGMA, PREEMPTED = 0.5, 0.05
NEAR = 0.01
"""Nats from the best schedule that count as found."""
TRIALS_PER_WORKER = 6


@dataclass(slots=True)
class Cluster:
    """A `Backend` whose workers take simulated seconds.

    Attributes:
        speeds: updates per second of each worker.
        now: simulated seconds since the start.
        spans: when a worker trained, for which time of it nothing came back.
    """

    speeds: list[float]
    seed: int
    name: str = "simulated"
    now: float = 0.0
    spans: list[tuple[float, float, bool]] = field(default_factory=list)
    _queue: deque[Segment] = field(default_factory=deque)
    _free: list[int] = field(default_factory=list)
    _running: list[tuple[float, int, int, Segment, bool]] = field(default_factory=list)
    _runner: SegmentRunner = field(default_factory=lambda: SegmentRunner(make_trainer))
    _begun: int = 0

    def __post_init__(self) -> None:
        self._free = list(range(self.workers))

    @property
    def workers(self) -> int:
        return len(self.speeds)

    def submit(self, segment: Segment) -> None:
        self._queue.append(segment)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._queue and self._free:
            segment, worker = self._queue.popleft(), self._free.pop(0)
            random = np.random.default_rng([self.seed, self._begun])
            preempted = bool(random.random() < PREEMPTED)
            share = float(random.random()) if preempted else 1.0
            end = self.now + share * segment.steps / self.speeds[worker]
            self.spans.append((self.now, end, preempted))
            heapq.heappush(self._running, (end, self._begun, worker, segment, preempted))
            self._begun += 1

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        self.now, _, worker, segment, preempted = heapq.heappop(self._running)
        self._free.append(worker)
        self._dispatch()
        if preempted:
            return [Failure(segment=segment.id, kind="preempted", reason="the node was wanted back.")]
        return [self._runner.run(segment)]

    def release(self, state: str) -> None:
        self._runner.release(state)

    def close(self) -> None:
        self._runner.forget()

    def share(self, until: float, *, lost: bool = False) -> float:
        """Share of the workers' time until then in which they trained, or in which what they trained was lost."""
        spans = [(start, min(end, until)) for start, end, away in self.spans if start < until and (away or not lost)]
        return sum(end - start for start, end in spans) / (self.workers * until)


@dataclass(slots=True)
class Watch:
    """Notes when the target is reached."""

    cluster: Cluster
    target: float
    found: tuple[float, int] | None = None
    proposed: float = 0.0

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, TrialProposed | TrialResumed):
            self.proposed = self.cluster.now
        if self.found is not None or not isinstance(event, TrialEnded) or event.status != "complete":
            return
        if final_loss(state.trials[event.trial].schedule) <= self.target:
            self.found = (self.cluster.now, state.steps_trained)


def final_loss(schedule: Schedule) -> float:
    """Of the simulated trainer, without noise."""
    return float(SimulatedOptions().predict(schedule.lrs)[-1])


def best_loss(space: Space) -> float:
    """The lowest final loss on a grid of the space's peak LRs, cooldowns and shapes."""
    from autosched.schedules import build

    fixed = {"warmup_steps": 30, "final_lr_ratio": 0.0}
    grid = (
        {"peak_lr": peak, "cooldown_fraction": share, "cooldown_shape": shape, **fixed}
        for peak in np.geomspace(1e-3, 1e-1, 40).tolist()
        for share in np.linspace(0.05, 1.0, 20).tolist()
        for shape in ("linear", "sqrt", "cosine")
    )
    return min(final_loss(build("wsd", params, steps=space.horizon_steps)) for params in grid)


def space_for(folder: Path, *, workers: int, seed: int, order: Any, controller: str, pruner: str) -> Space:
    demo = load_space("wsd")
    return replace(
        demo,
        study="arrival",
        seed=seed,
        trainer=TrainerSpec(use="simulated"),
        controller=Component(name=controller),
        pruner=Component(name=pruner),
        budget=Budget(trials=math.ceil(TRIALS_PER_WORKER * workers)),
        resources=Resources(workers=workers, order=order),
        storage=Storage(ledger=f"sqlite:///{folder}/bench.db", checkpoints=str(folder / "checkpoints")),
        tracking=Tracking(uri="none"),
        confirm=Confirm(finalists=1, seeds=0),
    )


def run(space: Space, cluster: Cluster, target: float) -> dict[str, Any]:
    """One study; what it took."""
    ledger, watch = Ledger(space.storage.ledger), Watch(cluster, target)
    ledger.append(space.study, 0, [StudyCreated(space=space_to_json(space), versions={})])
    journal = Journal(ledger, space.study, [watch.seen])
    make_loop(space, ledger, journal, cluster).run()
    ledger.close()
    until, updates = watch.found or (None, None)
    return {
        "training": cluster.share(watch.proposed),
        "whole": cluster.share(cluster.now),
        "lost": cluster.share(cluster.now, lost=True) / cluster.share(cluster.now),
        "updates": updates,
        "seconds": until,
    }


def measure(*, workers: int, seeds: int, controller: str, pruner: str) -> list[dict[str, Any]]:
    """Both orders, each a row of medians over seeds."""
    rows = []
    for order in ("virtual", "arrival"):
        runs = []
        for seed in range(seeds):
            speeds = np.random.default_rng([seed, workers]).lognormal(0.0, SIGMA, workers).tolist()
            with tempfile.TemporaryDirectory() as folder:
                space = space_for(
                    Path(folder), workers=workers, seed=seed, order=order, controller=controller, pruner=pruner
                )
                runs.append(run(space, Cluster(speeds, seed), best_loss(space) + NEAR))
        row: dict[str, Any] = {"workers": workers, "controller": controller, "pruner": pruner, "order": order}
        for name in runs[0]:
            median = statistics.median(math.inf if one[name] is None else one[name] for one in runs)
            row[name] = median if math.isfinite(median) else None
        rows.append({**row, "found": sum(one["updates"] is not None for one in runs), "seeds": seeds})
        print(row, [one["updates"] for one in runs], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["tpe/none", "law/law"], metavar="CONTROLLER/PRUNER")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for method in arguments.methods:
        controller, _, pruner = method.partition("/")
        for workers in arguments.workers:
            rows += measure(workers=workers, seeds=arguments.seeds, controller=controller, pruner=pruner)
    if arguments.json:
        json.dump({"rows": rows}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for row in rows:
        print(
            "  ".join(
                f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
            )
        )


if __name__ == "__main__":
    main()
