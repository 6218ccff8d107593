"""Losses that have no logarithm: the study ends as any other, only without a law."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

from studies import Study, wsd_space

from autosched.curves.curve import Curve
from autosched.engine.local_backend import LocalBackend
from autosched.laws.fit import FitFailure
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import FAST, FULL, STAGES, fit_forecaster, forecast_run
from autosched.ledger.state import StudyState
from autosched.report.law_fit import study_law
from autosched.schedules.registry import build
from autosched.search.law_rule import LawRule, OtherRun
from autosched.space.records import Budget, Component, Space
from workers.simulated import SimulatedTrainer

LEVELS: Mapping[str, Callable[[float], float]] = {
    "negative": lambda loss: -loss,
    "zero": lambda loss: 0.0,
    "crossing": lambda loss: loss - 3.0,
}


def trained(space: Space, level: Callable[[float], float]) -> StudyState:
    class Shifted(SimulatedTrainer):
        def evaluate(self) -> float:
            return level(super().evaluate())

    def make(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Shifted:
        return Shifted(options, seed=seed, horizon=horizon)

    return Study(space, backend=lambda space: LocalBackend(make, workers=space.resources.workers)).run()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("controller", "pruner"), [("random", "law"), ("law", "law"), ("law", "median"), ("tpe", "none")]
)
def test_a_study_ends_with_its_best_trial_and_says_why_there_is_no_law(
    tmp_path: Path, level: str, controller: str, pruner: str
) -> None:
    parts = {"controller": Component(name=controller), "pruner": Component(name=pruner)}
    space = wsd_space(tmp_path, budget=Budget(trials=6), **parts)
    state = trained(space, LEVELS[level])
    assert state.finished is not None
    assert [trial.status for trial in state.trials if trial.status not in {"complete", "pruned"}] == []
    values = [trial.value for trial in state.searched if trial.value is not None]
    assert state.best_trial() is not None
    assert state.best_trial().value == min(values) <= 0
    law = study_law(state, space)
    assert isinstance(law, FitFailure)
    assert "losses above 0 only: add a constant to the loss" in law.reason


def curves(losses: Callable[[np.ndarray], np.ndarray]) -> list[Curve]:
    steps = np.arange(10.0, 101, 10)
    plans = [build("wsd", {"peak_lr": peak, "cooldown_fraction": 0.5}, steps=100) for peak in (1e-3, 1e-2, 3e-2)]
    return [Curve(schedule=plan, steps=steps, losses=losses(steps), name=f"run {i}") for i, plan in enumerate(plans)]


@pytest.mark.parametrize("preset", [FULL, FAST, STAGES], ids=["full", "fast", "stages"])
@pytest.mark.parametrize(
    ("losses", "says"),
    [
        (lambda t: -1 - 1 / t, "run 0 has the loss -1.1 at update 10"),
        (lambda t: 0 * t, "run 0 has the loss 0 at update "),
        (lambda t: 1 / t - 0.02, "add a constant to the loss"),
        (lambda t: 0 * t + 5e-324, "between 1e-150 and 1e+150"),
        (lambda t: 0 * t + 1.7e308, "between 1e-150 and 1e+150"),
        (lambda t: 1e-100 + 1e-101 / t, ""),
        (lambda t: 1e100 + 1e99 / t, ""),
        (lambda t: 0 * t + 1.0, ""),
        (lambda t: 10.0 ** ((t % 7) - 3), "misses the curves"),
    ],
)
def test_whatever_the_losses_a_fit_is_a_law_or_a_reason(preset, losses, says: str) -> None:
    found = fit_forecaster(curves(losses), preset)
    assert isinstance(found, FitFailure if says else Forecaster)
    assert says in getattr(found, "reason", "")


def test_a_run_is_not_stopped_by_a_best_loss_that_has_no_logarithm() -> None:
    run, *rest = curves(lambda t: 1 / t - 0.02)
    others = [
        OtherRun(number=i, peak_lr=curve.schedule.peak_lr, share=1.0, complete=True, curve=lambda curve=curve: curve)
        for i, curve in enumerate(rest)
    ]
    verdict = LawRule().judge(run, others, -0.01)
    assert (verdict.stop, verdict.reason) == (False, "the best loss is -0.01, and laws describe losses above 0 only")
    assert isinstance(forecast_run(run, rest), FitFailure)
