"""A law's forecasts of ends, given that the best peak LR lies inside."""

import numpy as np
import pytest

from autosched.laws.forecast import Forecast
from autosched.search.peak_posterior import PeakPosterior, prior, with_interior_best
from autosched.search.priors import PEAK_BEND

PEAKS = np.log(np.geomspace(1e-3, 1e-1, 9))
FEATURES = np.column_stack([PEAKS, np.full(9, 0.8), np.full(9, 0.7), np.ones(9), np.full(9, 7.0)])
WHOLE_RANGE = PeakPosterior.of(PEAKS)


def ends(log_mean, sd: float) -> Forecast:
    return Forecast(log_mean=np.asarray(log_mean, dtype=np.float64), covariance=sd**2 * np.eye(9))


def test_the_middle_of_a_range_is_its_middle():
    assert WHOLE_RANGE.mean == pytest.approx(np.log(1e-2))
    assert WHOLE_RANGE.sd == pytest.approx(np.log(100) / 4)


def test_before_any_run_losses_bend_upwards_about_the_middle():
    mean, covariance = prior(FEATURES, WHOLE_RANGE)
    np.testing.assert_allclose(mean, PEAK_BEND * (PEAKS - np.log(1e-2)) ** 2)
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_a_sure_forecast_stays_as_it_is():
    falling = 0.7 - 0.05 * (PEAKS - PEAKS[0])
    found = with_interior_best(ends(falling, 1e-5), FEATURES, WHOLE_RANGE)
    np.testing.assert_allclose(found.log_mean, falling, atol=1e-4)


def test_an_unsure_slope_is_bent_back():
    falling = 0.7 - 0.02 * (PEAKS - PEAKS[0])
    found = with_interior_best(ends(falling, 0.1), FEATURES, PeakPosterior(np.log(1e-2), 0.2))
    assert 2 <= int(found.log_mean.argmin()) <= 6
    assert np.all(np.diag(found.covariance) < 0.1**2)


def test_differences_that_a_law_is_sure_of_stay_although_the_prior_is_smooth():
    random = np.random.default_rng(0)
    share = random.uniform(0.05, 0.95, 60)  # of the cooldown
    peaks = random.uniform(np.log(1e-4), np.log(2e-2), 60)
    features = np.column_stack([peaks, 1 - share / 2, 1 - 0.7 * share, np.ones(60), np.full(60, 7.0)])
    known = 0.7 + 0.02 * random.standard_normal(60)
    sure = Forecast(log_mean=known, covariance=1e-4**2 * np.eye(60) + 0.02**2)  # of all but the level
    found = with_interior_best(sure, features, PeakPosterior(np.log(4e-3), 0.7))
    np.testing.assert_allclose(found.log_mean, known, atol=1e-3)


def test_the_level_is_the_laws():
    flat = with_interior_best(ends(np.full(9, 1.3), 0.02), FEATURES, WHOLE_RANGE)
    assert flat.log_mean.mean() == pytest.approx(1.3, abs=0.005)


def test_what_is_not_finite_stays_so_and_harms_nothing():
    known = np.full(9, 0.7)
    known[4] = np.nan
    found = with_interior_best(ends(known, 0.02), FEATURES, WHOLE_RANGE)
    assert np.isnan(found.log_mean[4])
    assert np.isfinite(np.delete(found.log_mean, 4)).all()


def test_one_peak_lr_has_no_middle_to_bend_about():
    same = FEATURES.copy()
    same[:, 0] = PEAKS[0]
    given = ends(np.linspace(0.7, 0.8, 9), 0.02)
    assert with_interior_best(given, same, PeakPosterior.of(same[:, 0])) is given
