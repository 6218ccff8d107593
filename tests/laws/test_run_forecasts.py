"""Forecasts of several runs at once: what a short probe at a high LR says about a long run at a low one."""

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure
from autosched.laws.forecast import Forecast, Query
from autosched.laws.forecaster_fit import STAGES, fit_forecaster
from autosched.laws.functional import FunctionalFamily, FunctionalLaw, Units
from autosched.randomness import generator
from autosched.schedules.schedule import Schedule

TRUTH = FunctionalLaw(
    floor=1.5,
    scale=0.6,
    exponent=0.5,
    noise=0.2,
    noise_power=0.6,
    noise_peak_power=0.6,
    time_power=0.6,
    time_peak_power=0.6,
    speed=3.0,
    saturation=1.0,
    reference_lr=0.01,
    reference_steps=40.0,
)
LRS = np.geomspace(1e-3, 1e-1, 7)


def probes(truth=TRUTH, noise=0.0):
    """A hundred updates of each of several runs of a thousand."""
    curves, steps = [], np.arange(15.0, 101.0, 10.0)
    for lr in LRS:
        schedule = Schedule(np.full(1000, lr))
        scatter = np.exp(noise * generator(0, float(lr).hex()).standard_normal(steps.size))
        curves.append(Curve(schedule=schedule, steps=steps, losses=truth.predict_at(schedule, steps) * scatter))
    return curves


def forecast_runs(curves, asked):
    """Of (number of the run, updates done)."""
    law = fit_forecaster(curves, STAGES)
    if isinstance(law, FitFailure):
        return law
    query = Query.of([(curves[run].schedule, np.array([step])) for run, step in asked])
    return law.forecast(query, [run for run, _ in asked], observation_noise=False)


def at_end(curves):
    return np.array([TRUTH.predict_at(curve.schedule, np.array([1000.0]))[0] for curve in curves])


def test_probes_of_a_tenth_tell_which_lr_ends_best():
    curves = probes(noise=0.005)
    found = forecast_runs(curves, [(run, 1000.0) for run in range(len(curves))])
    assert isinstance(found, Forecast)
    truth = at_end(curves)
    chosen = int(np.argmin(found.log_mean))
    assert truth[chosen] <= truth.min() * 1.02
    assert np.corrcoef(found.log_mean, np.log(truth))[0, 1] > 0.95


def test_what_all_forecasts_miss_together_is_told_from_what_they_miss_apart():
    curves = probes(noise=0.005)
    covariance = forecast_runs(curves, [(run, 1000.0) for run in range(len(curves))]).covariance
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-10
    apart = covariance[2, 2] + covariance[3, 3] - 2 * covariance[2, 3]
    assert 0 < apart < 0.5 * (covariance[2, 2] + covariance[3, 3])


def test_the_longer_ahead_the_less_is_known():
    curves = probes(noise=0.005)
    found = forecast_runs(curves, [(0, 110.0), (0, 300.0), (0, 1000.0)])
    sd = np.sqrt(np.diag(found.covariance))
    assert list(sd) == sorted(sd)


def test_runs_that_no_law_describes_are_a_failure_with_a_reason():
    wild = [
        Curve(schedule=c.schedule, steps=c.steps, losses=np.exp(np.sin(7 * c.steps + 90 * c.schedule.peak_lr)))
        for c in probes()
    ]
    found = forecast_runs(wild, [(0, 1000.0)])
    assert isinstance(found, FitFailure)
    assert "the functional law misses the curves by" in found.reason


def test_few_points_or_losses_below_zero_are_a_failure():
    few = [curve.until(20) for curve in probes()[:3]]
    assert "are too few" in forecast_runs(few, [(0, 1000.0)]).reason
    below = [Curve(schedule=c.schedule, steps=c.steps, losses=c.losses - 9) for c in probes()]
    assert "laws describe losses above 0 only" in forecast_runs(below, [(0, 1000.0)]).reason


def test_the_tied_law_does_not_care_where_the_peak_of_a_run_lies():
    """Early losses are the same whether a higher LR follows or not; the untied law's change."""
    low = Schedule(np.full(1000, 0.01))
    raised = Schedule(np.concatenate([np.full(500, 0.01), np.full(500, 0.03)]))
    steps = np.array([100.0, 499.0])
    family = FunctionalFamily(units=Units(lr=0.01, steps=40.0), tied=True)
    x = family.prior(probes()).mean
    means = [family.means(family.prepare([(schedule, steps)]), x) for schedule in (low, raised)]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-6)
    whole = FunctionalFamily(units=family.units)
    untied = whole.prior(probes()).mean
    untied[7] = untied[6] + 0.3
    means = [whole.means(family.prepare([(schedule, steps)]), untied) for schedule in (low, raised)]
    assert np.max(np.abs(means[0] / means[1] - 1)) > 1e-3


def test_the_derivatives_of_the_tied_law_are_its_slopes():
    family = FunctionalFamily(units=Units(lr=0.01, steps=40.0), tied=True)
    x = family.prior(probes()).mean
    prepared = family.prepare([(curve.schedule, curve.steps) for curve in probes()])
    _, jacobian = family.losses(prepared, x)
    for j in range(x.size):
        step = 1e-6 * np.eye(x.size)[j]
        slope = (family.means(prepared, x + step) - family.means(prepared, x - step)) / 2e-6
        np.testing.assert_allclose(jacobian[:, j], slope, rtol=1e-4, atol=1e-8)


def test_a_fitted_tied_law_has_equal_powers():
    family = FunctionalFamily(units=Units(lr=0.01, steps=40.0), tied=True)
    law = family.law(family.prior(probes()).mean)
    assert law.noise_power == pytest.approx(law.noise_peak_power)
    assert law.time_power == pytest.approx(law.time_peak_power)
