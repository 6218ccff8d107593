"""The cluster of deploy/loopback.sh, for benchmarks that break it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autosched.errors import AutoschedError
from autosched.ledger.store import Ledger

ROOT = Path(__file__).parents[1]
RESTARTS = 50
"""Of the driver, by its supervisor: more than there are moments."""
TRIES = 4
"""To start a part again."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """The one of deploy/loopback.sh, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.disk = folder, folder / "state", folder / "disk"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "AUTOSCHED_", "MLFLOW_"))}
        ports = {f"{name}_PORT": str(free_port()) for name in ("MLFLOW", "POSTGRES", "GCS", "DASHBOARD", "CLIENT")}
        number = os.getpid() % 10**6
        self.environment = {
            **kept,
            **ports,
            "NAME": f"af{number}",
            "NET": f"10.231.{200 + number % 50}",
            "DIR": str(self.state),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *arguments: str) -> str:
        """A command of the script; returns what it prints."""
        command = [str(ROOT / "deploy" / "loopback.sh"), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AutoschedError(f"loopback.sh {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def begin_again(self, part: str) -> None:
        """Start a part again; on a busy machine Ray gives up after half a minute, and so it is tried again."""
        for left in reversed(range(TRIES)):
            try:
                self.run("again", part)
            except AutoschedError:
                if not left:
                    raise
                self.run("end", part)
            else:
                return

    def up(self) -> None:
        """Start it; checkpoints go to a small file system of their own where one can be made."""
        self.disk.mkdir()
        self.can_fill = not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(self.disk)], check=False
        ).returncode
        said = {line.split()[0]: line.split()[1] for line in self.run("up").splitlines()}
        self.dashboard, self.ledger, self.mlflow = said["Ray"], said["ledger"], said["MLflow"]
        host = urlsplit(self.dashboard).hostname
        self.head = f"{host}:{self.environment['GCS_PORT']}"  # `auto` may be another Ray of this machine
        head = Path("/proc", (self.state / "head.pid").read_text().strip(), "environ").read_bytes().decode()
        self.inside = dict(entry.split("=", 1) for entry in head.split("\0") if "=" in entry)
        os.environ["PGPASSFILE"] = str(self.state / "pgpass")
        os.environ |= {name: value for name, value in self.inside.items() if name.startswith("MLFLOW_")}
        self.has_namespaces = (self.state / "network").exists()

    def down(self) -> None:
        """End all of it."""
        self.run("down")
        if self.can_fill:
            subprocess.run(["umount", str(self.disk)], check=False)

    def start_driver(self, name: str, order: str, *, tracked: bool) -> subprocess.Popen[bytes]:
        """A study's supervisor, beside the head; the study trains what others have trained already, too."""
        enter = ["ip", "netns", "exec", f"{self.environment['NAME']}-head"] if self.has_namespaces else []
        given = {
            "storage.checkpoints": self.disk,
            "storage.reports": self.folder / "reports",
            "tracking.uri": self.mlflow if tracked else "none",
            "resources.order": order,
        }
        sets = [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
        supervisor = [sys.executable, "-m", "autosched.study.supervisor", "--restarts", str(RESTARTS), "--"]
        tune = ["tune", "--space", "space.yaml", "--name", name, "--resume", "--fresh", "--address", self.head, *sets]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*enter, *supervisor, *tune], cwd=self.folder, env=self.inside, stdout=log, stderr=log
            )

    def drivers(self) -> list[int]:
        """Process ids of what a supervisor's guard runs."""
        mark, found = f"AUTOSCHED_LOOPBACK={self.state}".encode(), []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if command[1:4] == ["-m", "autosched", "tune"] and mark in (place / "environ").read_bytes().split(
                    b"\0"
                ):
                    found.append(int(place.name))
        return found

    def workers(self) -> list[int]:
        """Process ids of Ray's workers that train; Ray rewrites their command lines."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (place / "cmdline").read_bytes().startswith(b"ray::RayWorker") and self._is_ours(int(place.name)):
                    found.append(int(place.name))
        return sorted(found)

    def _is_ours(self, pid: int) -> bool:
        if not self.has_namespaces:
            return f"AUTOSCHED_LOOPBACK={self.state}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return str(Path(f"/proc/{pid}/ns/net").readlink()) in {self._network(node) for node in ("node1", "node2")}

    def _network(self, node: str) -> str:
        place = Path("/run/netns", f"{self.environment['NAME']}-{node}")
        return f"net:[{place.stat().st_ino}]"

    def ask(self, question: Callable[[Ledger], Any], patience: float = 60.0) -> Any:
        """What the ledger says, asked again while its server is away."""
        until = time.monotonic() + patience
        while True:
            try:
                store = Ledger(self.ledger)
                try:
                    return question(store)
                finally:
                    store.close()
            except AutoschedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
