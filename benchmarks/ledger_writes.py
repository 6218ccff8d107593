"""How long a write to the ledger takes on PostgreSQL while many studies write to it.

    python benchmarks/ledger_writes.py [--studies 200] [--seconds 30] [--every 1] [--processes 4] [--disk /tmp] [--json]

A PostgreSQL server of its own on loopback, with its usual settings but for as many connections as are needed: each
study has one that holds its lease and writes, as a driver has, and may use another to read. Studies are threads of a
few processes. Each commits a finished segment and the decision after it, the usual transaction, on average `--every`
seconds, at moments that are drawn. A write is measured from its call to its return. What it
waits for shows when the rest is taken away: the disk with ``--disk /dev/shm``, others' work with ``chrt --rr 1``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from benchmark_command import ended, whole

from autosched.errors import AutoschedError
from autosched.ledger.events import SegmentFinished, SessionStarted, TrialAdvanced
from autosched.ledger.records import Observation, Point
from autosched.ledger.store import Ledger

POINTS = 4
"""Evaluations in a segment, as in the demo."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(connections: int, disk: str) -> Iterator[str]:
    """A PostgreSQL that is there as long as it is used, with its data on a disk; its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        raise AutoschedError("PostgreSQL is not installed here (no initdb).")
    port, bin_ = free_port(), programs[-1].parent
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(dir=disk) as place:
        Path(place).chmod(0o755)
        data = Path(place, "server")
        data.mkdir()
        if user:
            shutil.chown(data, "postgres")

        def told(*command: str) -> None:
            subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)

        told(*user, str(bin_ / "initdb"), "-D", str(data / "data"), "-U", "postgres", "-A", "trust")
        options = f"-h 127.0.0.1 -p {port} -k '' -c max_connections={connections}"
        control = [*user, str(bin_ / "pg_ctl"), "-D", str(data / "data"), "-w"]
        told(*control, "-l", str(data / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        finally:
            told(*control, "-m", "immediate", "stop")


def write(url: str, study: str, *, until: float, every: float, took: list[float], go: Any) -> None:
    """One study's driver."""
    chance, ledger = random.Random(study), Ledger(url)
    with ledger.lease(study):
        ledger.append(study, 0, [SessionStarted(backend="none", workers=1)])
        number = 1
        go.wait()
        end, pause = time.monotonic() + until, threading.Event()
        while time.monotonic() < end:
            pause.wait(chance.uniform(0, 2 * every))
            segment, step = f"{study}-{number}", 100 * number
            points = tuple(Point(step=step + 25 * i, loss=2.0, metrics={"train_loss": 2.0}) for i in range(POINTS))
            seen = Observation(
                segment=segment,
                start=step,
                stop=step + 100,
                points=points,
                checkpoint=segment,
                trained=100,
                seconds=1.0,
            )
            advanced = TrialAdvanced(trial=0, segment=segment, step=step, shared=False, at=step)
            began = time.perf_counter()
            ledger.append(study, number, [SegmentFinished(observation=seen), advanced])
            took.append(time.perf_counter() - began)
            number += 2
    ledger.close()


def writers(url: str, studies: list[str], asked: argparse.Namespace, results: Any, go: Any) -> None:
    """A process with some of the studies."""
    took: list[float] = []
    how = {"until": asked.seconds, "every": asked.every, "took": took, "go": go}
    threads = [threading.Thread(target=write, args=(url, study), kwargs=how) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(took)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a write, and how many there were."""
    fork = multiprocessing.get_context("spawn")
    names = [f"study-{number}" for number in range(asked.studies)]
    with server(2 * asked.studies + 20, asked.disk) as url:
        Ledger(url).close()
        results, go = fork.Queue(), fork.Barrier(asked.studies)
        parts = [names[start :: asked.processes] for start in range(asked.processes)]
        processes = [fork.Process(target=writers, args=(url, part, asked, results, go)) for part in parts]
        for process in processes:
            process.start()
        took = [one for _ in processes for one in results.get()]
        for process in processes:
            process.join()
        version = server_version(url)
    milliseconds = 1e3 * np.array(took)
    return {
        "studies": asked.studies,
        "disk": asked.disk,
        "writes": len(took),
        "writes_per_second": len(took) / asked.seconds,
        **{f"p{share}": float(np.percentile(milliseconds, share)) for share in (50, 90, 99)},
        "longest": float(milliseconds.max()),
        "load_average": os.getloadavg()[0],
        "postgresql": version,
        "python": platform.python_version(),
    }


def server_version(url: str) -> str:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return str(connection.execute(sa.text("SHOW server_version")).scalar_one())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=whole, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=1.0, help="mean seconds between a study's writes")
    parser.add_argument("--processes", type=whole, default=4)
    parser.add_argument("--disk", default="/tmp", help="folder that PostgreSQL's user can enter, for the server's data")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    def measured() -> tuple[dict[str, Any], list[str]]:
        found = measure(asked)
        lines = [
            f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}" for name, value in found.items()
        ]
        return found, lines

    return ended(measured, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
