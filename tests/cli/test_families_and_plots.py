"""`autosched schedules` lists families, `autosched plot` draws families, spaces and schedule files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import SPACE, refuse, run
from matplotlib.image import imread

from autosched.schedules import build, family_names

Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_every_family_is_listed(folder: Path, capsys: Capture) -> None:
    text = told(capsys, "schedules")
    assert [line.split(":")[0] for line in text.splitlines() if line and line[0] != " "][: len(family_names())] == list(
        family_names()
    )
    document = json.loads(told(capsys, "schedules", "--json"))
    assert [family["family"] for family in document] == list(family_names())


def test_one_family_is_explained(folder: Path, capsys: Capture) -> None:
    text = told(capsys, "schedules", "uba")
    assert "2505.24452" in text
    assert "experimental" in text
    assert "budget_phi: in [1e-06, 1e+06]; default 1; searched 0.1 to 10, log" in text
    assert json.loads(told(capsys, "schedules", "uba", "--json"))["experimental"] is True


def test_an_unknown_family_is_refused_with_the_nearest_one(folder: Path, capsys: Capture) -> None:
    refuse(capsys, ("schedules", "sline"), "family must be one of constant,", "but got 'sline'; did you mean 'spline'?")
    refuse(capsys, ("schedules", "wsd", "--markdown"), "--markdown prints the table of all families")


@pytest.mark.parametrize("name", [name for name in family_names() if name not in {"piecewise", "expression", "table"}])
def test_any_family_is_drawn_by_name(folder: Path, capsys: Capture, name: str) -> None:
    lines = told(capsys, "plot", name, "--steps", "60", "--set", "peak_lr=0.01").splitlines()
    assert lines[0] == f"{name}(peak_lr=0.01)"
    assert " │" in lines[1]
    assert lines[-1].endswith("60 updates")


def test_lists_and_texts_are_given_as_in_a_space(folder: Path, capsys: Capture) -> None:
    stages = told(capsys, "plot", "piecewise", "--steps", "9", "--set", "values=[0.1, 0.2]", "--set", "boundaries=[3]")
    assert "0.2 │" in stages
    formula = "expression=peak * (1 - t / T)"
    ours = told(capsys, "plot", "expression", "--steps", "30", "--set", "peak_lr=0.1", "--set", formula)
    linear = told(capsys, "plot", "linear", "--steps", "30", "--set", "peak_lr=0.1")
    assert ours.splitlines()[1:] == linear.splitlines()[1:]


def test_families_and_schedule_files_are_drawn_side_by_side_as_png(folder: Path, capsys: Capture) -> None:
    Path("mine.json").write_text(build("wsd", {"peak_lr": 0.01}, steps=50).to_json())
    sources = ["mine.json", "rex", "uba", "power", "wsd_s", "infinite", "rewarm", "reuse", "spline"]
    told(capsys, "plot", *sources, "--steps", "50", "--set", "peak_lr=0.01", "--out", "many.png")
    told(capsys, "plot", "mine.json", "--out", "one.png")
    many, one = (imread(io.BytesIO(Path(name).read_bytes()), format="png") for name in ("many.png", "one.png"))
    assert many.shape[1] == one.shape[1]
    assert many.shape[0] > one.shape[0]  # room for the legend
    assert 0.005 < np.mean(many[..., :3].min(axis=2) < 0.9) < 0.5


def test_a_space_s_draws_depend_on_the_seed_and_name_what_is_searched(folder: Path, capsys: Capture) -> None:
    first = told(capsys, "plot", "space.yaml", "--draws", "3", "--seed", "0")
    assert first == told(capsys, "plot", "space.yaml", "--draws", "3", "--seed", "0")
    assert first != told(capsys, "plot", "space.yaml", "--draws", "3", "--seed", "1")
    assert first == told(capsys, "plot", "space.yaml", "--draws", "3")  # the space's own seed is 0
    labels = [line for line in first.splitlines() if line.startswith("wsd(")]
    assert len(labels) == 3
    for label in labels:
        assert "peak_lr=" in label
        assert "cooldown_shape=" in label
        assert "warmup_steps" not in label  # fixed
    other = told(capsys, "plot", "space.yaml", "--draws", "3", "--set", "schedule.wsd.warmup_steps=[2, 4]")
    assert "warmup_steps=" in other


def test_twenty_draws_of_a_space_are_drawn_as_png_with_room_for_their_names(folder: Path, capsys: Capture) -> None:
    assert "wsd" in SPACE
    told(capsys, "plot", "space.yaml", "--draws", "20", "--seed", "0", "--out", "draws.png")
    image = imread(io.BytesIO(Path("draws.png").read_bytes()), format="png")
    assert image.shape[0] > 900


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plot", "cosin"), "'cosin' is neither a schedule family nor a file; did you mean 'cosine'?"),
        (
            ("plot", "zebra"),
            "'zebra' is neither a schedule family nor a file; `autosched schedules` lists the families.",
        ),
        (("plot", "wsd"), "wsd.peak_lr is missing; it must be > 0."),
        (("plot", "wsd", "--set", "peak=3"), "wsd has no parameter 'peak'; it has peak_lr,"),
        (("plot", "wsd", "--set", "peak_lr=x"), "wsd.peak_lr must be > 0, but got 'x'."),
        (("plot", "wsd", "--set", "peak_lr"), "--set: an override must be key=value"),
        (
            ("plot", "wsd", "--set", "peak_lr=1", "--steps", "0"),
            "'--steps': Input should be greater than or equal to 1",
        ),
        (("plot", "space.yaml", "--steps", "9"), "--steps is for families by name"),
        (("plot", "wsd", "--seed", "1"), "--seed is for the draws from a space"),
        (("plot", "wsd", "space.yaml", "--set", "seed=1"), "--set is for families or for spaces, not for both"),
        (("plot", "expression", "--set", "peak_lr=1", "--set", "expression=peak * x"), "column 8: 'x' is no name here"),
        (("plot", "none.json"), "none.json: there is no such file"),
        (("plot", "wsd", "--set", "peak_lr=1", "--out", "no/where.png"), "cannot write no/where.png"),
    ],
    ids=lambda value: " ".join(value[1:3]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_drawn_is_one_line(folder: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    refuse(capsys, arguments, says)
