"""What docs/how-to/export.md shows is what happens."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from autosched.cli.app import run as autosched_program
from autosched.schedules import Schedule
from autosched.schedules.exports.targets import TARGETS

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "export.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_page_shows_every_target() -> None:
    assert [target for target in TARGETS if f"`{target}`" not in PAGE] == []


@pytest.mark.slow
def test_the_page_runs_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)

    def run(*words: str) -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"

    for line in "".join(blocks("sh")).splitlines():
        if line.startswith("autosched "):  # in this process: the program takes seconds to start
            assert autosched_program(shlex.split(line)[1:]) == 0
        else:
            run("bash", "-ec", line)
    snippets = blocks("python")
    assert len(snippets) == 6
    run(sys.executable, "-c", "\n".join(snippets))
    assert blocks("bash")[0] in Path("lr_args.sh").read_text()
    again = Schedule.from_json(Path("again.json").read_text())
    assert again == Schedule.from_json(Path("schedule.json").read_text())
