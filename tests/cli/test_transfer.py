"""`transfer`: new schedules, the rules and their uncertainty, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from command_line import document, refuse, run

from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule

Capture = pytest.CaptureFixture[str]
WSD = build("wsd", {"peak_lr": 0.01, "warmup_steps": 100, "cooldown_fraction": 0.2}, steps=5_000)
LONGER = ("transfer", "schedule.json", "--from-steps", "5000", "--to-steps", "50000")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a tuned schedule and a table."""
    monkeypatch.chdir(tmp_path)
    Path("schedule.json").write_text(WSD.to_json())
    Path("table.json").write_text(Schedule(WSD.lrs).to_json())
    return tmp_path


def test_a_longer_horizon_gets_a_lower_peak_by_the_token_horizon(here: Path, capsys: Capture) -> None:
    told = document(capsys, *LONGER, "-o", "out.json")
    assert told["factor"] == pytest.approx(10**-0.32)
    assert [rule["name"] for rule in told["rules"]] == ["token-horizon"]
    new = Schedule.from_json(Path("out.json").read_text())
    assert new == Schedule.from_json(json.dumps(told["schedule"]))
    peak = 0.01 * told["factor"]
    assert new == build("wsd", {"peak_lr": peak, "warmup_steps": 100, "cooldown_fraction": 0.2}, steps=50_000)
    assert told["new"]["peak_lr"] == pytest.approx(peak)
    assert told["new"]["low"] < peak < told["new"]["high"]
    assert told["warnings"] == []


def test_a_prior_for_the_new_study_is_told(here: Path, capsys: Capture) -> None:
    told = document(capsys, *LONGER)
    assert told["prior"]["mean"] == pytest.approx(math.log(told["new"]["peak_lr"]))
    assert told["prior"]["sd"] > told["log_sd"] > 0


def test_a_person_sees_the_rule_its_source_and_the_interval(here: Path, capsys: Capture) -> None:
    assert run([*LONGER, "--plot", "both.png", "-o", "out.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rule        token-horizon: peak LR ~ tokens**-0.32; times 0.4786"
    assert "arXiv:2409.19913" in lines[1]
    assert lines[2].startswith("peak LR     0.01 -> 0.004786, 90% interval 0.00271 to 0.00845")
    assert lines[-2:] == ["wrote out.json", "wrote both.png"]
    assert Path("both.png").read_bytes().startswith(b"\x89PNG")
    assert run([*LONGER]) == 0
    assert "50000 updates" in capsys.readouterr().out.splitlines()[-1]


def test_another_rule_may_be_named(here: Path, capsys: Capture) -> None:
    told = document(capsys, *LONGER, "--rule", "convex-bound")
    assert told["factor"] == pytest.approx(10**-0.5, rel=0.02)
    assert [rule["name"] for rule in told["rules"]] == ["convex-bound"]


def test_every_axis_that_changes_has_a_rule_and_their_factors_multiply(here: Path, capsys: Capture) -> None:
    batches = ("--from-batch", "64", "--to-batch", "128", "--critical-batch", "1024")
    widths = ("--from-width", "256", "--to-width", "512")
    told = document(capsys, *LONGER, *batches, *widths, "--to-cooldown", "0.9")
    factors = {rule["name"]: rule["factor"] for rule in told["rules"]}
    assert list(factors) == ["token-horizon", "convex-shape", "batch-sqrt", "mup-width"]
    assert factors["token-horizon"] == pytest.approx(20**-0.32)
    assert factors["convex-shape"] == pytest.approx(math.exp(0.665 - 0.09), rel=0.02)
    assert told["factor"] == pytest.approx(math.prod(factors.values()))
    assert told["log_sd"] == pytest.approx(math.hypot(*(rule["log_sd"] for rule in told["rules"])))
    assert told["schedule"]["params"]["cooldown_fraction"] == 0.9
    assert told["warnings"] == []


def test_a_joint_rule_takes_the_place_of_the_two_it_covers(here: Path, capsys: Capture) -> None:
    batches = ("--from-batch", "64", "--to-batch", "128")
    told = document(capsys, *LONGER, *batches, "--rule", "power-scheduler")
    assert [rule["name"] for rule in told["rules"]] == ["power-scheduler"]
    assert told["factor"] == pytest.approx(2 * 20**-0.51)


def test_a_finished_run_is_extended_from_its_lrs(here: Path, capsys: Capture) -> None:
    arguments = ("transfer", "schedule.json", "--to-steps", "20000", "--rule", "wsd-extension")
    told = document(capsys, *arguments, "--out", "out.json")
    new = Schedule.from_json(Path("out.json").read_text())
    assert told["stable_steps"] == 4_000
    assert new.common_steps(WSD) >= 4_000
    assert new.lrs[10_000] == pytest.approx(0.01 * told["factor"])
    assert new.params["extended_from_steps"] == 5_000
    assert run([*arguments]) == 0
    assert "stable      unchanged: go on from the checkpoint at update 4000" in capsys.readouterr().out


def test_what_leaves_a_rules_validity_is_warned_of(here: Path, capsys: Capture) -> None:
    wide = ("--from-batch", "1", "--to-batch", "20", "--critical-batch", "50")
    (far,) = document(capsys, "transfer", "schedule.json", "--to-steps", "10000", *wide)["warnings"]
    assert "token-horizon was studied for tokens up to 32 times apart, but here they are 40 times apart." in far
    assert run(["transfer", "schedule.json", "--from-batch", "64", "--to-batch", "128"]) == 0
    assert "warning     batch-sqrt holds below the critical batch size, which was not given." in capsys.readouterr().out
    beyond = ("--from-batch", "64", "--to-batch", "128", "--critical-batch", "100")
    assert "but a batch is 128" in document(capsys, "transfer", "schedule.json", *beyond)["warnings"][0]


def test_a_table_is_stretched_and_the_reader_told(here: Path, capsys: Capture) -> None:
    told = document(capsys, "transfer", "table.json", "--to-steps", "10000")
    assert told["schedule"]["family"] == "table"
    assert told["warnings"] == ["a table is stretched as a whole, warmup included."]
    np.testing.assert_allclose(told["schedule"]["lrs"][::2], WSD.lrs * told["factor"], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from-steps", "4000"), "--from-steps must be the 5000 updates of schedule.json, but got 4000."),
        ((), "nothing changes: give --to-steps, --to-cooldown, --to-batch, --to-width."),
        (("--to-steps", "5000"), "nothing changes"),
        (("--to-steps", "0"), "--to-steps"),
        (("--to-steps", "100"), "wsd.warmup_steps must be below the 100 steps of the schedule, but got 100."),
        (("--to-steps", "9000", "--rule", "magic"), "rule must be one of token-horizon, convex-bound, convex-shape"),
        (("--to-steps", "9000", "--rule", "mup-width"), "--rule mup-width covers the width, which does not change"),
        (("--to-steps", "9000", "--rule", "power-scheduler"), "power-scheduler needs the batch of both runs."),
        (
            ("--to-steps", "9000", "--rule", "convex-bound", "--rule", "token-horizon"),
            "the rules convex-bound and token-horizon both cover the horizon: take one of them.",
        ),
        (("--to-batch", "64"), "batch must be given for both runs or for none, but got unknown and 64."),
        (("--from-width", "64", "--to-width", "-1"), "width must be finite and > 0, but got -1."),
        (("--to-steps", "9000", "--critical-batch", "9"), "--critical-batch belongs to batch-sqrt and batch-linear"),
        (
            ("--from-batch", "1", "--to-batch", "2", "--critical-batch", "0"),
            "--critical-batch must be finite and > 0, but got 0.",
        ),
        (("--to-cooldown", "1.4"), "wsd.cooldown_fraction must be in (0, 1], but got 1.4."),
        (("--to-steps", "4000", "--rule", "wsd-extension"), "an extension must be longer than the 5000 updates"),
        (
            ("--to-steps", "9000", "--rule", "wsd-extension", "--to-cooldown", "0.5"),
            "wsd-extension keeps the cooldown's share of the run: leave out the cooldown.",
        ),
        (("--to-steps", "9000", "-o", "none/out.json"), "cannot write none/out.json"),
    ],
)
def test_bad_input_ends_in_one_line(here: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    refuse(capsys, ("transfer", "schedule.json", *arguments), says)


def test_a_table_has_no_cooldown_and_no_stable_phase(here: Path, capsys: Capture) -> None:
    refuse(capsys, ("transfer", "table.json", "--to-cooldown", "0.5"), "a table has no cooldown_fraction")
    extension = ("--to-steps", "9000", "--rule", "wsd-extension")
    refuse(capsys, ("transfer", "table.json", *extension), "only a schedule of the family wsd can be extended")
    refuse(capsys, ("transfer", "none.json", "--to-steps", "9000"), "none.json: there is no such file")


def test_over_widths_hidden_matrices_and_all_other_weights_have_schedules_of_their_own(
    here: Path, capsys: Capture
) -> None:
    wider = ("--from-width", "64", "--to-width", "256", "--to-steps", "10000")
    told = document(capsys, "transfer", "schedule.json", *wider, "-o", "hidden.json", "--out-others", "others.json")
    hidden, others = (Schedule.from_json(Path(name).read_text()) for name in ("hidden.json", "others.json"))
    assert told["weights"] == "hidden matrices"
    assert hidden.peak_lr == pytest.approx(0.01 * 2**-0.32 / 4)
    assert others.peak_lr == pytest.approx(0.01 * 2**-0.32)
    assert run(["transfer", "schedule.json", *wider]) == 0
    assert "that is for hidden matrices in a group of their own" in capsys.readouterr().out
    refuse(capsys, (*LONGER, "--out-others", "o.json"), "--out-others belongs to rules that hold for some weights")
