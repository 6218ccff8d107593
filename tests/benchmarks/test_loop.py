"""What the benchmark of the torch trainers' loop compares, on a model that trains in a moment."""

from __future__ import annotations

import json

import pytest
from loop import bare_loop, main, trainer_loop

from workers.gpt import GptOptions

Capture = pytest.CaptureFixture[str]
TINY = {"layers": 1, "width": 16, "heads": 2, "context": 8, "batch": 2, "device": "cpu", "dtype": "float32"}


def test_the_bare_loop_trains_as_the_trainer_does() -> None:
    bare, trainer = bare_loop(GptOptions(**TINY)), trainer_loop(TINY)
    losses = [bare() for _ in range(3)]
    assert losses == pytest.approx([trainer() for _ in range(3)], rel=1e-5)
    assert losses[2] < losses[0]


@pytest.mark.slow
def test_a_width_has_its_ratio_and_its_quartiles(capsys: Capture) -> None:
    assert main(["--widths", "32", "--blocks", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (row,) = document["rows"]
    assert row["width"] == 32
    assert 0 < row["low"] <= row["ratio"] <= row["high"]
