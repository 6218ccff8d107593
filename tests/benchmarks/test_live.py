"""The live benchmark, on a model that trains in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live import METHODS, live_space, main, parse, sooner

from autosched.compare.method import parse_methods
from autosched.errors import UsageError

Capture = pytest.CaptureFixture[str]
TINY = (
    "--horizon",
    "60",
    "--layers",
    "1",
    "--width",
    "8",
    "--heads",
    "1",
    "--context",
    "8",
    "--batch",
    "2",
    "--eval-batches",
    "4",
)


def run(folder: Path, capsys: Capture, *more: str) -> tuple[Any, str]:
    """The JSON document and the progress."""
    capsys.readouterr()
    assert main(["--out", str(folder), *TINY, "--full-runs", "2", "--seeds", "1", "--json", *more]) == 0
    shown = capsys.readouterr()
    return json.loads(shown.out), shown.err


def test_a_longer_horizon_keeps_the_shares_of_a_run(tmp_path: Path) -> None:
    space = live_space(parse(["--out", str(tmp_path), "--horizon", "6000", "--width", "512", "--heads", "8"]))
    assert (space.horizon_steps, space.eval_every, space.checkpoint_every) == (6000, 200, 400)
    assert space.family("wsd").parameters["warmup_steps"].domain.value == 300
    assert (space.trainer.options["width"], space.trainer.options["layers"]) == (512, 2)


def test_the_methods_are_the_law_and_its_peers() -> None:
    space = live_space(parse(["--out", "unused"]))
    methods = parse_methods(METHODS, [], space)
    assert methods[0].controller.name == "law"
    assert len(methods) == 7
    assert sooner(methods[0]) == methods[0]
    assert [dict(sooner(method).controller.options) for method in methods[1:4]] == [
        {"n_startup_trials": 2},
        {"n_startup_trials": 2},
        {},
    ]


@pytest.mark.slow
def test_a_tiny_benchmark_runs_and_a_second_call_trains_nothing(tmp_path: Path, capsys: Capture) -> None:
    methods = ("--methods", "random+none,tpe+median", "--fresh-seeds", "2")
    told, _ = run(tmp_path, capsys, *methods)
    assert {one["method"] for one in told["results"]} == {"random+none", "tpe+median"}
    for one in told["results"]:
        (study,) = one["studies"]
        assert study["spent"] <= 120
        assert len(study["fresh"]) == 2
        assert one["fresh"]["mean"] == pytest.approx(sum(study["fresh"].values()) / 2)
    duel = told["duel"]
    assert duel["method"] == "random+none"
    assert duel["seeds"][0]["peer"] == told["peer"] == "tpe+median"
    assert duel["shares"] == [duel["median_share"]]
    assert json.loads((tmp_path / "compare.json").read_text()) == told
    again, progress = run(tmp_path, capsys, *methods)
    assert again["results"] == told["results"]
    assert progress == "2 of 2 studies are finished already\n"
    assert main(["--out", str(tmp_path), *TINY, "--full-runs", "2", "--seeds", "1", *methods]) == 0
    shown = capsys.readouterr().out
    assert "random+none beside the best peer, tpe+median" in shown
    assert "random+none beside the luckiest peer of each seed" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--methods", "lore"), "error: method 'lore': its controller must be one of"),
        (("--full-runs", "0.5"), "error: full_runs must be in [1, 10**6], but got 0.5."),
        (("--heads", "3"), "width must be a multiple of 2 * heads"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    assert main(["--out", str(tmp_path), *arguments]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1


def test_a_horizon_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(UsageError, match="--horizon must be a multiple of 60, but got 100"):
        live_space(parse(["--out", "x", "--horizon", "100"]))
