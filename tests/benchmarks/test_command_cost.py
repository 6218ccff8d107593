"""What the benchmark of the command door says of a few trials."""

from __future__ import annotations

import json

import pytest
from command_cost import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_trials_leave_nothing_behind_and_a_flood_is_a_failed_one(capsys: Capture) -> None:
    assert main(["--trials", "4", "--flood", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    bare, trial = document["rows"]
    assert document["added_seconds"] == trial["median"] - bare["median"]
    assert set(document["left"].values()) == {0}
    assert document["flood"]["status"] == "failed"
    assert "it reported no loss at all" in document["flood"]["reason"]
