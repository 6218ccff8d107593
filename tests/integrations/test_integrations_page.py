import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["optuna_study.py", "ray_tuner.py"])
def test_the_page_shows_the_examples_as_they_are(name):
    assert (ROOT / "examples" / name).read_text() in (ROOT / "docs" / "integrations.md").read_text()


def test_the_loop_on_the_page_runs(capsys):
    page = (ROOT / "docs" / "integrations.md").read_text().split("## AutoLRS in a training loop")[1]
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    assert len([line for line in code.splitlines() if line]) <= 21
    exec(compile(code, "integrations.md", "exec"), {})
    assert re.fullmatch(r"table\(400 steps, peak 0\.\d+\) 520 ?\n", capsys.readouterr().out)
