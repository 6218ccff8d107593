"""A folder to work in, and studies that have ended."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import SPACE

import autosched


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a sound space file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSCHED_LEDGER", raising=False)
    Path("space.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture
def mapping() -> dict[str, object]:
    """The space file as Python data."""
    space = yaml.safe_load(SPACE)
    space["schedule"]["wsd"]["peak_lr"].update(low=1e-3, high=1e-1)  # plain YAML reads 1e-3 as text
    space["default"]["wsd"]["peak_lr"] = 1e-2
    return dict(space)


def made_in(folder: Path, **options: Any) -> Path:
    """Run the study of the space file in an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("AUTOSCHED_LEDGER", raising=False)
        Path("space.yaml").write_text(SPACE)
        autosched.tune("space.yaml", backend="local", progress=False, **options)
    return folder


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study of ``space.yaml`` has finished; copy it."""
    return made_in(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def plain(folder: Path, plain_folder: Path) -> autosched.Study:
    """That study, in the current folder."""
    shutil.copytree(plain_folder, folder, dirs_exist_ok=True)
    return autosched.Study("s")


@pytest.fixture
def expected(plain_folder: Path) -> autosched.Study:
    """That study, to compare with, while the current folder has none."""
    return autosched.Study("s", ledger=f"sqlite:///{plain_folder}/autosched.db")


@pytest.fixture(scope="session")
def pruned_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study has finished that pruned by forecasts and confirmed its best; copy it."""
    changes = {
        "pruner": "law",
        "budget.trials": 12,
        "horizon_steps": 60,
        "checkpoint_every": 10,
        "confirm": {"finalists": 1, "seeds": 2},
    }
    return made_in(tmp_path_factory.mktemp("pruned"), overrides=changes)


@pytest.fixture
def study(folder: Path, pruned_study: Path) -> autosched.Study:
    """That study, in the current folder."""
    shutil.copytree(pruned_study, folder, dirs_exist_ok=True)
    return autosched.Study("s")
