"""Optimal schedules: against the published optimum, within bounds, and refused where none exists."""

import numpy as np
import pytest

from autosched.errors import UsageError
from autosched.laws.annealing import AnnealingLaw
from autosched.laws.functional import FunctionalLaw
from autosched.laws.knots import functional_finals, multi_power_finals
from autosched.laws.multi_power import MultiPowerLaw
from autosched.laws.optimise import ScheduleProblem, optimal_schedule
from autosched.schedules.schedule import Schedule

PUBLISHED_400M = MultiPowerLaw(
    floor=2.37474,
    scale=0.65421,
    exponent=0.42879,
    drop=523.425,
    speed=2.02463,
    saturation=0.59350,
    lr_power=0.63472,
    warmup_drops=True,
)
SHORT = FunctionalLaw(
    floor=1.7,
    scale=0.55,
    exponent=0.45,
    noise=0.25,
    noise_power=0.8,
    noise_peak_power=0.6,
    time_power=0.7,
    time_peak_power=0.4,
    speed=3.0,
    saturation=0.8,
    reference_lr=0.01,
    reference_steps=100.0,
)
PROBLEM = ScheduleProblem(steps=24_000, peak_lr=3e-4, warmup_steps=2_160)


def test_the_optimum_is_no_worse_than_the_published_one():
    found = optimal_schedule(PUBLISHED_400M, PROBLEM)
    assert found.predicted <= 2.6891
    body = found.schedule.lrs[2_160:]
    assert np.all(np.diff(body) <= 0)
    assert np.all(body[:18_000] > 0.98 * 3e-4)  # flat for most of the run
    assert body[-1] < 0.01 * 3e-4
    assert found.predicted < min(found.alternatives.values())


def test_what_is_predicted_is_what_the_law_says_about_the_schedule():
    found = optimal_schedule(SHORT, ScheduleProblem(steps=600, peak_lr=0.01, warmup_steps=30))
    assert found.predicted == pytest.approx(SHORT.predict(found.schedule)[-1], abs=1e-9)
    assert found.schedule.steps == 600
    np.testing.assert_allclose(found.schedule.lrs[:30], 0.01 * np.arange(1, 31) / 30)


def test_a_peak_between_bounds_is_chosen_inside_them():
    found = optimal_schedule(SHORT, ScheduleProblem(steps=600, peak_lr=(1e-3, 0.1), warmup_steps=30))
    assert 1e-3 < found.schedule.peak_lr < 0.1
    for factor in (0.7, 1.4):
        other = optimal_schedule(
            SHORT, ScheduleProblem(steps=600, peak_lr=factor * found.schedule.peak_lr, warmup_steps=30)
        )
        assert found.predicted < other.predicted + 1e-5


def test_the_least_lr_is_kept():
    found = optimal_schedule(SHORT, ScheduleProblem(steps=600, peak_lr=0.01, warmup_steps=30, min_lr=0.001))
    assert found.schedule.lrs[30:].min() >= 0.001


def test_a_free_schedule_is_no_worse_than_a_falling_one():
    falling = optimal_schedule(PUBLISHED_400M, PROBLEM)
    free = optimal_schedule(
        PUBLISHED_400M, ScheduleProblem(steps=24_000, peak_lr=3e-4, warmup_steps=2_160, monotone=False)
    )
    assert free.predicted <= falling.predicted + 1e-4


def test_losses_from_knots_are_those_of_the_built_schedule():
    knots = np.array([0.0, 2_000.0, 15_000.0, 19_000.0, 22_000.0, 24_000.0])
    lrs = np.array([[0.0, 1.0, 1.0, 0.6, 0.2, 0.0], [0.0, 1.0, 0.8, 0.6, 0.4, 0.2]]) * 3e-4
    fine = np.linspace(0, 1, 17)
    finer = np.append((knots[:-1, None] + np.diff(knots)[:, None] * fine[:-1]).ravel(), knots[-1])
    values = np.stack([np.interp(finer, knots, row) for row in lrs])
    plain = MultiPowerLaw(floor=2.4, scale=0.65, exponent=0.43, drop=520.0, speed=2.0, saturation=0.6, lr_power=0.63)
    for law, finals in (
        (plain, multi_power_finals(plain, finer, values, 2_000.0)),
        (SHORT, functional_finals(SHORT, finer, values)),
    ):
        for row, final in zip(lrs, finals, strict=True):
            schedule = Schedule(np.interp(np.arange(24_000) + 0.5, knots, row))
            assert final == pytest.approx(law.predict(schedule)[-1], abs=5e-4)


@pytest.mark.parametrize(
    ("law", "peak_lr", "text"),
    [
        (AnnealingLaw(floor=3.0, scale=0.5, exponent=0.5, gain=400.0, memory=0.04), 3e-4, "no sound optimal schedule"),
        (PUBLISHED_400M, (1e-4, 1e-3), "multi_power was made for one peak LR"),
    ],
)
def test_what_has_no_optimum_is_refused_with_the_reason(law, peak_lr, text):
    with pytest.raises(UsageError, match=text):
        optimal_schedule(law, ScheduleProblem(steps=1_000, peak_lr=peak_lr))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"peak_lr": 0.0}, "need 0 <= min_lr < peak_lr"),
        ({"peak_lr": 0.1, "min_lr": 0.2}, "need 0 <= min_lr < peak_lr"),
        ({"peak_lr": 0.1, "warmup_steps": 900}, "warmup_steps at most half"),
    ],
)
def test_an_impossible_problem_is_refused(options, text):
    with pytest.raises(UsageError, match=text):
        ScheduleProblem(steps=1_000, **options)
