"""What `autosched new trainer` writes is a sound trainer of at most 40 lines, and is tuned as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import refuse, run

from autosched.trainer import skeleton
from autosched.trainer.findings import Case
from autosched.trainer.soundness import check_soundness


def test_the_skeleton_is_short_and_keeps_every_promise() -> None:
    assert len([line for line in Path(skeleton.__file__).read_text().splitlines() if line.strip()]) <= 40
    case = Case(make=lambda seed: skeleton.MyTrainer({}, seed=seed, horizon=300), lr=1e-3)
    assert [finding for finding in check_soundness(case, thorough=True) if finding.level != "kept"] == []


def test_it_is_written_with_a_space_that_tunes_it_and_never_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "trainer", "written_here.py"]) == 0
    assert "autosched tune --space written_here.yaml" in capsys.readouterr().out
    small = ["--set", "horizon_steps=40", "--set", "budget.trials=2", "--set", "confirm.seeds=1"]
    assert run(["tune", "--space", "written_here.yaml", "--backend", "local", "--set", "tracking=none", *small]) == 0
    capsys.readouterr()
    refuse(
        capsys,
        (
            "new",
            "trainer",
            "written_here.py",
        ),
        "written_here.py is there already",
    )
    refuse(
        capsys,
        (
            "new",
            "trainer",
            "not-a-module.py",
        ),
        "FILE must be the name of a Python module",
    )
    refuse(
        capsys,
        (
            "new",
            "optimizer",
        ),
        "KIND must be trainer, but got 'optimizer'",
    )
