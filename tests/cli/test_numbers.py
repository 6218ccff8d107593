"""Numbers on a command line, of any size: each is computed with, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from command_line import refuse, run

from autosched.cli.commands import COMMANDS, load_command
from autosched.schedules import build

LAW = Path(__file__).parents[1] / "laws" / "old_laws" / "functional.json"


def kinds(parameter: Any) -> set[type]:
    """The types that a value may have."""
    annotation = parameter.type_descriptor.annotation
    return set(get_args(annotation)) if isinstance(annotation, UnionType) else {annotation}


def numbers(name: str) -> list[str]:
    """The options of a command that are numbers."""
    parameters = [each for each in load_command(name).params if kinds(each) & {int, float}]
    return [each.opts[-1] for each in parameters if each.opts[-1].startswith("--")]


def test_commands_have_numbers() -> None:
    assert {"--steps", "--workers", "--seed"} <= set(numbers("tune"))
    assert "--to-width" in numbers("transfer")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_beyond_any_is_refused_by_its_name(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    needed = [parameter for parameter in load_command(name).params if parameter.required]
    given = [text for each in needed for text in ([each.opts[-1], "1"] if each.opts[-1].startswith("-") else ["wsd"])]
    for option in numbers(name):
        for value in ("9" * 400, "-" + "9" * 400, "9" * 5000):
            assert len(refuse(capsys, (name, *given, option, value), option)) < 400


ASKED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "transfer": (
        ("schedule.json", "--from-batch", "8", "--to-batch", "16", "--from-width", "8", "--to-width", "16"),
        ("--to-steps", "--to-cooldown", "--from-batch", "--to-batch", "--critical-batch", "--from-width", "--to-width"),
    ),
    "optimize": ((str(LAW), "--steps", "100", "--peak-lr", "0.1"), ("--peak-lr", "--min-lr", "--steps")),
    "refine": (("norms.csv",), ("--peak-lr", "--steps")),
    "range-test": (("simulated",), ("--low", "--high", "--steps")),
    "plot": (("wsd",), ("--steps",)),
}
EXTREMES = ("1e-320", "1e-30", "1e30", "1e308", "inf", "nan", "1000000000000")


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in ASKED for option in ASKED[name][1]])
def test_an_extreme_number_is_computed_with_or_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    params = {"peak_lr": 0.1, "warmup_steps": 4, "cooldown_fraction": 0.2}
    Path("schedule.json").write_text(build("wsd", params, steps=100).to_json())
    Path("norms.csv").write_text("step,lr,grad_norm\n" + "".join(f"{s},0.1,{1 + s / 100}\n" for s in range(1, 101)))
    for value in EXTREMES:
        code, said = run([name, *ASKED[name][0], option, value]), capsys.readouterr()
        assert code in {0, 2}, (value, said.err)
        assert code == 0 or said.err.count("\n") == 1, (value, said.err)
