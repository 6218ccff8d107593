"""Parameters that give the same curve are one point of a study: trained once, told once, and no trial wasted on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from studies import Interruption, Study, picture, trained_twice, wsd_space

from autosched.space import Space
from autosched.space.records import Budget, Choice, Component, Confirm, FamilySpace, Fixed, SearchParameter

CURVES = 8


def space_of_few_curves(folder: Path, controller: str) -> Space:
    """2 peaks x 2 cooldown lengths x 2 shapes are 8 curves, of 2 x 4 x 3 = 24 points.

    With a warmup of 10 of 200 updates, cooldowns of 0.95, 0.97 and 1 all take what it leaves; power 1 is linear.
    """
    folder.mkdir()
    parameters = {
        "peak_lr": SearchParameter(domain=Choice(values=(0.01, 0.02))),
        "warmup_steps": SearchParameter(domain=Fixed(value=10)),
        "cooldown_fraction": SearchParameter(domain=Choice(values=(0.3, 0.95, 0.97, 1.0))),
        "cooldown_shape": SearchParameter(domain=Choice(values=("linear", "power"))),
        "cooldown_power": SearchParameter(domain=Choice(values=(1.0, 2.0)), when={"cooldown_shape": ("power",)}),
        "final_lr_ratio": SearchParameter(domain=Fixed(value=0.0)),
    }
    space = wsd_space(folder, controller=Component(name=controller), budget=Budget(trials=50), confirm=Confirm(seeds=0))
    default = replace(space.default, params={"peak_lr": 0.01, "warmup_steps": 10, "cooldown_fraction": 0.97})
    return replace(space, schedule=(FamilySpace(family="wsd", parameters=parameters),), default=default)


@pytest.mark.parametrize("controller", ["random", "tpe", "qmc", "cmaes", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_study_trains_every_curve_once_and_then_says_that_nothing_is_left(tmp_path: Path, controller: str) -> None:
    study = Study(space_of_few_curves(tmp_path / "a", controller))
    state = study.run()
    assert [trial.role for trial in state.trials] == ["default"] + ["search"] * (CURVES - 1)
    assert len({trial.fingerprint for trial in state.trials}) == CURVES
    assert state.finished is not None
    assert state.finished.reason == "nothing is left to try: what is drawn anew was tried before"
    assert trained_twice(study.events()) == []


@pytest.mark.parametrize("controller", ["tpe", "qmc"])
def test_a_driver_that_dies_on_the_way_to_the_last_curve_changes_nothing(tmp_path: Path, controller: str) -> None:
    expected = Study(space_of_few_curves(tmp_path / "whole", controller)).run()
    cut = Study(space_of_few_curves(tmp_path / "cut", controller))
    deaths, after = 0, 1
    while True:
        try:
            state = cut.run(die_after=after)
        except Interruption:
            deaths += 1
            after = cut.events()[-1].number + 29
            continue
        break
    assert deaths >= 3
    assert picture(state) == picture(expected)
    assert state.finished is not None
    assert expected.finished is not None
    assert state.finished.reason == expected.finished.reason
