"""`refine`: from a CSV, a study of the ledger and an MLflow run to a schedule file, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import document, refuse, run

from autosched.laws.refinement import refined_shape
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule

Capture = pytest.CaptureFixture[str]
PILOT = """\
study: pilot
trainer: {use: vision, with: {width: 4}}
horizon_steps: 24
eval_every: 2
checkpoint_every: 12
schedule: {wsd: {peak_lr: 1e-2, warmup_steps: {low: 1, high: 4}}}
default: {wsd: {peak_lr: 1e-2, warmup_steps: 4}}
controller: random
pruner: none
budget: {trials: 1}
resources: {workers: 1}
tracking: {uri: "sqlite:///mlflow.db", experiment: pilots}
"""


def write(norms: list[float], name: str = "pilot.csv", header: str = "step,lr,loss,grad_norm") -> None:
    """A run of 0.02, one row per update."""
    rows = [f"{step},0.02,3.0,{norm}" for step, norm in enumerate(norms, 1)]
    Path(name).write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSCHED_LEDGER", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> Path:
    """A folder with the ledger and the MLflow store of a finished study of a real trainer; copy it."""
    made = tmp_path_factory.mktemp("refine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.delenv("AUTOSCHED_LEDGER", raising=False)
        new_store(made)
        Path("space.yaml").write_text(PILOT)
        assert run(["tune", "--space", "space.yaml", "--backend", "local", "--set", "confirm.seeds=0", "--json"]) == 0
    return made


@pytest.fixture
def study(trained: Path, here: Path) -> Path:
    """The same as the current folder."""
    shutil.copytree(trained, here, dirs_exist_ok=True)
    return here


def test_equal_norms_give_linear_decay_from_the_pilots_peak(here: Path, capsys: Capture) -> None:
    write([0.7] * 40)
    told = document(capsys, "refine", "pilot.csv", "--out", "refined.json")
    found = Schedule.from_json(Path("refined.json").read_text())
    assert found == build("linear", {"peak_lr": 0.02, "final_lr_ratio": 0.0}, steps=40)
    assert found == Schedule.from_json(json.dumps(told["schedule"]))
    assert found.family == "table"


def test_the_file_says_where_the_schedule_comes_from(here: Path, capsys: Capture) -> None:
    write([1.0] * 40)
    told = document(capsys, "refine", "pilot.csv", "--optimizer", "sgd")
    params = told["schedule"]["params"]
    assert params["refined_from"] == told["pilot"]["source"] == "pilot.csv"
    assert (params["metric"], params["optimizer"], params["pilot_steps"]) == ("grad_norm", "sgd", 40)
    assert told["pilot"] == {
        "source": "pilot.csv", "metric": "grad_norm", "norms": 40, "steps": 40, "peak_lr": 0.02
    }  # fmt: skip


def test_horizon_peak_and_weights_can_be_chosen(here: Path, capsys: Capture) -> None:
    norms = np.linspace(2.0, 1.0, 40).tolist()
    write(norms)
    told = document(capsys, "refine", "pilot.csv", "--optimizer", "sgd", "--steps", "80", "--peak-lr", "0.3")
    lrs = told["schedule"]["lrs"]
    assert (told["steps"], told["peak_lr"]) == (80, 0.3)
    expected = 0.3 * refined_shape(np.interp(np.arange(80) / 2, np.arange(40) + 0.25, norms), optimizer="sgd")
    np.testing.assert_allclose(lrs, expected, rtol=0.02)


def test_adam_prefers_l1_norms_and_says_so_when_it_has_none(here: Path, capsys: Capture) -> None:
    write([1.0] * 40, header="step,lr,grad_norm,grad_norm_l1")
    assert document(capsys, "refine", "pilot.csv")["pilot"]["metric"] == "grad_norm_l1"
    assert document(capsys, "refine", "pilot.csv", "--optimizer", "sgd")["pilot"]["metric"] == "grad_norm"
    write([1.0] * 40)
    assert run(["refine", "pilot.csv"]) == 0
    assert "the method takes l1 norms" in capsys.readouterr().out


def test_a_person_sees_the_schedule_and_what_to_do_next(here: Path, capsys: Capture) -> None:
    write([1.0] * 40)
    assert run(["refine", "pilot.csv", "--plot", "refined.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pilot       pilot.csv: 40 norms (grad_norm) over 40 updates, peak LR 0.02"
    assert any(line.startswith("next        tune the peak LR again") for line in lines)
    assert lines[-1] == "wrote refined.png"
    assert Path("refined.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_study_a_trainer_and_the_tracker_agree_on_the_norms(study: Path, capsys: Capture) -> None:
    best = document(capsys, "refine", "pilot")
    assert best["pilot"]["source"] == "trial 0 of pilot"
    assert (best["pilot"]["norms"], best["pilot"]["steps"], best["pilot"]["peak_lr"]) == (12, 24, 0.01)
    assert best["pilot"]["metric"] == "grad_norm_l1"
    assert best == document(capsys, "refine", "pilot", "--trial", "0")
    mirrored = document(capsys, "refine", "mlflow:pilots")
    assert mirrored["pilot"]["source"].startswith("mlflow:pilots/")
    assert mirrored["schedule"]["lrs"] == best["schedule"]["lrs"]
    sgd = document(capsys, "refine", "pilot", "--optimizer", "sgd", "--out", "sgd.json")
    assert sgd["pilot"]["metric"] == "grad_norm"
    assert run(["export", "sgd.json", "--to", "torch"]) == 0


@pytest.mark.slow
def test_trials_and_runs_that_are_not_there_are_refused(study: Path, capsys: Capture) -> None:
    refuse(capsys, ("refine", "pilot", "--trial", "7"), "--trial must be 0 to 0 for the study 'pilot', but got 7.")
    refuse(capsys, ("refine", "pilot", "--column", "norm"), "trial 0 of pilot logged no 'norm': its trainer's train()")
    refuse(capsys, ("refine", "mlflow:pilots", "--column", "norm"), "no run of 'pilots' has a metric 'norm'.")
    refuse(capsys, ("refine", "other"), "other")


@pytest.mark.slow
def test_of_several_mlflow_runs_one_must_be_chosen(study: Path, capsys: Capture) -> None:
    arguments = ("--set", "confirm.seeds=0", "--set", "budget.trials=2", "--name", "more", "--json")
    assert run(["tune", "--space", "space.yaml", "--backend", "local", *arguments]) == 0
    line = refuse(capsys, ("refine", "mlflow:pilots"), "runs logged grad_norm_l1", "choose one with --filter")
    assert "attributes.run_name = '0000 wsd default'" in line
    told = document(capsys, "refine", "mlflow:pilots", "--filter", "attributes.run_name = '0001 wsd'")
    assert told["pilot"]["source"] == "mlflow:pilots/0001 wsd"


def test_a_trainer_without_gradients_is_told_from_one_with(finished: Path, capsys: Capture) -> None:
    refuse(capsys, ("refine", "s"), "of s logged no 'grad_norm_l1' or 'grad_norm': its trainer's train() must return")


@pytest.mark.parametrize(
    ("norms", "says"),
    [
        (
            [1.0] * 11 + [float("nan")],
            "pilot.csv:13: a gradient norm must be finite and > 0, but got nan at update 12.",
        ),
        ([0.0] + [1.0] * 11, "pilot.csv:2: a gradient norm must be finite and > 0, but got 0.0 at update 1."),
        ([1.0] * 9, "pilot.csv: a run must have at least 10 gradient norms to be refined, but has 9."),
    ],
)
def test_norms_that_say_nothing_are_refused(here: Path, capsys: Capture, norms: list[float], says: str) -> None:
    write(norms)
    refuse(capsys, ("refine", "pilot.csv"), says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--optimizer", "lion"), "--optimizer must be one of adam, sgd, but got 'lion'."),
        (("--peak-lr", "0"), "--peak-lr must be finite and > 0, but got 0."),
        (("--column", "norm"), "pilot.csv:1: the header must have step,lr,norm, but has step,lr,loss,grad_norm."),
        (("--steps", "0"), "--steps"),
        (("--out", "none/a.json"), "cannot write none/a.json"),
    ],
)
def test_options_out_of_range_are_refused(here: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    write([1.0] * 40)
    refuse(capsys, ("refine", "pilot.csv", *arguments), says)


def test_a_source_that_is_nowhere_is_refused(here: Path, capsys: Capture) -> None:
    refuse(capsys, ("refine", "none.csv"), "none.csv: there is no such file")
    refuse(capsys, ("refine", "none"), "there is no ledger autosched.db")
