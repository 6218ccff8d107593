import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"


def shown(page):
    return re.search(r"```python\n(.*?)```", (HOW_TO / page).read_text(), re.DOTALL).group(1)


@pytest.mark.parametrize(("example", "page"), [("optuna_study.py", "optuna.md"), ("ray_tuner.py", "ray-tune.md")])
def test_the_page_shows_the_example_as_it_is(example, page):
    assert (ROOT / "examples" / example).read_text() in (HOW_TO / page).read_text()


def test_the_tutorial_shows_the_training_of_the_example_as_it_is():
    page = (ROOT / "docs" / "tutorial" / "own-trainer.md").read_text()
    training = re.search(r"```python\n(def train.*?)```", page, re.DOTALL).group(1)
    example = (ROOT / "examples" / "own_trainer.py").read_text()
    assert textwrap.indent(training, "    ").split("\n", 1)[1] in example


def test_the_loop_on_the_page_runs(capsys):
    code = shown("autolrs-loop.md")
    assert len([line for line in code.splitlines() if line]) <= 21
    exec(compile(code, "autolrs-loop.md", "exec"), {})
    assert re.fullmatch(r"table\(400 steps, peak 0\.\d+\) 484\n", capsys.readouterr().out)


def test_pruning_in_a_loop_of_one_s_own_runs_as_shown(capsys):
    exec(compile(shown("prune-your-own-loop.md"), "prune-your-own-loop.md", "exec"), {})
    *runs, best = capsys.readouterr().out.splitlines()
    assert len([run for run in runs if "stopped" in run]) == 2
    assert best == "best 1.1359, 4520 of 6000 updates trained"


@pytest.mark.slow
def test_a_study_from_python_runs_as_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(shown("from-python.md"), "from-python.md", "exec"), {})
    assert "<Study 'first': finished, 8 trials, best trial" in capsys.readouterr().out
    compile((tmp_path / "schedule.py").read_text(), "schedule.py", "exec")
