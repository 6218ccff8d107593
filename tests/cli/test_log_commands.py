"""`inspect`, and what `fit` and `evaluate` are told of logs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import document, run

from autosched.cli.law_documents import outlying_lines
from autosched.curves.recorded_runs import read_runs
from autosched.schedules import build
from autosched.testing.published_curves import published_curves


def test_logs_are_inspected_fitted_and_refused_by_what_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    schedule = build("wsd", {"peak_lr": 3e-4, "warmup_steps": 40, "cooldown_fraction": 0.3}, steps=4000)
    losses = {step: 2 + 3 / step**0.5 for step in range(40, 4001, 40)} | {2000: 7.5}  # one bad evaluation
    lines = [f"iter {step}: loss {loss!r}, time 9.9ms" for step, loss in losses.items()]
    Path("nano.log").write_text("\n".join(lines) + "\n")
    Path("schedule.json").write_text(schedule.to_json())
    assert run(["inspect", "nano.log"]) == 2
    assert "no column tells the LR: it has step, loss." in capsys.readouterr().err
    told = ["nano.log", "--schedule", "schedule.json", "--json"]
    assert run(["inspect", *told]) == 0
    (inspected,) = json.loads(capsys.readouterr().out)
    assert [(found["step"], found["lr"], found["loss"], found["updates"]) for found in inspected["runs"]] == [
        ("step", None, "loss", 4000)
    ]
    assert run(["fit", *told, "--out", "law.json"]) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert fitted["curves"] == ["nano.log"]
    assert [(row["curve"], row["step"], row["loss"]) for row in fitted["outlying"]] == [("nano.log", 2000, 7.5)]
    title, row = outlying_lines(fitted["outlying"])
    assert title == "  1 row far from every law:"
    assert row.startswith("    nano.log step 2000: loss 7.5, expected 2.0")
    assert run(["evaluate", "law.json", *told]) == 0


@pytest.mark.recorded
@pytest.mark.slow
def test_short_runs_alone_name_a_long_one_that_is_near_the_best_of_those_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real runs: a law of 15,000 updates names a peak and a cooldown for 35,000, where a grid of both was trained."""
    recorded = published_curves()
    monkeypatch.chdir(tmp_path)
    Path("short").mkdir()
    for file in (recorded / "llama124m").glob("*_T15000_*.csv"):
        shutil.copy(file, "short")
    head, *rows = (recorded / "runs.csv").read_text().splitlines()
    own = [row.removeprefix("llama124m/") for row in rows if row.startswith("llama124m/") and "_T15000_" in row]
    Path("short/runs.csv").write_text("\n".join([head, *own]) + "\n")
    assert run(["fit", "short", "--out", "law.json"]) == 0
    bounds = ("--peak-lr-low", "5e-4", "--peak-lr-high", "2e-3", "--warmup-steps", "300")
    cooldown = ("--family", "wsd", "--cooldown-shape", "linear")  # that of the grid
    named = document(capsys, "optimize", "law.json", "--steps", "35000", *bounds, *cooldown)["schedule"]["params"]
    grid = {
        (run.schedule.peak_lr, run.schedule.params["cooldown_fraction"]): run.full_val_loss
        for run in read_runs(recorded, "llama124m")
        if run.horizon == 35_000 and run.schedule.family == "wsd"
    }
    peak = min({peak for peak, _ in grid}, key=lambda peak: abs(np.log(peak / named["peak_lr"])))
    fraction = min({fraction for _, fraction in grid}, key=lambda fraction: abs(fraction - named["cooldown_fraction"]))
    assert grid[peak, fraction] <= min(grid.values()) + 0.004
