"""Merged weights against cooldowns, on models that train in a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from merged import PAIRS, cells, main, rows_of, time_share

Capture = pytest.CaptureFixture[str]


def row(seed: int, merged: float) -> dict[str, object]:
    windows = [{"window": 10, "cooled": 1.5, "merged": merged}]
    return {"seed": seed, "peak_lr": 0.01, "constant": 2.0, "windows": windows}


def test_seeds_are_averaged_and_runs_that_diverged_are_left_out() -> None:
    (cell,) = cells([row(0, 1.4), row(1, 1.6), {"seed": 2, "peak_lr": 0.01, "diverged": 7}])
    assert (cell["seeds"], cell["constant"], cell["cooled"]) == (2, 2.0, 1.5)
    assert cell["merged"] == pytest.approx(1.5)
    assert cell["gap_sd"] == pytest.approx(0.2 / 2**0.5)
    assert rows_of([cell], 100) == [
        {"peak LR": "0.01", "constant, end": "2.000", "10%: cooled / merged": "1.500 / 1.500"}
    ]


def test_five_moments_cost_merged_losses_at_fifty_evaluations() -> None:
    cost = {"update": 1.0, "sums": 0.01, "evaluate": 2.0, "merged": 4.0}
    assert time_share(cost, horizon=1000) == pytest.approx((1000 * 0.01 + 5 * 4.0) / (1000 + 50 * 2.0))


def test_an_interrupted_benchmark_goes_on_and_says_what_it_found(tmp_path: Path, capsys: Capture) -> None:
    command = ["--out", str(tmp_path), "--quick", "--horizon", "40", "--runs", "vision-sgd", "--seeds", "1", "--json"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    stored = sorted(tmp_path.iterdir())
    assert len(stored) == len(PAIRS["vision-sgd"].peak_lrs[::2])
    stored[0].unlink()
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["tables"] == first["tables"]
    assert {cell["seeds"] for cell in again["tables"]["vision-sgd"]} == {1}
    assert again["costs"]["vision"]["checkpoint_with"] > again["costs"]["vision"]["checkpoint_without"]
