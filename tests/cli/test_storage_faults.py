"""Whole studies whose places break while they run, one alone and two at once.

Each ends equal to the undisturbed study, or stops with one line and is equal after `resume`; where the ledger itself
was lost or changed the line says so, and nothing is guessed.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broken_files import cut_off, flipped, made_folder, made_pipe, replaced
from command_line import PREFIX, TUNE, run, write_space

from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from workers.simulated import SimulatedTrainer

Break = Callable[[Path], object]
BREAK_AT = 4
"""Calls of `train` after which the places break: some segments are in the ledger, most are not."""


def in_checkpoints(fault: Break) -> Break:
    """The fault in every checkpoint that is there."""

    def broken(_: Path) -> None:
        for path in sorted(Path("checkpoints").glob("*.ckpt")):
            if path.is_file():
                fault(path)

    return broken


def full(_: Path) -> None:
    """No file of this process may grow beyond what it has, as on a disk without room: checkpoints, ledger, all."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))


def reports_taken(_: Path) -> None:
    """A file lies where the reports' folder was to be made."""
    shutil.rmtree("reports", ignore_errors=True)
    Path("reports").write_text("taken")


def tracking_broken(_: Path) -> None:
    """The tracking store is no database any more."""
    Path("mlflow.db").write_bytes(b"this is no database" * 1000)


def checkpoints_taken(_: Path) -> None:
    """A file lies where the checkpoints' folder was."""
    shutil.rmtree("checkpoints")
    Path("checkpoints").write_text("taken")


def in_ledger(fault: Break) -> Break:
    """The fault in the ledger's file; what was there is kept in ``before``."""

    def broken(_: Path) -> None:
        shutil.copytree(Path(), "before", ignore=shutil.ignore_patterns("before", "mlartifacts"), dirs_exist_ok=True)
        fault(Path("autosched.db"))

    return broken


CHECKPOINTS = {
    f"checkpoints {name}": in_checkpoints(fault)
    for name, fault in {
        "deleted": Path.unlink,
        "truncated": cut_off,
        "flipped": flipped,
        "swapped": replaced,
        "folders": made_folder,
        "pipes": made_pipe,
    }.items()
}
PLACES: dict[str, Break] = {
    "checkpoints taken": checkpoints_taken,
    "reports taken": reports_taken,
    "tracking broken": tracking_broken,
    "disk full": full,
}
LEDGER = {
    f"ledger {name}": in_ledger(fault)
    for name, fault in {
        "deleted": Path.unlink,
        "truncated": cut_off,
        "flipped": flipped,
        "emptied": lambda path: path.write_bytes(b""),
        "folder": made_folder,
        "pipe": made_pipe,
    }.items()
}
FAULTS = {**CHECKPOINTS, **PLACES, **LEDGER}
CASES = (
    ("checkpoints taken",),
    ("reports taken",),
    ("disk full",),
    ("checkpoints deleted", "tracking broken"),
    ("checkpoints truncated", "reports taken"),
    ("checkpoints flipped", "disk full"),
    ("checkpoints swapped", "reports taken"),
    ("checkpoints folders", "disk full"),
    ("checkpoints pipes", "reports taken"),
    ("reports taken", "disk full"),
)
"""A fault of checkpoints alone: tests/engine/test_loop.py."""
TRACKED = (("disk full",), ("checkpoints deleted", "tracking broken"))
"""Cases with an MLflow store, which is waited for when it is away."""


class Breaking(SimulatedTrainer):
    """Breaks the places of `FAULTS` in the environment, which all modules' trainers share, in the midst of a study."""

    def train(self, lrs):  # type: ignore[no-untyped-def]
        os.environ["CALLS"] = str(int(os.environ.get("CALLS", "0")) + 1)
        if int(os.environ["CALLS"]) == BREAK_AT:
            for name in filter(None, os.environ.get("FAULTS", "").split(",")):
                FAULTS[name](Path())
        return super().train(lrs)


def write_study(tracking: str) -> None:
    storage = "storage: {ledger: 'sqlite:///autosched.db', checkpoints: checkpoints, reports: reports}"
    trainer = {"use: simulated": "use: test_storage_faults:Breaking"}
    write_space(trainer | {"tracking: none": f"tracking: {tracking}\n{storage}"})


@pytest.fixture
def study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a space whose trainer breaks places; room again afterwards."""
    write_study("none")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setenv("CALLS", "0")
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # as the program does; and where MLflow is imported already
    mlflow_log = logging.getLogger("mlflow")
    level = mlflow_log.level
    mlflow_log.setLevel(logging.CRITICAL)
    yield folder
    mlflow_log.setLevel(level)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def mended(folder: Path, whole_store: bytes) -> None:
    """What a person does before `resume`: makes room, and clears what lies in a folder's place."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for place in ("reports", "checkpoints"):
        if (folder / place).is_file():
            (folder / place).unlink()
    if whole_store:
        for journal in folder.glob("mlflow.db-*"):  # of the store that is not there any more
            journal.unlink()
        (folder / "mlflow.db").write_bytes(whole_store)


def decided() -> list[tuple[object, ...]]:
    """All that must be equal."""
    ledger = Ledger("sqlite:///autosched.db", create=False)
    try:
        state: StudyState = ledger.state("s")
    finally:
        ledger.close()
    assert state.finished is not None
    return [(dict(trial.params), trial.status, trial.value, trial.points) for trial in state.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        patch.delenv("AUTOSCHED_LEDGER", raising=False)
        write_space({"use: simulated": "use: test_storage_faults:Breaking"})
        assert run([*TUNE, "--trust-trainer"]) == 0
        return decided()


@pytest.mark.slow
@pytest.mark.parametrize("faults", CASES, ids=lambda names: "+".join(names).replace(" ", "_"))
def test_a_study_ends_as_ever_or_stops_with_one_line(
    study: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: list[tuple[object, ...]],
    new_store: Callable[[Path], str],
    faults: tuple[str, ...],
) -> None:
    whole_store = b""
    if faults in TRACKED:
        write_study(f"{{uri: '{new_store(study)}'}}")
        whole_store = (study / "mlflow.db").read_bytes()
    monkeypatch.setenv("FAULTS", ",".join(faults))
    code = run([*TUNE, "--trust-trainer"])
    said = capsys.readouterr().err
    assert int(os.environ["CALLS"]) >= BREAK_AT
    assert "Traceback" not in said
    if code:
        assert code == 1
        assert said.splitlines()[-1].startswith(PREFIX), said
        mended(study, whole_store if "tracking broken" in faults else b"")
        assert run(["resume", "s"]) == 0, capsys.readouterr().err
    assert decided() == undisturbed
    assert (study / "reports" / "s" / "schedule.json").stat().st_size > 0


@pytest.mark.parametrize("fault", LEDGER, ids=lambda name: name.replace(" ", "_"))
def test_a_ledger_that_is_lost_or_changed_in_mid_run_is_written_whole_or_stops_the_study_with_one_line(
    study: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: list[tuple[object, ...]],
    fault: str,
) -> None:
    monkeypatch.setenv("FAULTS", fault)
    code = run([*TUNE, "--trust-trainer"])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if code == 0:  # SQLite's log of what was written last held all of it
        assert decided() == undisturbed
        return
    assert code == 1
    assert said.splitlines()[-1].startswith(f"{PREFIX}the ledger "), said
    monkeypatch.setenv("FAULTS", "")
    for path in study.glob("autosched.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (study / "before").glob("autosched.db*"):
        shutil.copy(path, study)
    assert run(["resume", "s"]) == 0, capsys.readouterr().err
    assert decided() == undisturbed
