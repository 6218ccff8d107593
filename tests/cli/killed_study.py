"""A study that is killed at random moments, and what must be true of its end."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from autosched.ledger.events import SegmentFinished
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger

SPACE = """
study: storm
trainer: {use: simulated, with: {seconds_per_step: 0.0005}}
horizon_steps: 100
eval_every: 10
checkpoint_every: 20
schedule:
  wsd:
    peak_lr: {low: 1e-3, high: 1e-1, scale: log}
    warmup_steps: 10
    cooldown_fraction: {low: 0.1, high: 0.9}
    cooldown_shape: [linear, sqrt]
    final_lr_ratio: 0.0
default:
  wsd: {peak_lr: 1e-2, warmup_steps: 10, cooldown_fraction: 0.2, cooldown_shape: linear, final_lr_ratio: 0.0}
controller: tpe
pruner: law
budget: {trials: 24}
resources: {workers: 2, retries: 30}
confirm: {finalists: 1, seeds: 2}
tracking: {uri: "sqlite:///mlflow.db", experiment: storm}
"""
AUTOSCHED = [sys.executable, "-m", "autosched"]
DEADLINE = 200.0


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    log = (folder / "log.txt").open("ab")
    return subprocess.Popen([*AUTOSCHED, *arguments], cwd=folder, stdout=log, stderr=log)


def state_of(folder: Path) -> StudyState:
    ledger = Ledger(f"sqlite:///{folder}/autosched.db")
    try:
        return ledger.state("storm")
    finally:
        ledger.close()


def events_in(folder: Path) -> int:
    """Events in the ledger, 0 while there is none; asked often, so without the ledger's own machinery."""
    if not (folder / "autosched.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{folder}/autosched.db?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM autosched_events").fetchone()[0])
        except sqlite3.OperationalError:  # the table is not made yet, or is being made
            return 0


def wait_for_events(folder: Path, process: subprocess.Popen[bytes], count: int) -> bool:
    """Until the ledger holds `count` events (True), or the process ended by itself (False)."""
    end = time.monotonic() + DEADLINE
    while events_in(folder) < count:
        assert time.monotonic() < end, f"no {count} events after {DEADLINE} s: {(folder / 'log.txt').read_text()}"
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        return False
    return True


def worker_pids(driver: int) -> list[int]:
    """Ray processes below a driver: its workers, and the agents whose death takes the whole local Ray along."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])

    def below(pid: int) -> bool:
        while pid in parents and pid > 1:
            if pid == driver:
                return True
            pid = parents[pid]
        return False

    return [pid for pid, name in names.items() if name.startswith("ray::") and "IDLE" not in name and below(pid)]


def picture(state: StudyState) -> list[dict[str, object]]:
    return [
        {
            "trial": trial.number,
            "turns": trial.turns,
            "fingerprint": trial.fingerprint,
            "seed": trial.seed,
            "status": trial.status,
            "step": trial.step,
            "value": trial.value,
            "reason": trial.reason,
            "losses": [(point.step, point.loss) for point in trial.points],
            "decisions": [(step, decision.action, decision.reason) for step, decision in trial.decisions],
        }
        for trial in state.trials
    ]


def mlflow_runs(folder: Path) -> list[tuple[str, str, dict[str, str]]]:
    code = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("storm")
runs = client.search_runs([experiment.experiment_id], max_results=1000)
json.dump([(run.info.run_id, run.info.status, dict(run.data.tags)) for run in runs], sys.stdout)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return [tuple(run) for run in json.loads(done.stdout)]


def check_tracking(folder: Path, state: StudyState) -> None:
    """Every trial has one run, ended as the ledger says; nothing is left RUNNING."""
    runs = mlflow_runs(folder)
    ended = {"complete": "FINISHED", "pruned": "KILLED", "stopped": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
    trials = {tags["autosched.trial"]: status for _, status, tags in runs if "mlflow.parentRunId" in tags}
    parents = [(run, status) for run, status, tags in runs if "mlflow.parentRunId" not in tags]
    assert [status for _, status in parents] == ["FINISHED"]
    assert len(trials) == len(runs) - 1 == len(state.trials)
    assert trials == {str(trial.number): ended[trial.status] for trial in state.trials}


def check_no_segment_trained_twice(folder: Path) -> None:
    ledger = Ledger(f"sqlite:///{folder}/autosched.db")
    counts = Counter(
        stamped.event.observation.segment
        for stamped in ledger.read("storm")
        if isinstance(stamped.event, SegmentFinished)
    )
    ledger.close()
    assert [identity for identity, count in counts.items() if count > 1] == []


def calm_study(folder: Path) -> None:
    """The study that nobody disturbs."""
    (folder / "space.yaml").write_text(SPACE)
    process = start(folder, "tune", "--space", "space.yaml", "--backend", "local")
    assert process.wait(DEADLINE) == 0, (folder / "log.txt").read_text()
    check_tracking(folder, state_of(folder))


def kill_at_random_moments(folder: Path, calm: StudyState, backend: str, kills: int) -> None:
    """Kill the driver, or with Ray a worker every other time, and let the study end: it must end as the calm one."""
    chance = random.Random(f"moments of {backend}")
    folder.mkdir()
    (folder / "space.yaml").write_text(SPACE)
    tune = ["tune", "--space", "space.yaml", "--backend", backend]
    share = calm.events / (kills + 1)
    killed = {"driver": 0, "worker": 0}
    process = start(folder, *tune)
    for number in range(kills):
        moment = events_in(folder) + 2 + chance.randrange(max(3, round(1.3 * share)))
        if not wait_for_events(folder, process, moment):
            break
        workers = worker_pids(process.pid) if backend == "ray" and number % 2 == 0 else []
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            killed["worker"] += 1
            continue
        process.kill()
        process.wait()
        killed["driver"] += 1
        process = start(folder, *(["resume", "storm"] if events_in(folder) else tune))
    assert process.wait(DEADLINE) == 0, (folder / "log.txt").read_text()
    assert killed["driver"] + killed["worker"] >= 0.7 * kills, killed
    assert backend == "local" or killed["worker"] >= 2, killed
    state = state_of(folder)
    assert picture(state) == picture(calm)
    assert state.best == calm.best
    check_no_segment_trained_twice(folder)
    check_tracking(folder, state)
