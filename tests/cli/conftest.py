"""Folders to run the program in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import TUNE, run, write_space


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a sound space file, and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSCHED_LEDGER", raising=False)
    write_space()
    return tmp_path


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study has finished; copy it, do not use it."""
    made = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.delenv("AUTOSCHED_LEDGER", raising=False)
        write_space()
        assert run(list(TUNE)) == 0
    return made


@pytest.fixture
def finished(folder: Path, finished_study: Path) -> Path:
    """A current folder in which the study of ``space.yaml`` has finished."""
    shutil.copytree(finished_study, folder, dirs_exist_ok=True)
    return folder
