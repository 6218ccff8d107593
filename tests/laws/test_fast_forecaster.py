"""The forecaster in its preset ``fast``: ends of runs under way, and the residual process behind them."""

import numpy as np
import pytest
from known_law import LAW

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure, thinned
from autosched.laws.forecaster_fit import forecast_run
from autosched.laws.priors import WHOLE_RUNS
from autosched.laws.residual import (
    ResidualKernel,
    ResidualProcess,
    covariance,
    evidence,
    history,
    learned,
    run_points,
)
from autosched.randomness import generator
from autosched.testing.law_contract import wsd


def run(number, peak_lr, cooldown, *, offset=0.0):
    """A run that obeys the law but for a lasting relative offset of its own and scatter."""
    schedule, steps = wsd(peak_lr=peak_lr, cooldown=cooldown, final=0.0), np.arange(20.0, 601.0, 20.0)
    scatter = 0.004 * generator(number, "scatter").standard_normal(steps.size)
    return Curve(schedule=schedule, steps=steps, losses=LAW.predict_at(schedule, steps) * np.exp(offset + scatter))


def many(seed):
    """Ten runs over a decade and a half of peaks, each with an offset of its own."""
    rng = generator(seed, "runs")
    return [
        run(
            100 * seed + i,
            0.01 * 10 ** rng.uniform(-0.75, 0.75),
            rng.uniform(0.1, 1),
            offset=0.02 * rng.standard_normal(),
        )
        for i in range(10)
    ]


def test_a_forecast_is_anchored_at_the_runs_own_last_losses():
    runs = many(0)
    slow = run(7, 0.01, 0.3, offset=0.08)
    forecast = forecast_run(thinned(slow.until(300), most=10), [thinned(r, most=10) for r in runs])
    assert forecast.mean[0] == pytest.approx(slow.losses[-1], rel=0.025)


def test_90_percent_intervals_hold_about_90_percent_of_the_ends():
    inside = []
    for seed in range(40):
        target, *others = many(seed)
        forecast = forecast_run(thinned(target.until(240), most=10), [thinned(r, most=10) for r in others])
        (low,), (high,) = forecast.interval(0.9)
        inside.append(low < target.losses[-1] < high)
    assert 0.85 <= np.mean(inside) <= 1.0


def test_a_forecast_grows_surer_as_the_run_goes_on():
    target, *others = many(3)
    others = [thinned(r, most=10) for r in others]
    sds = [forecast_run(thinned(target.until(step), most=10), others).sd[0] for step in (160, 360, 560)]
    assert sds[0] > sds[1] > sds[2]


def test_a_law_that_misses_the_curves_forecasts_nothing():
    target, *others = (thinned(r, most=10) for r in many(3))
    failure = forecast_run(target.until(360), others, worst_misfit=1e-4)
    assert isinstance(failure, FitFailure)
    assert "the functional law misses the curves by" in failure.reason


def test_thinning_keeps_the_last_point_and_leaves_out_the_start():
    thin = thinned(run(0, 0.01, 0.2).until(500), most=5)
    assert thin.steps.size == 5
    assert thin.steps[0] >= 60
    assert thin.steps[-1] == 500


KERNEL = ResidualKernel(shared=0.04, near=0.03, own=0.03, scatter=1e-4, lengths=np.ones(5))


def test_the_process_repeats_what_it_was_given_up_to_scatter():
    steps = np.array([100.0, 300.0, 600.0])
    points = run_points([(wsd(), steps), (wsd(peak_lr=0.02), steps)])
    residuals = np.array([0.02, 0.02, 0.02, -0.03, -0.03, -0.03])
    mean, covariance_ = ResidualProcess.of(points, residuals, KERNEL).posterior(points)
    np.testing.assert_allclose(mean, residuals, atol=1e-3)
    assert np.all(np.diag(covariance_) < 1e-6)


def test_far_from_every_known_run_the_process_knows_nothing():
    known = run_points([(wsd(), np.array([600.0]))])
    far = run_points([(wsd(peak_lr=1e6), np.array([600.0]))], first_run=1)
    mean, covariance_ = ResidualProcess.of(known, np.array([0.1]), KERNEL).posterior(far)
    assert abs(mean[0]) < 1e-3
    variance = KERNEL.shared**2 + KERNEL.near**2 + KERNEL.own**2 + KERNEL.scatter**2
    assert covariance_[0, 0] == pytest.approx(variance, rel=1e-3)
    assert covariance(KERNEL, known, known)[0, 0] == pytest.approx(variance, rel=1e-3)


def test_histories_tell_cooldowns_apart_before_and_after_they_begin():
    steps = np.array([300.0, 600.0])
    early, late = (history(wsd(cooldown=cooldown, final=0.0), steps) for cooldown in (0.8, 0.2))
    assert early[0, 1] < late[0, 1]
    assert early[1, 1] < late[1, 1]
    np.testing.assert_allclose(late[0, [1, 3]], [1.0, 1.0], atol=0.06)


def test_the_learned_kernel_has_a_higher_likelihood_than_the_guess_and_exact_derivatives():
    rng = generator(0, "kernel")
    schedules = [wsd(peak_lr=0.01 * 2.0**i, cooldown=0.2 + 0.15 * i) for i in range(5)]
    points = run_points([(schedule, np.arange(60.0, 601.0, 60.0)) for schedule in schedules])
    truth = ResidualKernel(
        shared=0.02, near=0.01, own=0.005, scatter=0.002, lengths=np.array([1.0, 0.3, 0.3, 0.3, 1.0])
    )
    matrix = covariance(truth, points, points) + truth.scatter**2 * np.eye(50)
    residuals = np.linalg.cholesky(matrix) @ rng.standard_normal(50)
    guess, better = ResidualKernel.guess(points, residuals, WHOLE_RUNS), learned(points, residuals, WHOLE_RUNS)
    assert evidence(better, points, residuals)[0] < evidence(guess, points, residuals)[0]
    slope = evidence(truth, points, residuals)[1]
    for column, nudge in enumerate(np.eye(9) * 1e-5):
        high, low = (
            evidence(ResidualKernel.from_logs(truth.logs() + s * nudge), points, residuals)[0] for s in (1, -1)
        )
        assert slope[column] == pytest.approx((high - low) / 2e-5, rel=1e-4, abs=1e-4)
