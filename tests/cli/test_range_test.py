"""`range-test`, and `tune` with bounds that a range test finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import TUNE, events, interrupted, refuse, run, write_space

from autosched.ledger.events import RangeTested

AUTO = {"peak_lr: {low: 1e-3, high: 1e-1, scale: log}": "peak_lr: auto"}
TRAINER = "trainer: {use: simulated}\n"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    capsys.readouterr()
    assert run(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def test_a_space_or_a_trainer_is_tested_and_drawn(folder: Path, capsys) -> None:
    Path("trainer.yaml").write_text(TRAINER)
    of_space = answer(capsys, "range-test", "space.yaml", "--out", "range.png", "--json")
    of_trainer = answer(capsys, "range-test", "trainer.yaml", "--json")
    assert {name: of_space[name] for name in ("low", "high")} == {name: of_trainer[name] for name in ("low", "high")}
    assert Path("range.png").read_bytes().startswith(b"\x89PNG")
    assert of_space["plot"] == "range.png"
    assert 0.3 < of_space["divergence_lr"] <= 0.5  # the simulated trainer gives up above 0.5
    assert of_space["low"] < 0.02 < of_space["high"]
    assert of_space["updates"] == len(of_space["curve"]["losses"]) < 200


def test_options_change_the_sweep_and_the_seed(folder: Path, capsys) -> None:
    options = ("--low", "1e-5", "--high", "1", "--steps", "80", "--seed", "3", "--set", "trainer.with.noise=0.1")
    found = answer(capsys, "range-test", "space.yaml", *options, "--json")
    assert found["sweep"] == {"low": 1e-5, "high": 1.0, "steps": 80}
    assert found["seed"] == 3
    assert found["trainer"]["with"] == {"noise": 0.1}


def test_a_person_reads_bounds_to_copy_into_a_space(folder: Path, capsys) -> None:
    assert run(["range-test", "space.yaml"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("peak_lr     {low: ")
    assert out[0].endswith(", scale: log}")
    write_space({"{low: 1e-3, high: 1e-1, scale: log}": out[0].removeprefix("peak_lr     ")})
    assert run(["validate", "space.yaml"]) == 0


def test_a_test_that_says_nothing_fails_with_advice(folder: Path, capsys) -> None:
    capsys.readouterr()
    assert run(["range-test", "space.yaml", "--high", "1e-4", "--steps", "40"]) == 1
    assert "did not rise again up to LR 0.0001; go on to a higher one" in capsys.readouterr().err
    refuse(capsys, ("range-test", "space.yaml", "--steps", "20"), "steps must be at least 70")
    refuse(capsys, ("range-test", "space.yaml", "--low", "20"), "low must be below high (10), but got 20")
    refuse(capsys, ("range-test", "nowhere.yaml"), "nowhere.yaml: there is no such file")
    Path("trainer.yaml").write_text("trainer: {use: simulated, with: {nosie: 1}}\n")
    refuse(capsys, ("range-test", "trainer.yaml"), "trainer.yaml:1:", "nosie")


@pytest.mark.slow
def test_tune_finds_the_bounds_first_and_everything_shows_them(folder: Path, capsys) -> None:
    write_space(AUTO)
    assert run(["validate", "space.yaml"]) == 0
    assert "first a range test from LR 1e-06 to 10, at most 200 updates, for peak_lr," in capsys.readouterr().out
    summary = answer(capsys, *TUNE)
    direct = answer(capsys, "range-test", "space.yaml", "--json")
    found = summary["range_test"]
    assert (found["low"], found["high"], found["divergence_lr"]) == tuple(
        direct[name] for name in ("low", "high", "divergence_lr")
    )
    assert summary["steps"]["range_test"] == found["steps"]
    line = f"peak_lr from {found['low']:.3g} to {found['high']:.3g}"
    for command in (["status", "s"], ["best", "s"]):
        assert run(command) == 0
        assert line in capsys.readouterr().out
    assert "low: auto" not in Path("reports/s/space.yaml").read_text()
    assert run(["validate", "reports/s/space.yaml"]) == 0


@pytest.mark.slow
def test_an_interrupted_study_keeps_its_bounds(folder: Path, capsys) -> None:
    write_space(AUTO)
    whole = answer(capsys, *TUNE, "--name", "whole", "--fresh")
    interrupted(after=8)
    before = [stamped.event for stamped in events()["s"]]
    assert sum(isinstance(event, RangeTested) for event in before) == 1
    resumed = answer(capsys, "resume", "s", "--json")
    assert resumed["range_test"] == whole["range_test"]
    assert resumed["best"] == whole["best"]


def test_a_range_test_that_fails_ends_the_study_with_its_reason(folder: Path, capsys) -> None:
    write_space({**AUTO, "tracking: none": "tracking: none\nrange_test: {high: 1e-4, steps: 40}"})
    capsys.readouterr()
    assert run(list(TUNE)) == 1
    shown = capsys.readouterr()
    assert "the range test found no bounds: the loss did not rise again up to LR 0.0001" in shown.err
    assert json.loads(shown.out)["best"] is None
    assert run(["status", "s"]) == 0
    assert "range test  no bounds: the loss did not rise again" in capsys.readouterr().out
