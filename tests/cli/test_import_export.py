"""`export` to every target, and `import` from what others wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import refuse, run

from autosched.schedules import Schedule, build, to_csv
from autosched.schedules.exports.targets import TARGETS, export_text

SCHEDULE = build("wsd", {"peak_lr": 0.013, "warmup_steps": 3, "cooldown_shape": "sqrt"}, steps=97)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a schedule file and its LRs as a table."""
    monkeypatch.chdir(tmp_path)
    Path("schedule.json").write_text(SCHEDULE.to_json())
    Path("lrs.csv").write_text(to_csv(SCHEDULE))
    return tmp_path


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_written_and_printed(here: Path, capsys: Capture, target: str) -> None:
    text = export_text(SCHEDULE, target)
    assert run(["export", "schedule.json", "--to", target, "-o", "out"]) == 0
    assert Path("out").read_text() == text
    assert capsys.readouterr().out == "wrote out\n"
    assert run(["export", "schedule.json", "--to", target]) == 0
    assert capsys.readouterr().out.rstrip("\n") == text.rstrip("\n")


def test_export_can_answer_in_json(here: Path, capsys: Capture) -> None:
    assert run(["export", "schedule.json", "--to", "optax", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    text = export_text(SCHEDULE, "optax")
    assert told == {"target": "optax", "steps": 97, "fingerprint": SCHEDULE.fingerprint, "out": None, "text": text}


def test_a_schedule_that_megatron_cannot_express_is_bad_input(here: Path, capsys: Capture) -> None:
    power = build("wsd", {"peak_lr": 0.1, "cooldown_shape": "power"}, steps=100)
    Path("power.json").write_text(power.to_json())
    refuse(capsys, ("export", "power.json", "--to", "megatron", "-o", "args.sh"), "Megatron-LM cannot express wsd(")
    assert not Path("args.sh").exists()


def test_an_exported_table_is_imported_to_the_last_bit(here: Path, capsys: Capture) -> None:
    assert run(["import", "lrs.csv", "--out", "again.json"]) == 0
    assert Schedule.from_json(Path("again.json").read_text()) == SCHEDULE
    assert capsys.readouterr().out == "wrote again.json: table(97 steps, peak 0.013)\n"


def test_import_prints_the_schedule_or_what_it_is(here: Path, capsys: Capture) -> None:
    assert run(["import", "lrs.csv"]) == 0
    assert Schedule.from_json(capsys.readouterr().out) == SCHEDULE
    assert run(["import", "lrs.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "source": "lrs.csv",
        "steps": 97,
        "peak_lr": 0.013,
        "final_lr": SCHEDULE.final_lr,
        "fingerprint": SCHEDULE.fingerprint,
        "out": None,
        "warnings": [],
    }


def test_a_log_with_gaps_is_imported_only_when_lines_are_asked_for(here: Path, capsys: Capture) -> None:
    Path("log.csv").write_text("step,learning_rate,loss\n2,0.1,4\n4,0.05,3\n")
    command = ("import", "log.csv", "--column", "learning_rate")
    refuse(capsys, (*command, "-o", "log.json"), "log.csv:2: no LR for 1 update before the first row")
    assert not Path("log.json").exists()
    assert run([*command, "--interpolate", "-o", "log.json"]) == 0
    assert Schedule.from_json(Path("log.json").read_text()).lrs.tolist() == pytest.approx([0.05, 0.1, 0.075, 0.05])


def test_the_meaning_of_step_0_can_be_said(here: Path, capsys: Capture) -> None:
    Path("log.csv").write_text("step,lr,loss\n0,0.1,4\n1,0.05,3\n")
    refuse(capsys, ("import", "log.csv"), "log.csv:2: step 0 is the first update, or the state before it")
    capsys.readouterr()
    assert run(["import", "log.csv", "--first-update", "0"]) == 0
    assert Schedule.from_json(capsys.readouterr().out) == Schedule([0.1, 0.05])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("absent.csv",), "absent.csv: there is no such file"),
        (("mlflow:",), "an experiment's name must follow"),
        (("mlflow:demo",), "no MLflow database"),
        (("lrs.csv", "--first-update", "2"), "but got '2'."),
        (("lrs.csv", "--column", "rate"), "lrs.csv:1: the header must have step,rate, but has step,lr."),
        (("lrs.csv", "--out", "absent/out.json"), "cannot write absent/out.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_refused_in_one_line(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    refuse(capsys, ("import", *arguments), says)


@pytest.mark.slow
def test_a_run_of_mlflow_is_imported_by_its_name(here: Path, capsys: Capture, new_store: Callable[[Path], str]) -> None:
    from mlflow import MlflowClient

    new_store(here)
    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    experiment = client.create_experiment("demo")
    for name, lrs in {"one": (0.1, 0.2), "two": (0.3, 0.1)}.items():
        run_id = client.create_run(experiment, run_name=name).info.run_id
        for step, lr in enumerate(lrs, start=1):
            client.log_metric(run_id, "learning_rate", lr, step=step)
    command = ("import", "mlflow:demo", "--column", "learning_rate", "--tracking-uri", "sqlite:///mlflow.db")
    refuse(capsys, command, "2 runs of 'demo' match: choose one")
    capsys.readouterr()
    assert run([*command, "--filter", "attributes.run_name = 'two'"]) == 0
    assert Schedule.from_json(capsys.readouterr().out) == Schedule([0.3, 0.1])


def test_import_warns_of_a_log_that_holds_the_next_update_s_lr(here: Path, capsys: Capture) -> None:
    Path("log.csv").write_text("step,lr,loss\n1,0.2,3\n2,0.1,2\n3,0.0,1\n")
    assert run(["import", "log.csv", "--json"]) == 0
    told = capsys.readouterr()
    (warning,) = json.loads(told.out)["warnings"]
    assert warning in told.err
    assert "--next-update" in warning
    assert run(["import", "log.csv", "--next-update"]) == 0
    told = capsys.readouterr()
    assert Schedule.from_json(told.out).lrs.tolist() == pytest.approx([0.3, 0.2, 0.1])
    assert told.err == ""
    refuse(capsys, ("import", "log.csv", "--next-update", "--first-update", "1"), "leave --first-update out")
