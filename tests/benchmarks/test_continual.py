"""Going on from a trained model, on one that trains in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from continual import fresh_seeds, main, studies

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
TINY = {"layers": 1, "width": 16, "heads": 2, "context": 8, "batch": 4, "eval_batches": 4}
SETTINGS = [
    *(f"trainer.with.{key}={value}" for key, value in TINY.items()),
    *("horizon_steps=40", "eval_every=4", "checkpoint_every=8", "budget={trials: 2}", "pruner=none"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studies are, for all tests of this file."""
    return tmp_path_factory.mktemp("continual")


@pytest.fixture
def document(folder: Path, capsys: Capture) -> Any:
    """What the benchmark prints; once it has trained, it reads what is there."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    assert main(["--out", str(folder), *settings, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_losses_of_both_texts_are_told_before_and_after(document: Mapping[str, Any]) -> None:
    start, tuned = document["start"], document["fresh"][0]
    assert start["new"] < start["old"], "the first text is the new one of the pretraining"
    assert tuned["new"] < start["old"], "the second is learned"
    assert tuned["objective"] == pytest.approx((tuned["new"] + tuned["old"]) / 2)


def test_each_schedule_is_compared_with_the_winner_seed_by_seed(document: Mapping[str, Any], folder: Path) -> None:
    rows = {row["name"]: row for row in document["fresh"]}
    assert list(rows) == ["tuned", "full re-warm", "no re-warm, constant"]
    assert {row["seeds"] for row in rows.values()} == {3}
    assert (rows["tuned"]["worse_by"], rows["tuned"]["worse_on"]) == (0.0, 0)
    above = rows["no re-warm, constant"]["objective"] - rows["tuned"]["objective"]
    assert rows["no re-warm, constant"]["worse_by"] == pytest.approx(above)
    assert document["fresh"] == fresh_seeds(studies(folder, SETTINGS, folder / "pretrained.pt", None))


def test_every_schedule_is_forecast_for_both_losses_or_the_reason_told(document: Mapping[str, Any]) -> None:
    assert document["schedules"] == {"old": 3, "new": 3}
    for row in document["laws"]:
        assert ("reason" in row) or row["inside"] == (row["low"] <= row["seen"] <= row["high"])
    counted = {loss: sum(row["inside"] for row in document["laws"] if row["loss"] == loss) for loss in ("old", "new")}
    assert counted == document["inside"]
