"""`tune --warm-start`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import TUNE, events, refuse, run, write_space

from autosched.space import space_from_json

LAW = {"controller: random": "controller: law"}
WARM = (*TUNE, "--warm-start")


def curve(path: str, peak: float, losses: tuple[object, ...] = (3.4, 3.0, 2.8, 2.7)) -> None:
    rows = [f"{10 * (n + 1)},{peak if n < 3 else peak / 10},{loss}" for n, loss in enumerate(losses)]
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("\n".join(["step,lr,loss", *rows]) + "\n")


@pytest.mark.slow
def test_a_study_a_file_and_a_folder_become_part_of_the_new_study(finished: Path, capsys) -> None:
    write_space(LAW)
    curve("old.csv", 0.02)
    curve("runs/a.csv", 0.01)
    curve("runs/b.csv", 0.03, (3.5, 3.1, 2.9, 2.6))
    capsys.readouterr()
    assert run([*WARM, "s", "--warm-start", "old.csv", "--warm-start-other", "runs", "--name", "new"]) == 0
    notes = capsys.readouterr().err
    assert "warm start: 1 runs of old.csv, peak LR 0.02 to 0.02, same model" in notes
    assert "warm start: 2 runs of runs, peak LR 0.01 to 0.03, other model" in notes
    for path in ("old.csv", "runs/a.csv", "runs/b.csv"):
        Path(path).unlink()
    assert run(["resume", "new", "--json"]) == 0
    study, file, folder = space_from_json(dict(events()["new"][0].event.space)).warm_start
    assert (study.source, file.source, folder.source) == ("s", "old.csv", "runs")
    assert {entry.family for entry in study.runs} == {"wsd"}
    assert [entry.losses for entry in file.runs] == [(3.4, 3.0, 2.8, 2.7)]
    assert {entry.name for entry in folder.runs} == {"runs/a.csv", "runs/b.csv"}


@pytest.mark.slow
def test_the_space_file_may_name_the_sources(folder: Path, capsys) -> None:
    curve("old.csv", 0.02)
    write_space({**LAW, "tracking: none": "tracking: none\nwarm_start: old.csv"})
    assert run(["validate", "space.yaml"]) == 0
    assert "first the runs of old.csv are read" in capsys.readouterr().out
    assert run(list(TUNE)) == 0
    assert run(["validate", "space.yaml", "--json"]) == 0


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere", ("'nowhere' is no study in sqlite:///autosched.db, no file and no folder",)),
        ("empty", ("empty: the folder has no *.csv with a curve",)),
        ("nan.csv", ("nan.csv:3:", "loss must be finite before the end of the run, but got nan")),
        ("lost.csv", ("lost.csv: no row has a finite loss",)),
        ("negative.csv", ("negative.csv:2: loss must be > 0 for a law, but got -1.0",)),
    ],
)
def test_a_bad_source_is_one_line_and_starts_nothing(folder: Path, capsys, source, says) -> None:
    write_space(LAW)
    Path("empty").mkdir()
    curve("nan.csv", 0.01, (3.0, "nan", 2.8, 2.7))
    curve("lost.csv", 0.01, ("nan", "nan"))
    curve("negative.csv", 0.01, (-1, -2, -3, -4))
    refuse(capsys, (*WARM, source), *says)
    assert events() == {}


def test_what_cannot_be_used_so_is_refused_with_what_is_allowed(folder: Path, capsys) -> None:
    curve("old.csv", 0.02)
    refuse(capsys, (*WARM, "old.csv"), "warm_start is for controller law, but the controller is random")
    write_space(LAW)
    refuse(capsys, (*TUNE, "--warm-start-other", "old.csv"), "two complete runs of one horizon")
    for given, says in {
        "[]": "warm_start must be a source or a list of them",
        "[3]": "warm_start[0] must be a source or a list of them",
        "{model: other}": "warm_start.from is missing",
        "{from: old.csv, model: bigger}": "warm_start.model must be one of same, other, but got 'bigger'",
        "{from: old.csv, width: [1, 2]}": "warm_start.width says how another model differs: write model: other",
        "{from: old.csv, model: other, batch: [1, 0]}": "warm_start.batch must be [old, new], two finite numbers > 0",
        "{from: old.csv, runs: [{horizon: 0}]}": "warm_start.runs[0] is no run: horizon must be a whole number >= 1",
        "{form: old.csv}": "warm_start.form is not a known key",
    }.items():
        refuse(capsys, (*TUNE, "--set", f"warm_start={given}"), says)
    document = {"from": "x", "runs": [{"horizon": 9, "steps": [12], "losses": [2], "lrs": [[1, 0.1]]}]}
    refuse(capsys, (*TUNE, "--set", f"warm_start={json.dumps(document)}"), "runs[0] is no run: ", "0..9")
