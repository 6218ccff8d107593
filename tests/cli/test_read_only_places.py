"""A place that becomes read-only while a study runs: it ends as ever, or stops with one line and ends so by `resume`.

Root may write wherever permissions forbid it, so the place is mounted read-only over itself, in a mount namespace of
the study's own. Where no namespace may be made these tests are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger

NAMESPACE = ("unshare", "--mount", "--propagation", "private")


def allowed() -> bool:
    """Whether this process may mount something in a namespace of its own."""
    mount = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not allowed(), reason="mounts are not allowed here")]

TRAINER = """\
import os, subprocess
from workers.simulated import SimulatedTrainer


class Locking(SimulatedTrainer):
    def train(self, lrs):
        place = os.environ.pop("LOCKED", None)
        if place is not None:
            subprocess.run(["mount", "--bind", place, place], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        return super().train(lrs)
"""
SPACE = """\
study: s
trainer: {use: locking:Locking}
horizon_steps: 40
eval_every: 10
checkpoint_every: 20
schedule:
  wsd:
    peak_lr: {low: 1e-3, high: 1e-1, scale: log}
    warmup_steps: 4
controller: random
pruner: none
budget: {trials: 3}
storage: {ledger: "sqlite:///ledger/autosched.db", checkpoints: ../checkpoints, reports: ../reports}
tracking: none
"""


def command(folder: Path, *words: str, locked: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, which has become read-only in one place after its first updates."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "LOCKED": locked}
    if not locked:
        del environment["LOCKED"]
    program = [*NAMESPACE, sys.executable, "-m", "autosched", *words]
    return run(program, folder, environment)


def run(program: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        program, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def tuned(folder: Path, *, locked: str = "") -> subprocess.CompletedProcess[str]:
    """Run a study in an empty folder."""
    (folder / "locking.py").write_text(TRAINER)
    (folder / "space.yaml").write_text(SPACE)
    for name in ("ledger", "checkpoints", "reports"):
        (folder / name).mkdir()
    words = ("tune", "--space", "space.yaml", "--backend", "local", "--trust-trainer")
    return command(folder, *words, locked=locked and str(folder / locked))


def state_of(folder: Path) -> StudyState:
    """What the ledger holds."""
    ledger = Ledger(f"sqlite:///{folder}/ledger/autosched.db", create=False)
    try:
        return ledger.state("s")
    finally:
        ledger.close()


def decided(state: StudyState) -> list[tuple[object, ...]]:
    """All that must be equal."""
    return [(dict(trial.params), trial.status, trial.value, trial.points) for trial in state.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = tuned(folder)
    assert done.returncode == 0, done.stderr
    return decided(state_of(folder))


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("checkpoints", "cannot store the checkpoint "),
        ("ledger", ""),
        ("reports", "reports/s: Read-only file system; nothing is lost: mend that, then resume."),
    ],
)
def test_a_place_that_becomes_read_only(
    tmp_path: Path, undisturbed: list[tuple[object, ...]], place: str, says: str
) -> None:
    done = tuned(tmp_path, locked=place)
    assert "Traceback" not in done.stderr
    if says:
        assert done.returncode == 1
        assert says in done.stderr.splitlines()[-1]
    if done.returncode:
        resumed = command(tmp_path, "resume", "s", "--ledger", "sqlite:///ledger/autosched.db")
        assert resumed.returncode == 0, resumed.stderr
    state = state_of(tmp_path)
    assert state.finished is not None
    assert decided(state) == undisturbed
    assert (tmp_path / "reports" / "s" / "schedule.json").stat().st_size > 0


@pytest.mark.parametrize(
    ("place", "says"),
    [("ledger", "cannot open the ledger sqlite:///ledger/autosched.db: "), ("tracking", "read")],
)
def test_a_place_that_is_read_only_from_the_beginning(tmp_path: Path, place: str, says: str) -> None:
    (tmp_path / "locking.py").write_text(TRAINER)
    tracking = "{uri: 'sqlite:///../tracking/mlflow.db'}" if place == "tracking" else "none"
    (tmp_path / "space.yaml").write_text(SPACE.replace("tracking: none", f"tracking: {tracking}"))
    for name in ("ledger", "checkpoints", "reports", "tracking"):
        (tmp_path / name).mkdir()
    script = f'mount --bind {place} {place} && mount -o remount,ro,bind {place} && exec "$@"'
    words = (
        sys.executable,
        "-m",
        "autosched",
        "tune",
        "--space",
        "space.yaml",
        "--backend",
        "local",
        "--trust-trainer",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = run([*NAMESPACE, "sh", "-c", script, "sh", *words], tmp_path, environment)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert says in done.stderr.splitlines()[-1]
    assert not list((tmp_path / "checkpoints").iterdir())
