"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import autosched

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def shell_blocks() -> list[list[str]]:
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)]


def commands() -> list[str]:
    return [line for block in shell_blocks() for line in block if line.startswith("autosched ")]


@pytest.mark.slow
@pytest.mark.ray("in processes of its own")
@pytest.mark.timeout(900)
def test_the_commands_of_the_readme_run_as_shown(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    space = tmp_path / "search_spaces" / "vision.yaml"
    space.write_text(space.read_text().replace("horizon_steps: 400", "horizon_steps: 80"))
    assert len(commands()) >= 8
    for command in commands():
        words = [sys.executable, "-m", "autosched", *command.split()[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if "--json" in command:
            json.loads(done.stdout)
    assert (tmp_path / "vision.png").read_bytes().startswith(b"\x89PNG")
    compile((tmp_path / "schedule.py").read_text(), "schedule.py", "exec")
    assert (tmp_path / "reports" / "first" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.ray("in processes of its own")
@pytest.mark.timeout(900)
def test_training_of_one_s_own_is_tuned_as_the_readme_shows_and_on_ray_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = (ROOT / "examples" / "own_trainer.py").read_text()
    (tmp_path / "my_training.py").write_text(f"{trainer}\n\nMyTrainer = Mlp\n")
    block = next(code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "MyTrainer" in code)
    assert len(block.splitlines()) <= 10
    (tmp_path / "script.py").write_text(block.replace('"full_runs": 4', '"full_runs": 2'))
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "peak_lr" in done.stdout.splitlines()[-1]
    assert (tmp_path / "reports" / "mine" / "report.html").exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    there = autosched.Study("mine")
    here = autosched.tune(there.space, name="here", backend="local", fresh=True, progress=False)
    assert [(trial.params, trial.points) for trial in here.trials] == [
        (trial.params, trial.points) for trial in there.trials
    ]


def test_the_make_commands_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    shown = {line.split("#")[0].split()[1] for block in shell_blocks() for line in block if line.startswith("make ")}
    assert shown == {"tune", "test"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in shown)
