"""A study that stands for a larger training: its winner carried over, by published rules or by its own ladder."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from command_line import SPACE, run
from example_study import SPACE as EXAMPLE
from example_study import example_study

import autosched
from autosched.errors import SpaceError, UsageError
from autosched.schedules import Schedule
from autosched.space import FamilySpace, load_space, space_from_json, space_to_json
from autosched.space.records import Target
from autosched.study.ladder import rungs_below
from autosched.study.target import on_target

TARGET = "target: {steps: 4000, width: 1024, from_width: 64}\n"


def written(text: str) -> None:
    Path("space.yaml").write_text(SPACE + text)


def test_the_winner_is_carried_over_to_the_target(folder: Path) -> None:
    written(TARGET)
    study = autosched.tune("space.yaml", backend="local", progress=False)
    target = study.summary["target"]
    assert [rule["name"] for rule in target["rules"]] == ["token-horizon", "mup-width"]
    best = study.schedule()
    matrices, others = (
        Schedule.from_json(Path(f"reports/s/{n}.json").read_text()) for n in ("target", "target-others")
    )
    assert (matrices.steps, others.steps) == (4000, 4000)
    assert others.peak_lr == pytest.approx(best.peak_lr * 100**-0.32)
    assert matrices.peak_lr == pytest.approx(others.peak_lr / 16)
    assert target["new"]["low"] < matrices.peak_lr < target["new"]["high"]
    report = Path("reports/s/report.html").read_text()
    assert "For the target" in report
    assert "target-others.json" in report


def test_a_study_without_a_target_says_nothing_of_one(plain: autosched.Study) -> None:
    assert plain.summary["target"] is None
    assert not Path("reports/s/target.json").exists()


@pytest.mark.slow
def test_a_ladder_trains_smaller_studies_fits_the_rule_and_checks_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written("target: {steps: 400}\n")
    code = run(["tune", "--space", "space.yaml", "--backend", "local", "--ladder", "3", "--json"])
    assert code == 0
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    ladder = summary["target"]["ladder"]
    assert [(rung["study"], rung["size"]) for rung in ladder["rungs"]] == [("s-10", 10), ("s-20", 20), ("s", 40)]
    assert ladder["check"]["low"] < ladder["check"]["predicted"] < ladder["check"]["high"]
    assert [rule["name"] for rule in summary["target"]["rules"]] == ["ladder"]
    line = ladder["intercept"] + ladder["exponent"] * math.log(10)
    assert summary["target"]["new"]["peak_lr"] == pytest.approx(math.exp(line))
    assert '"ladder"' in Path("reports/s/report.html").read_text()
    again = autosched.tune("space.yaml", backend="local", progress=False, ladder=3, resume=True)  # all is finished
    assert again.summary["target"] == summary["target"]


def test_rungs_are_the_study_at_half_the_size(folder: Path) -> None:
    written("")
    space = load_space("space.yaml", ["budget={full_runs: 5}", "confirm={seeds: 3}"])
    (rung,) = [space_from_json(data) for data in rungs_below(space, 2)]
    assert (rung.study, rung.horizon_steps, rung.budget.steps, rung.confirm.seeds) == ("s-20", 20, 100, 0)
    assert rung.schedule == space.schedule  # the warmup keeps its updates
    wide = load_space("space.yaml", ["trainer={use: gpt, with: {width: 64}}", "target={width: 1024}"])
    (narrow,) = rungs_below(wide, 2)
    assert (narrow["study"], narrow["trainer"]["with"]["width"]) == ("s-32", 32)
    assert narrow["horizon_steps"] == space.horizon_steps


@pytest.mark.parametrize(("count", "says"), [(1, "at least 2"), (5, "can be halved 4 times, but this space has 40")])
def test_a_ladder_that_cannot_be(folder: Path, count: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rungs_below(load_space("space.yaml"), count)


def test_a_rung_that_is_missing_is_named(folder: Path) -> None:
    written("target: {steps: 400, rungs: [gone]}\n")
    study = autosched.tune("space.yaml", backend="local", progress=False)
    assert study.summary["target"]["ladder"] is None
    assert any("the ladder is without 'gone'" in note for note in study.summary["notes"])
    assert [rule["name"] for rule in study.summary["target"]["rules"]] == ["token-horizon"]


def test_a_winner_of_a_family_that_does_not_compete_is_no_rung_and_is_carried_over() -> None:
    """As a default may be, and the stages of AutoLRS are."""
    others = (FamilySpace(family="cosine", parameters=EXAMPLE.schedule[0].parameters),)
    space = dataclasses.replace(EXAMPLE, schedule=others, target=Target(steps=4000, rungs=("half",)))
    found = on_target((example_study().state, space), [])
    assert found is not None
    assert found.carried is not None
    assert any("its best family, wsd, is not searched between bounds" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("target: {}", "target must have at least one of steps, batch, width, rungs"),
        ("target: 5", "a mapping like {steps: 50000, batch: 64}"),
        ("target: {steps: 0}", "target.steps must be a whole number"),
        ("target: {batch: 64}", "trainer.with has no batch or batch_size; write target.from_batch"),
        ("target: {width: 64, from_width: 0}", "target.from_width must be a number > 0"),
        ("target: {rungs: s-20}", "target.rungs must be a list of names of studies"),
        ("target: {stepz: 5}", "stepz"),
    ],
)
def test_a_target_that_cannot_be_is_refused_at_its_line(folder: Path, text: str, says: str) -> None:
    written(text)
    with pytest.raises(SpaceError) as refused:
        load_space("space.yaml")
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"space.yaml:{len(SPACE.splitlines()) + 1}: ")


def test_a_space_with_a_target_is_read_back_from_the_ledger_as_it_was(folder: Path) -> None:
    written("target: {steps: 400, batch: 64, from_batch: 8, rungs: [a, b]}\n")
    space = load_space("space.yaml")
    assert space_from_json(space_to_json(space)) == space
    batch = load_space("space.yaml", ["trainer={use: gpt, with: {batch: 4}}", "target={batch: 64}"])
    assert batch.target is not None
    assert batch.target.from_batch == 4
