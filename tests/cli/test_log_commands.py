"""`inspect`, and what `fit` and `evaluate` are told of logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run

from autosched.cli.law_documents import outlying_lines
from autosched.schedules import build


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
    (document,) = json.loads(capsys.readouterr().out)
    assert [(found["step"], found["lr"], found["loss"], found["updates"]) for found in document["runs"]] == [
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
