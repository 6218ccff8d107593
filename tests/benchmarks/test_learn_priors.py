"""What an archive teaches, from errors whose rates and calibration are known."""

from __future__ import annotations

import pytest
from learn_priors import Case, learned_from, told


def case(stage: str, error: float, *, unseen: float) -> Case:
    return Case(stage=stage, runs=1, cut=0.5, unseen=unseen, error=error, sd=0.01, end=3.0)


def model(rate: float, forecasts: int) -> list[Case]:
    """Forecasts that err by the rate before a cooldown, and by nothing after."""
    before = [case("no_cooldown", rate, unseen=1.0) for _ in range(forecasts)]
    return [*before, case("complete", 0.0, unseen=0.0)]


def test_every_model_is_judged_by_the_others_and_counts_as_much_as_any() -> None:
    found = learned_from({"a": model(0.01, 1), "b": model(0.02, 7), "c": model(0.03, 3)})
    assert found.cooldown.mean == pytest.approx(0.02)
    assert found.cooldown.sd == pytest.approx(0.01 * (4 / 3) ** 0.5)
    squares = [0.015**2 / (0.01**2 + 1.5 * 0.01**2 / 2), 0.0, 0.015**2 / (0.01**2 + 1.5 * 0.01**2 / 2), 0.0, 0.0, 0.0]
    assert found.calibration == pytest.approx((sum(squares) / 6) ** 0.5, rel=1e-4)


def test_what_others_taught_moves_a_forecast_and_its_interval() -> None:
    others = learned_from({"a": model(0.01, 1), "b": model(0.02, 1), "c": model(0.03, 1)})
    seen, bare = told(case("no_cooldown", 0.02, unseen=1.0), others), told(case("complete", 0.0, unseen=0.0), others)
    assert seen.mean == pytest.approx(3.0)
    assert bare.high / bare.low == pytest.approx(2.718281828 ** (2 * 1.6449 * 0.01 * others.calibration))
