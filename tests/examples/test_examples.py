import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autosched.schedules import Schedule
from autosched.testing.trainer_contract import TrainerCase, TrainerContract
from workers.registry import make_trainer

EXAMPLES = Path(__file__).parents[2] / "examples"
AUTOSCHED = Path(sys.executable).with_name("autosched")  # the installed program, which has no folder on its path


class TestMlp(TrainerContract):
    @pytest.fixture
    def case(self, monkeypatch: pytest.MonkeyPatch) -> TrainerCase:
        monkeypatch.syspath_prepend(EXAMPLES)
        options = {"width": 8, "batch": 8}
        return TrainerCase(
            factory=make_trainer,
            use="own_trainer:Mlp",
            options=options,
            other={**options, "width": 4},
            faulty=[{"width": 0}, {"noise": -1.0}, {"no_such_option": 1}],
        )


@pytest.fixture
def folder(tmp_path):
    """A copy of the examples to work in, without access to the original."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__")))


def run(folder, *command, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tune(folder, *options):
    small = ("tracking=none", "budget.trials=3", "confirm.seeds=1", "horizon_steps=60")
    settings = [part for setting in small for part in ("--set", setting)]
    return json.loads(run(folder, AUTOSCHED, "tune", "--space", "own_trainer.yaml", "--json", *settings, *options))


@pytest.mark.slow
def test_a_trainer_of_ones_own_is_tuned_and_its_schedule_used(folder):
    summary = tune(folder, "--backend", "local")
    assert summary["state"] == "finished"
    assert summary["trials"]["failed"] == 0
    assert summary["best"]["value"] < np.log(2)
    schedule = Schedule.from_json((folder / summary["artifacts"]["schedule"]).read_text())
    printed = run(folder, sys.executable, "use_schedule.py", summary["artifacts"]["schedule"]).splitlines()
    assert printed[0].startswith(f"update 0: lr {schedule.lrs[0]:.6g}, loss ")
    assert printed[-1].startswith(f"update 59: lr {schedule.lrs[-1]:.6g}, loss ")


@pytest.mark.slow
def test_the_space_of_the_example_is_sound(folder):
    assert "own_trainer.yaml: sound." in run(folder, AUTOSCHED, "validate", "own_trainer.yaml")


@pytest.mark.slow
def test_a_script_is_tuned_and_its_gain_over_its_own_schedule_told(folder):
    small = ("tracking=none", "budget.trials=2", "confirm.seeds=0", "horizon_steps=60", "trainer.with.grace_seconds=1")
    program = {"PATH": f"{AUTOSCHED.parent}{os.pathsep}{os.environ['PATH']}"}  # the `python` of the space is this one
    settings = [part for setting in small for part in ("--set", setting)]
    command = (AUTOSCHED, "tune", "--space", "script.yaml", "--json", "--backend", "local", *settings)
    summary = json.loads(run(folder, *command, **program))
    assert summary["trials"]["failed"] == 0
    assert summary["best"]["value"] <= summary["default"]["value"] < np.log(2)
    assert "test loss" in (folder / "reports/script/logs/trial-0.log").read_text()
