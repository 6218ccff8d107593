"""`compare`: tables and files, what it refuses, and processes that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import document, files, refuse, run

Capture = pytest.CaptureFixture[str]
COMPARE = ("compare", "space.yaml", "--workers", "1", "--seeds", "2", "--full-runs", "3")
AUTOSCHED = [sys.executable, "-m", "autosched"]


def test_methods_are_ranked_and_everything_is_written(folder: Path, capsys: Capture) -> None:
    told = document(capsys, *COMPARE, "--methods", "random+none,tpe+median,gp+none")
    assert {result["method"] for result in told["results"]} == {"random+none", "tpe+median", "gp+none"}
    assert told["budget"] == {"steps": 120, "trials": None}
    assert all(study["spent"] <= 120 for result in told["results"] for study in result["studies"])
    assert all(len(result["studies"]) == result["seeds"] == 2 for result in told["results"])
    out = folder / "compare-s"
    assert json.loads((out / "compare.json").read_text()) == told
    assert (out / "regret.png").read_bytes().startswith(b"\x89PNG")
    assert "<title>Comparison on s</title>" in (out / "compare.html").read_text()
    assert "| gp+none |" in (out / "compare.md").read_text()


def test_the_table_is_on_stdout_and_the_progress_on_stderr(folder: Path, capsys: Capture) -> None:
    assert run([*COMPARE, "--methods", "random+none,tpe+none", "-o", "there"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "Every method: 2 seeds, each with 120 updates, 3 full runs of 40."
    assert lines[3].startswith("method       best loss  regret  full runs to target  reached  win rate")
    assert lines[-1] == "wrote there/regret.png"
    assert shown.err.startswith("autosched: each study has 120 updates, 3 full runs; the space's 5 trials do not count")
    assert "random+none, seed 0: " in shown.err
    assert " 4 of 4: tpe+none, seed 1: best loss" in shown.err


def test_a_second_call_trains_nothing_and_says_the_same(folder: Path, capsys: Capture) -> None:
    command = (*COMPARE, "--methods", "random+none,tpe+none", "-o", "there")
    first, before = document(capsys, *command), files()
    assert document(capsys, *command) == first
    assert files() == before
    assert run([*command]) == 0
    assert "4 of 4 studies are finished already" in capsys.readouterr().err


def test_each_study_is_an_ordinary_one(folder: Path, capsys: Capture) -> None:
    told = document(capsys, *COMPARE, "--methods", "random+none", "--seeds", "1")
    (study,) = told["results"][0]["studies"]
    assert run(["best", study["study"], "--ledger", study["ledger"], "--json"]) == 0
    best = json.loads(capsys.readouterr().out)
    assert best["best"]["value"] == study["best_loss"] == told["results"][0]["best_loss"]
    assert best["best"]["schedule"]["params"] == study["chosen"]["params"]
    assert best["steps"]["trained"] == study["spent"] == 120


def test_algoperf_counts_the_fastest_of_five_trials(folder: Path, capsys: Capture) -> None:
    told = document(capsys, "compare", "space.yaml", "--workers", "1", "--algoperf", "--methods", "random+none")
    (only,) = told["results"]
    assert told["budget"] == {"steps": None, "trials": 5}
    assert [study["trials"] for study in only["studies"]] == [5, 5, 5]
    assert 0 < only["algoperf"] <= 40


def test_a_named_target_is_for_all_seeds(folder: Path, capsys: Capture) -> None:
    told = document(capsys, *COMPARE, "--methods", "random+none,tpe+none", "--target", "0.5")
    assert told["targets"] == {"0": 0.5, "1": 0.5}
    assert [(one["steps_to_target"], one["reached"]) for one in told["results"]] == [(None, 0), (None, 0)]


def test_winners_are_trained_on_fresh_seeds_when_asked(folder: Path, capsys: Capture) -> None:
    told = document(capsys, *COMPARE, "--methods", "random+none", "--fresh-seeds", "2")
    (only,) = told["results"]
    losses = [list(study["fresh"].values()) for study in only["studies"]]
    assert [len(fresh) for fresh in losses] == [2, 2]
    assert only["fresh"]["mean"] == pytest.approx(sum(map(sum, losses)) / 4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare",), "Missing argument 'SPACE'"),
        (("compare", "none.yaml"), "none.yaml: there is no such file."),
        (
            (*COMPARE, "--methods", "foo"),
            "method 'foo': its controller must be one of law, tpe, gp, random",
        ),
        ((*COMPARE, "--methods", "tpe+foo"), "its pruner must be one of law, median, percentile, asha, hyperband"),
        ((*COMPARE, "--methods", "tpe+law,tpe+law"), "the method 'tpe+law' is given twice"),
        ((*COMPARE, "--variant", "x"), "--variant must be NAME=CONTROLLER+PRUNER KEY=VALUE …"),
        ((*COMPARE, "--variant", "x=tpe trainer.with.nose=1"), "--variant x: simulated trainer: unknown option 'nose'"),
        ((*COMPARE, "--set", "budget.trials=9"), "--set cannot change budget: use --full-runs or --algoperf."),
        ((*COMPARE, "--set", "horizon=9"), "--set: horizon is not a known key"),
        ((*COMPARE, "--seeds", "0"), "'--seeds': Input should be greater than or equal to 1, but got '0'."),
        ((*COMPARE, "--full-runs", "0.5"), "'--full-runs': Input should be greater than or equal to 1, but got '0.5'."),
        ((*COMPARE, "--algoperf"), "--algoperf sets the budget, 5 trials: leave out --full-runs"),
        ((*COMPARE, "--target", "inf"), "--target must be 0 or from 1e-30 to 1e+30 in size, but got inf."),
        ((*COMPARE, "--tolerance", "0"), "the tolerance must be finite and > 0, but got 0."),
        ((*COMPARE, "-o", "space.yaml"), "cannot write into --out 'space.yaml'"),
    ],
)
def test_bad_input_ends_in_one_line(folder: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    refuse(capsys, arguments, says)
    assert [path.name for path in folder.iterdir()] == ["space.yaml"]


def test_another_comparison_in_the_same_folder_is_refused(folder: Path, capsys: Capture) -> None:
    assert run([*COMPARE, "--methods", "random+none"]) == 0
    other = (*COMPARE, "--methods", "random+none", "--set", "trainer.with.noise=1.0")
    refuse(capsys, other, "compare-s/studies/random-none-0 holds a study whose trainer is another")


def test_a_comparison_in_which_everything_diverges_fails(folder: Path, capsys: Capture) -> None:
    diverging = ("--set", "trainer.with.diverge_above=0.0", "--methods", "random+none,tpe+none")
    assert run([*COMPARE, *diverging]) == 1
    assert capsys.readouterr().err.endswith("autosched: error: no trial of any method was complete.\n")
    assert json.loads(Path("compare-s/compare.json").read_text())["results"][0]["best_loss"] is None


def ends(folder: str) -> Any:
    """What each study of a written comparison found, and when."""
    written = json.loads((Path(folder) / "compare.json").read_text())
    return {(one["method"], study["seed"]): study["ends"] for one in written["results"] for study in one["studies"]}


@pytest.mark.slow
def test_processes_share_the_studies_and_a_killed_comparison_goes_on(folder: Path, capsys: Capture) -> None:
    """In two processes, killed half-way with `kill -9`: no process is left, and the end is the uninterrupted one."""
    command = ["compare", "space.yaml", "--methods", "random+none,tpe+median", "--seeds", "2", "--full-runs", "4"]
    pace = ["--set", "trainer.with.seconds_per_step=0.002"]
    assert run([*command, *pace, "--workers", "1", "-o", "whole"]) == 0
    process = subprocess.Popen([*AUTOSCHED, *command, *pace, "-o", "cut"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "1 of 4" in line:
            break
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    children = [pid for pid in pids if parent_of(pid) == process.pid]
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "processes outlived the one that started them"
        os.sched_yield()
    process.stderr.close()
    assert not Path("cut/compare.json").exists()
    done = subprocess.run([*AUTOSCHED, *command, *pace, "-o", "cut"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "studies are finished already" in done.stderr
    assert ends("cut") == ends("whole")


def parent_of(pid: int) -> int | None:
    """The parent of a process; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_says_how_to_go_on(folder: Path) -> None:
    command = ["compare", "space.yaml", "--methods", "random+none", "--seeds", "4", "--full-runs", "50"]
    pace = ["--set", "trainer.with.seconds_per_step=0.005"]
    process = subprocess.Popen([*AUTOSCHED, *command, *pace], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "50 full runs" in process.stderr.readline()
    assert "random+none, seed" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr.read().endswith("autosched: interrupted; the same command goes on.\n")
    process.stderr.close()
