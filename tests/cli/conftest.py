"""Folders to run the program in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from command_line import TUNE, run, write_space
from killed_study import calm_study, state_of

from autosched.ledger.state import StudyState


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a sound space file, and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSCHED_LEDGER", raising=False)
    write_space()
    return tmp_path


@pytest.fixture(scope="session")
def finished_study(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A folder in which the study of ``space.yaml`` has finished, and said ``summary.json``; do not change it."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch, (folder / "summary.json").open("w") as said:
            patch.chdir(folder)
            patch.delenv("AUTOSCHED_LEDGER", raising=False)
            write_space()
            with redirect_stdout(said):
                assert run(list(TUNE)) == 0

    return once("finished", make)


@pytest.fixture
def calm(finished_study: Path) -> dict[str, Any]:
    """What the study says that nothing disturbed."""
    return dict(json.loads((finished_study / "summary.json").read_text()))


@pytest.fixture(scope="session")
def calm_storm(once: Callable[[str, Callable[[Path], object]], Path]) -> StudyState:
    """The study that others are killed in, when nobody disturbs it."""
    return state_of(once("calm_storm", calm_study))


@pytest.fixture
def finished(folder: Path, finished_study: Path) -> Path:
    """A current folder in which the study of ``space.yaml`` has finished."""
    shutil.copytree(finished_study, folder, dirs_exist_ok=True)
    return folder
