"""Logs of every step, thinned: what stays says what the log says, and how surely."""

from __future__ import annotations

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.curves.thinning import MOST_POINTS, averaged
from autosched.laws.multi_power import MultiPowerLaw
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule

LAW = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=400.0, speed=2.0, saturation=0.6, lr_power=0.6)
SCHEDULES = {
    "cosine": build("cosine", {"peak_lr": 1e-3, "warmup_steps": 500, "final_lr_ratio": 0.1}, steps=20_000),
    "wsd": build("wsd", {"peak_lr": 1e-3, "warmup_steps": 500, "cooldown_fraction": 0.2}, steps=20_000),
    "constant": build("constant", {"peak_lr": 1e-3}, steps=20_000),
    "stages": build("piecewise", {"values": [1e-3, 2e-4], "boundaries": [9000.0]}, steps=20_000),
}


def logged(schedule: Schedule, noise: float, every: int = 1) -> Curve:
    """A loss of every so many updates with a relative scatter."""
    steps = np.arange(600.0, schedule.steps + 1, every)
    scatter = np.random.default_rng(0).normal(size=steps.size)
    return Curve(schedule=schedule, steps=steps, losses=LAW.predict_at(schedule, steps) * (1 + noise * scatter))


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_scatter_the_points_lie_on_the_curve(name: str) -> None:
    few = averaged(logged(SCHEDULES[name], 0.0))
    assert 100 < few.steps.size <= MOST_POINTS
    errors = np.abs(few.losses / LAW.predict_at(SCHEDULES[name], few.steps) - 1)
    assert np.quantile(errors, 0.98) < 2e-4
    assert errors.max() < 5e-3  # right after a jump of the LR the loss bends within ten updates
    assert few.steps[-1] > 0.99 * SCHEDULES[name].steps


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_standard_deviations_are_those_of_the_means(name: str) -> None:
    few = averaged(logged(SCHEDULES[name], 0.03))
    assert few.sds is not None
    z = (few.losses / LAW.predict_at(SCHEDULES[name], few.steps) - 1) / few.sds
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.15)
    assert np.abs(z.mean()) < 0.2


def test_a_spike_does_not_move_its_stretch() -> None:
    curve = logged(SCHEDULES["cosine"], 0.01)
    losses = curve.losses.copy()
    losses[5_000:5_003] = 1e6
    spoilt = averaged(Curve(schedule=curve.schedule, steps=curve.steps, losses=losses))
    np.testing.assert_allclose(spoilt.losses, averaged(curve).losses, rtol=2e-3)


def test_a_short_log_is_left_as_it_is() -> None:
    curve = logged(SCHEDULES["cosine"], 0.01, every=20)
    assert averaged(curve) is curve


def test_a_part_of_a_curve_keeps_its_standard_deviations() -> None:
    few = averaged(logged(SCHEDULES["cosine"], 0.03))
    part = few.until(10_000)
    assert few.sds is not None
    assert part.sds is not None
    assert part.sds.tolist() == few.sds[: part.steps.size].tolist()
