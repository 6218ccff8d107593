"""The cluster on this machine: started, used and ended by its own commands."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autosched.cli.open_ports import open_ports
from autosched.ledger.store import Ledger

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "loopback.sh"
SPACE = """\
study: sent
trainer: {use: mine:Mine, with: {noise: 0.001, seconds_per_step: 0.3}}
horizon_steps: 60
eval_every: 10
checkpoint_every: 20
schedule:
  wsd: {peak_lr: {low: 1e-3, high: 1e-1, scale: log}, warmup_steps: 4, cooldown_fraction: [0.25, 0.5]}
default:
  wsd: {peak_lr: 1e-2, warmup_steps: 4, cooldown_fraction: 0.25}
controller: tpe
pruner: median
budget: {trials: 8}
resources: {workers: 2, retries: 0, order: virtual}
"""
MINE = "from workers.simulated import SimulatedTrainer\n\n\nclass Mine(SimulatedTrainer):\n    pass\n"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # its Ray is apart from all others, and mostly waits


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(SCRIPT), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done

    @property
    def state(self) -> Path:
        return Path(self.environment["DIR"])

    def place(self, what: str, said: str) -> str:
        return next(line.split()[1] for line in said.splitlines() if line.startswith(what))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str]]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "space.yaml").write_text(SPACE)
    (folder / "mine.py").write_text(MINE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AUTOSCHED_", "MLFLOW_"))}
    ports = {f"{name}_PORT": str(free_port()) for name in ("MLFLOW", "POSTGRES", "GCS", "DASHBOARD", "CLIENT")}
    other = {"NAME": f"as{os.getpid() % 10**7}", "NET": f"10.231.{100 + os.getpid() % 100}"}  # than a cluster that runs
    own = {
        **other,
        "DIR": str(folder / "state"),
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    cluster = Cluster(folder, {**kept, **ports, **own})
    said = cluster.run("up").stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSFILE", str(cluster.state / "pgpass"))
        yield cluster, said
    cluster.run("down")
    assert not cluster.state.exists()
    assert left(cluster) == {}


def left(cluster: Cluster) -> dict[int, str]:
    """Processes of the cluster that are still there, with their commands."""
    mark = f"AUTOSCHED_LOOPBACK={cluster.state}".encode()
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (place / "environ").read_bytes().split(b"\0"):
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def decided(ledger: str, study: str) -> list[tuple[object, ...]]:
    """What must be the same wherever a study runs."""
    store = Ledger(ledger, create=False)
    trials = store.state(study).trials
    store.close()
    return [(t.number, t.role, dict(t.params), t.status, t.step, t.value, t.reason, t.due) for t in trials]


def count(ledger: str, study: str) -> int:
    """Events of a study so far."""
    store = Ledger(ledger, create=False)
    found = {row.name: row.events for row in store.studies()}
    store.close()
    return found.get(study, 0)


def reach(there: Cluster, ledger: str, study: str, events: int) -> None:
    """Return when a study on the cluster has so many events."""
    pause = threading.Event()
    for _ in range(600):
        if count(ledger, study) >= events:
            return
        pause.wait(0.1)
    pytest.fail(f"{study} does not go on")


def driver(there: Cluster, study: str) -> int:
    """Process id of a study's driver, which is not its supervisor nor its guard."""
    found = [
        pid for pid, command in left(there).items() if command.split()[1:5] == ["-m", "autosched", "resume", study]
    ]
    assert len(found) == 1, left(there)
    return found[0]


def test_a_second_cluster_in_its_place_is_refused_and_the_first_goes_on(
    cluster: tuple[Cluster, str], tmp_path: Path
) -> None:
    there, _ = cluster
    running = set(left(there))
    done = Cluster(tmp_path, {**there.environment, "DIR": str(tmp_path / "other")}).run("up", check=False)
    assert done.returncode == 1
    assert "logs are in" in done.stderr.splitlines()[-1]
    assert running <= set(left(there))


@pytest.mark.parametrize("what", ["Ray", "MLflow"])
def test_without_a_token_or_password_nobody_is_let_in(cluster: tuple[Cluster, str], what: str) -> None:
    there, said = cluster
    path = {"Ray": "/api/jobs/", "MLflow": "/api/2.0/mlflow/experiments/search?max_results=1"}[what]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(there.place(what, said) + path, timeout=10)
    assert refused.value.code in {401, 403}


def test_all_that_listens_asks_who_is_there(cluster: tuple[Cluster, str]) -> None:
    there, _ = cluster
    inside = ["ip", "netns", "exec", f"{there.environment['NAME']}-head"] if (there.state / "network").exists() else []
    code = (
        "from autosched.cli.open_ports import open_ports\nfor p in open_ports(): print(p.pid, int(p.is_unguarded), p)"
    )
    said = subprocess.run(
        [*inside, sys.executable, "-c", code], env=there.environment, capture_output=True, text=True, check=True
    )
    ours = [line.split(" ", 2) for line in said.stdout.splitlines() if int(line.split()[0]) in left(there)]
    assert [text for _, unguarded, text in ours if unguarded == "1"] == []
    assert any(text.startswith("Ray (gcs_server)") and text.endswith("with the cluster's token") for *_, text in ours)
    servers = [str(port) for port in open_ports() if port.pid in left(there)]
    assert any(text.startswith("MLflow") and text.endswith("with a password") for text in servers), servers


def test_a_study_survives_its_driver_a_stop_and_a_node_and_is_the_one_that_a_laptop_makes(
    cluster: tuple[Cluster, str], tmp_path: Path
) -> None:
    """The last test, since the cluster has a node less then."""
    there, said = cluster
    ledger, dashboard = there.place("ledger", said), ("--address", there.place("Ray", said))
    there.run("submit", "space.yaml")
    reach(there, ledger, "sent", 10)
    there.run("autosched", "stop", "sent", *dashboard)
    there.run("autosched", "logs", "sent", *dashboard, "--follow", check=False)
    stopped = count(ledger, "sent")
    there.run("autosched", "resume", "sent", *dashboard)
    reach(there, ledger, "sent", stopped + 5)
    twice = there.run("submit", "space.yaml", check=False)
    assert twice.returncode == 2
    assert "the study 'sent' has a job on" in twice.stderr
    os.kill(driver(there, "sent"), signal.SIGKILL)
    reach(there, ledger, "sent", count(ledger, "sent") + 5)
    os.kill(int((there.state / "sessions").read_text().split()[-1]), signal.SIGTERM)
    followed = there.run("autosched", "logs", "sent", *dashboard, "--follow")
    assert "the driver was ended by SIGKILL; starting it again (1 of 3)." in followed.stdout
    store = Ledger(ledger)
    state = store.state("sent")
    store.close()
    assert {failure.kind for failures in state.failures.values() for failure in failures} <= {"preempted"}
    assert json.loads(there.run("submit", "space.yaml", "--wait", "--json").stdout)["status"] == "succeeded"
    status = json.loads(there.run("autosched", "status", "sent", "--json").stdout)
    assert status["reason"] == "8 trials are proposed"
    assert status["tracking"]["uri"] == there.place("MLflow", said)

    here = f"sqlite:///{tmp_path}/laptop.db"
    tune = ("tune", "--space", "space.yaml", "--backend", "local", "--ledger", here, "--set", "tracking=none")
    there.run("autosched", *tune, "--set", "trainer.with={noise: 0.001}", "--trust-trainer")
    assert decided(ledger, "sent") == decided(here, "sent")
