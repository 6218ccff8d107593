"""`inspect`, and what `fit` and `evaluate` are told of logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run

from autosched.schedules import build


def test_logs_are_inspected_fitted_and_refused_by_what_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    schedule = build("wsd", {"peak_lr": 3e-4, "warmup_steps": 40, "cooldown_fraction": 0.3}, steps=4000)
    lines = [f"iter {step}: loss {2 + 3 / step**0.5!r}, time 9.9ms" for step in range(40, 4001, 40)]
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
    assert json.loads(capsys.readouterr().out)["curves"] == ["nano.log"]
    assert run(["evaluate", "law.json", *told]) == 0
