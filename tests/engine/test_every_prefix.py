"""A decision follows from the log alone: a fresh driver on a prefix of a study's log decides what the study did next.

This is what makes a study the same however often its driver died. That a driver really survives its death, with what
it has in memory and on disk, is tested in `test_loop.py` and with killed processes in `tests/cli`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studies import Study, decided_twice, wsd_space
from test_autolrs_study import autolrs_space
from test_one_curve_one_trial import space_of_few_curves
from test_range_study import auto_space

from autosched.space.records import Budget, Component, Space


def check(space: Space, *, every: int, least: int) -> None:
    study = Study(space)
    study.run()
    prefixes = 0
    for logged, again in decided_twice(study, every=every):
        assert again == logged
        assert again
        prefixes += 1
    assert prefixes >= least


@pytest.mark.parametrize(
    ("controller", "pruner", "every"),
    [("tpe", "median", 4), ("qmc", "asha", 8), ("cmaes", "hyperband", 8), ("random", "none", 8), ("tpe", "law", 8)],
)
def test_a_fresh_driver_decides_the_same(tmp_path: Path, controller: str, pruner: str, every: int) -> None:
    space = wsd_space(tmp_path, controller=Component(name=controller), pruner=Component(name=pruner))
    check(space, every=every, least=10)


@pytest.mark.slow
def test_a_fresh_driver_with_the_law_decides_the_same(tmp_path: Path) -> None:
    """Every prefix would fit the law a hundred times from nothing."""
    law = Component(name="law")
    check(wsd_space(tmp_path, controller=law, pruner=law), every=37, least=3)


@pytest.mark.parametrize(("workers", "forecast"), [(3, "decayed"), (1, "exponential")])
def test_a_fresh_driver_of_autolrs_decides_the_same(tmp_path: Path, workers: int, forecast: str) -> None:
    options: dict[str, Any] = {"cooldown": 0.2, "warmup": 20, "probes": 3, "forecast": forecast}
    check(autolrs_space(tmp_path / "run", workers=workers, **options), every=5, least=10)


@pytest.mark.parametrize("controller", ["tpe", "qmc"])
def test_a_fresh_driver_draws_the_last_curves_of_a_small_space_again(tmp_path: Path, controller: str) -> None:
    check(space_of_few_curves(tmp_path / "few", controller), every=5, least=10)


def test_a_fresh_driver_finds_the_bounds_of_a_range_test_again(tmp_path: Path) -> None:
    check(replace(auto_space(tmp_path), budget=Budget(trials=3)), every=3, least=10)
