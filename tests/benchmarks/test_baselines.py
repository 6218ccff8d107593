"""The benchmark of optimizers, on runs of a few updates."""

from __future__ import annotations

from pathlib import Path

import pytest
from baselines import ENTRIES, Entry, Runs, as_markdown, summary

from workers.optimizers.registry import METHODS, PACKAGED

TINY = {"width": 4, "batch": 8, "device": "cpu"}


def test_every_optimizer_of_ours_is_measured_and_three_of_the_packages() -> None:
    named = {*METHODS, *PACKAGED} - {"sgd", "adafactor"}
    assert {entry.optimizer for entry in ENTRIES} == named | {"muon", "soap", "lion"}


def test_a_method_is_run_at_each_lr_once(tmp_path: Path) -> None:
    runs = Runs(folder=tmp_path, use="vision", steps=30, options=TINY)
    entry = Entry(name="adamw, cosine", optimizer="adamw", lrs=(1e-3, 1e-2), schedule="cosine")
    rows = runs.rows([entry], 2)
    assert [(row["seed"], row["lr"]) for row in rows] == [(0, 1e-3), (0, 1e-2), (1, 1e-3), (1, 1e-2)]
    assert all(0 < row["final_loss"] < 3 for row in rows)
    assert rows[0]["relative_seconds"] == pytest.approx(1.0, abs=0.8)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert runs.rows([entry], 2) == rows
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == files


def test_the_summary_has_the_published_lr_and_the_best_one_and_counts_all_runs() -> None:
    losses = {1.0: (3.0, 4.0), 2.0: (1.0, 2.0), 3.0: (0.5, None)}
    rows = [
        {
            "trainer": "t",
            "method": "m",
            "seed": seed,
            "updates": 10,
            "lr": lr,
            "final_loss": loss,
            "relative_seconds": 2,
        }
        for lr, found in losses.items()
        for seed, loss in enumerate(found)
    ]
    (line,) = summary(rows)
    assert (line["published_lr"], line["published"], line["best_lr"], line["best"]) == (1.0, 3.5, 2.0, 1.5)
    assert line["updates"] == 30
    assert "| m | 1 | 3.500 | 2 | 1.500 | 30 | 2.00 |" in as_markdown([line])
    (lost,) = summary([{**row, "final_loss": None} for row in rows])
    assert "| m | 1 | diverged | none | diverged | 30 | 2.00 |" in as_markdown([lost])
