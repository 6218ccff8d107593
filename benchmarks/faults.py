"""Real studies on a cluster of which something dies, stops answering or fills up at random moments.

    python benchmarks/faults.py [--faults driver worker …] [--orders virtual arrival] [--moments 10] [--seed 0] [--json]

It starts the cluster of deploy/loopback.sh (a head and two nodes, as root in network namespaces of their own, MLflow,
PostgreSQL), runs one study that nobody disturbs in each order, then studies with each fault, which is injected whenever
a study's ledger has so many events as were drawn, until there were `--moments`; a study may end before its last one. It
takes the cluster down. What is checked of each: that it ends, that no trial failed, that no segment is in the ledger
twice, that every trial has one run in MLflow that ended as the ledger says (where drivers, MLflow or PostgreSQL die),
and in virtual order that it is the undisturbed study.

fault     what is done
driver    its process is killed; its supervisor starts it again
worker    a worker's process is killed
node      all processes of a node are killed; it is started again
preempt   a node is told to leave (SIGTERM) and started again when it has
mlflow    the server is killed and started again after `--away` seconds
postgres  in turn: the server is restarted; it ends all connections of others
network   a node's network is taken away for up to `--away` seconds
disk      the file system of the checkpoints is full until the study has stopped, or for `--away` seconds
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from benchmark_command import ended, whole
from loopback_cluster import Cluster

from autosched.errors import AutoschedError
from autosched.ledger.events import SegmentFinished
from autosched.ledger.state import StudyState

SPACE = """\
study: s
trainer: {use: simulated, with: {noise: 0.001, seconds_per_step: 0.15}}
horizon_steps: 60
eval_every: 10
checkpoint_every: 20
schedule:
  wsd: {peak_lr: {low: 1e-3, high: 1e-1, scale: log}, warmup_steps: 4, cooldown_fraction: {low: 0.1, high: 0.9}}
default:
  wsd: {peak_lr: 1e-2, warmup_steps: 4, cooldown_fraction: 0.25}
controller: tpe
pruner: median
budget: {trials: 16}
resources: {workers: 2, retries: 30}
"""
TRACKED = frozenset({"driver", "mlflow", "postgres"})
"""Faults that may break what MLflow shows; other studies do without, since its server takes longer than they do."""
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "stopped": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
DEADLINE = 600.0
"""Seconds for a study to end after its last fault, on a machine that others use too."""


@dataclass(slots=True)
class Run:
    """A study under way, and what was done to it."""

    cluster: Cluster
    name: str
    order: str
    away: float
    chance: random.Random
    tracked: bool
    driver: subprocess.Popen[bytes]
    done: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)

    def is_over(self) -> bool:
        """Whether the study's supervisor has ended."""
        return self.driver.poll() is not None

    def events(self) -> int:
        """So far in the study's ledger."""
        rows = self.cluster.ask(lambda store: {row.name: row.events for row in store.studies()})
        return int(rows.get(self.name, 0))

    def wait(self, until: Callable[[], bool], seconds: float = DEADLINE) -> bool:
        """Wait for something; False when it did not come."""
        end, pause = time.monotonic() + seconds, threading.Event()
        while time.monotonic() < end:
            if until():
                return True
            pause.wait(0.1)
        return False

    def go_on(self) -> None:
        """Do what a driver that has stopped with a reason tells a person to do."""
        said = (self.cluster.folder / f"{self.name}.log").read_text().splitlines()
        errors = [line for line in said if line.startswith("autosched: error:")]
        self.stopped += [line.replace(str(self.cluster.folder), "FOLDER") for line in errors[-1:]]
        self.driver = self.cluster.start_driver(self.name, self.order, tracked=self.tracked)


def kill_driver(run: Run) -> None:
    run.wait(lambda: run.is_over() or bool(run.cluster.drivers()))
    with suppress(IndexError, ProcessLookupError):  # it is over
        os.kill(run.cluster.drivers()[0], signal.SIGKILL)
        run.done["injected"] += 1


def kill_worker(run: Run) -> None:
    run.wait(lambda: run.is_over() or bool(run.cluster.workers()))
    with suppress(IndexError, ProcessLookupError):  # it is over
        os.kill(run.chance.choice(run.cluster.workers()), signal.SIGKILL)
        run.done["injected"] += 1


def kill_node(run: Run, how: str = "KILL") -> None:
    node = run.chance.choice(("node1", "node2"))
    run.cluster.run("end", node, how)
    run.done["injected"] += 1
    run.cluster.begin_again(node)


def end_mlflow(run: Run) -> None:
    run.cluster.run("end", "mlflow")
    run.done["injected"] += 1
    run.wait(run.is_over, run.away)
    run.cluster.begin_again("mlflow")


def disturb_postgres(run: Run) -> None:
    run.done["injected"] += 1
    if run.done["injected"] % 2:
        run.cluster.run("end", "postgres", "INT")
        run.wait(run.is_over, run.chance.uniform(0, run.away))
        run.cluster.begin_again("postgres")
        return
    engine = sa.create_engine(sa.make_url(run.cluster.ledger).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(sa.text(f"{others} AND usename = 'autosched'"))
    engine.dispose()


def cut_network(run: Run) -> None:
    node = run.chance.choice(("node1", "node2"))
    link = f"{run.cluster.environment['NAME']}-{node.replace('node', 'n')}"
    subprocess.run(["ip", "link", "set", link, "down"], check=True)
    run.done["injected"] += 1
    try:
        run.wait(run.is_over, run.chance.uniform(0, run.away))
    finally:
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
    ray = int((run.cluster.state / f"{node}.pid").read_text())
    if run.wait(lambda: not Path(f"/proc/{ray}").exists(), 5.0):  # a node that was given up leaves
        run.done["nodes given up"] += 1
        run.cluster.begin_again(node)


def fill_disk(run: Run) -> None:
    ballast = run.cluster.disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    run.done["injected"] += 1
    run.wait(run.is_over, run.away)
    ballast.unlink()
    if run.is_over():
        run.go_on()


FAULTS: Mapping[str, Callable[[Run], None]] = {
    "driver": kill_driver,
    "worker": kill_worker,
    "node": kill_node,
    "preempt": lambda run: kill_node(run, "TERM"),
    "mlflow": end_mlflow,
    "postgres": disturb_postgres,
    "network": cut_network,
    "disk": fill_disk,
}


def picture(state: StudyState) -> list[dict[str, Any]]:
    """What must be the same in virtual order, whatever happened."""
    return [
        {
            "schedule": trial.fingerprint,
            "status": trial.status,
            "step": trial.step,
            "value": trial.value,
            "reason": trial.reason,
            "due": trial.due,
            "losses": [(point.step, point.loss) for point in trial.points],
        }
        for trial in state.trials
    ]


def mlflow_runs(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    """Trial and status of every run of a study in MLflow; the study's own run has no trial."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=cluster.mlflow)
    experiment = client.get_experiment_by_name("autosched")
    found = client.search_runs([experiment.experiment_id], f"tags.`autosched.study` = '{name}'", max_results=1000)
    return sorted((run.data.tags.get("autosched.trial", ""), run.info.status) for run in found)


def faults(run: Run, calm: StudyState | None) -> Iterator[str]:
    """What is not as it should be when a study is over."""
    if run.driver.returncode:
        yield f"exit code {run.driver.returncode}: {(run.cluster.folder / f'{run.name}.log').read_text()[-300:]}"
        return
    state, log = run.cluster.ask(lambda store: (store.state(run.name), list(store.read(run.name))))
    if state.finished is None:
        yield "the study is not finished"
    failed = [trial.number for trial in state.trials if trial.status in {"failed", "running"}]
    if failed:
        yield f"trials {failed} failed or run for ever"
    trained = Counter(one.event.observation.segment for one in log if isinstance(one.event, SegmentFinished))
    if max(trained.values()) > 1:
        yield "a segment is in the ledger twice"
    if calm is not None and picture(state) != picture(calm):
        differing = [n for n, pair in enumerate(zip(picture(state), picture(calm), strict=False)) if pair[0] != pair[1]]
        yield f"trials {differing or 'of another number'} are not those of the undisturbed study"
    expected = sorted([("", "FINISHED"), *((str(t.number), STATUS[t.status]) for t in state.trials)])
    if run.tracked and mlflow_runs(run.cluster, run.name) != expected:
        yield "MLflow has other runs than the ledger has trials"


def study(cluster: Cluster, name: str, fault: str, *, moments: Sequence[int], seed: int, away: float) -> Run:
    """Run one study to its end, with a fault whenever it has so many events."""
    order = name.partition("-")[0]
    tracked, chance = fault in TRACKED, random.Random(f"{name} {seed}")
    run = Run(cluster, name, order, away, chance, tracked, cluster.start_driver(name, order, tracked=tracked))
    for moment in moments:
        if not run.wait(lambda moment=moment: run.is_over() or run.events() >= moment):
            break
        if run.is_over():
            break
        FAULTS[fault](run)
    for _ in range(3):
        if not run.wait(run.is_over):
            run.driver.kill()
        if run.driver.wait() == 0:
            break
        run.go_on()  # e.g. a tracker that was away until the end
    run.driver.wait()
    return run


def disturbed(cluster: Cluster, order: str, fault: str, calm: StudyState, asked: argparse.Namespace) -> dict[str, Any]:
    """As many studies as it takes to inject a fault so many times; what was done and what went wrong."""
    chance, began, done = random.Random(f"{order} {fault} {asked.seed}"), time.monotonic(), Counter[str]()
    stopped, wrong = list[str](), list[str]()
    while done["injected"] < asked.moments and not wrong:
        moments = sorted(chance.sample(range(3, calm.events - 3), asked.moments - done["injected"]))
        name = f"{order}-{fault}-{done['studies']}"
        run = study(cluster, name, fault, moments=moments, seed=asked.seed, away=asked.away)
        done += run.done + Counter(studies=1)
        stopped += run.stopped
        wrong += faults(run, calm if order == "virtual" else None)
    row = {"order": order, "fault": fault, **{what: done[what] for what in ("studies", "injected", "nodes given up")}}
    row |= {"resumed by hand": stopped, "seconds": round(time.monotonic() - began)}
    return {**row, "sound": not wrong, "wrong": wrong}


def measure(cluster: Cluster, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All studies, one after another."""
    rows = []
    for order in asked.orders:
        calm = study(cluster, f"{order}-calm", "", moments=(), seed=asked.seed, away=asked.away)
        wrong = list(faults(calm, None))
        if wrong:
            raise AutoschedError(f"the undisturbed study went wrong: {wrong}")
        state = cluster.ask(lambda store, name=calm.name: store.state(name))
        for fault in asked.faults:
            if (fault == "disk" and not cluster.can_fill) or (fault == "network" and not cluster.has_namespaces):
                print(f"{order}, {fault}: needs root", file=sys.stderr, flush=True)
                continue
            rows.append(disturbed(cluster, order, fault, state, asked))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


@contextmanager
def started() -> Iterator[Cluster]:
    """A cluster that is taken down again whatever happens."""
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        cluster = Cluster(Path(place))
        (cluster.folder / "space.yaml").write_text(SPACE)
        try:
            cluster.up()
            yield cluster
        finally:
            if cluster.state.exists():
                cluster.down()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--orders", nargs="+", choices=("virtual", "arrival"), default=["virtual", "arrival"])
    parser.add_argument("--moments", type=whole, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--away", type=float, default=60.0, help="seconds that something may be away")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    def measured() -> tuple[dict[str, Any], list[str]]:
        with started() as cluster:
            rows = measure(cluster, asked)
        lines = [
            f"{row['order']}, {row['fault']}: {row['injected']} moments, {row['wrong'] or 'sound'}" for row in rows
        ]
        return {"rows": rows}, lines

    return ended(measured, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
