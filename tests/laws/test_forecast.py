"""Forecasts at the horizon and the residual process behind them."""

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.forecast import forecast_horizon, thinned
from autosched.laws.functional import FunctionalLaw
from autosched.laws.residual import ResidualKernel, ResidualProcess, covariance, run_points
from autosched.randomness import generator
from autosched.testing.law_contract import wsd

LAW = FunctionalLaw(
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
    forecast = forecast_horizon(thinned(slow.until(300), most=10), [thinned(r, most=10) for r in runs])
    assert forecast.mean == pytest.approx(slow.losses[-1], rel=0.025)


def test_90_percent_intervals_hold_about_90_percent_of_the_ends():
    inside = []
    for seed in range(40):
        target, *others = many(seed)
        forecast = forecast_horizon(thinned(target.until(240), most=10), [thinned(r, most=10) for r in others])
        inside.append(abs(np.log(target.losses[-1]) - forecast.log_mean) < 1.645 * forecast.log_sd)
    assert 0.85 <= np.mean(inside) <= 1.0


def test_a_forecast_grows_surer_as_the_run_goes_on():
    target, *others = many(3)
    others = [thinned(r, most=10) for r in others]
    sds = [forecast_horizon(thinned(target.until(step), most=10), others).log_sd for step in (160, 360, 560)]
    assert sds[0] > sds[1] > sds[2]


def test_thinning_keeps_the_last_point_and_leaves_out_the_start():
    thin = thinned(run(0, 0.01, 0.2).until(500), most=5)
    assert thin.steps.size == 5
    assert thin.steps[0] >= 60
    assert thin.steps[-1] == 500


def test_the_process_repeats_what_it_was_given_up_to_scatter():
    steps = np.array([100.0, 300.0, 600.0])
    points = run_points([(wsd(), steps), (wsd(peak_lr=0.02), steps)])
    residuals = np.array([0.02, 0.02, 0.02, -0.03, -0.03, -0.03])
    process = ResidualProcess.of(points, residuals, ResidualKernel(scatter=1e-4))
    mean, sd = process.conditioned(np.ones(6, dtype=bool), points)
    np.testing.assert_allclose(mean, residuals, atol=1e-3)
    assert np.all(sd < 1e-3)


def test_far_from_every_known_run_the_process_knows_nothing():
    known, far = run_points([(wsd(), np.array([600.0]))]), run_points([(wsd(peak_lr=100.0), np.array([600.0]))])
    kernel = ResidualKernel()
    far = type(far)(run=far.run + 1, features=far.features)
    process = ResidualProcess.of(known, np.array([0.1]), kernel)
    mean, sd = process.conditioned(np.ones(1, dtype=bool), far)
    prior = np.sqrt(covariance(kernel, far, far)[0, 0] + kernel.scatter**2)
    assert abs(mean[0]) < 1e-3
    assert sd[0] == pytest.approx(process.scale * prior, rel=1e-3)
