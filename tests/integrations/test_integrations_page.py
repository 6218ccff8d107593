from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["optuna_study.py", "ray_tuner.py"])
def test_the_page_shows_the_examples_as_they_are(name):
    assert (ROOT / "examples" / name).read_text() in (ROOT / "docs" / "integrations.md").read_text()
