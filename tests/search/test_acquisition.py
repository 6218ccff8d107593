"""What candidates are worth by draws, beside closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from autosched.laws.forecast import Forecast
from autosched.search.acquisition import chances, gains, joint_draws

MEANS, SDS = np.array([0.70, 0.72, 0.69]), np.array([0.01, 0.05, 0.002])
ONES = np.ones(3)
NONE = np.zeros(3, dtype=np.bool_)


def drawn(covariance=None, *, survival=ONES, weights=ONES, log_mean=MEANS):
    ends = Forecast(log_mean=np.asarray(log_mean), covariance=np.diag(SDS**2) if covariance is None else covariance)
    return joint_draws(ends, survival, weights, count=100_000, random=np.random.default_rng(0))


@pytest.mark.parametrize("best", [0.66, 0.695, 0.75])
def test_expected_improvement_is_that_of_the_books(best):
    z = (best - MEANS) / SDS
    expected = SDS * (z * norm.cdf(z) + norm.pdf(z))
    np.testing.assert_allclose(gains(drawn(), best, NONE), expected, rtol=0.03, atol=1e-6)


def test_the_chance_of_two_is_that_of_their_difference():
    draws = drawn()[:, :2]
    first = norm.cdf((MEANS[1] - MEANS[0]) / math.hypot(*SDS[:2]))
    np.testing.assert_allclose(chances(draws, math.inf, 0.0), [first, 1 - first], atol=0.005)


def test_within_the_tolerance_several_are_the_best():
    assert chances(drawn(), math.inf, 0.0).sum() == pytest.approx(1.0)
    assert chances(drawn(), math.inf, 1.0) == pytest.approx(ONES)


def test_a_complete_run_competes():
    assert chances(drawn(), 0.5, 0.001) == pytest.approx(0.0 * ONES, abs=1e-4)
    assert gains(drawn(), 0.5, NONE) == pytest.approx(0.0 * ONES, abs=1e-6)


def test_what_is_under_way_is_no_improvement_and_leaves_little_to_what_ends_alike():
    alike = np.full((3, 3), 0.05**2)
    alike[2, :2] = alike[:2, 2] = 0.0
    draws = drawn(alike + 1e-12 * np.eye(3), log_mean=np.array([0.7, 0.7, 0.7]))
    alone = gains(draws, 0.7, NONE)
    beside = gains(draws, 0.7, np.array([True, False, False]))
    assert alone == pytest.approx(0.05 * norm.pdf(0.0) * ONES, rel=0.02)
    assert beside[:2] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert 0.3 * alone[2] < beside[2] < alone[2]


def test_what_errs_alike_ranks_the_same_in_every_draw():
    draws = drawn(np.diag(np.full(3, 1e-8)) + 0.1**2)
    assert np.all(draws.argmin(axis=1) == 2)
    assert draws[:, 0].std() == pytest.approx(0.1, rel=0.02)


def test_candidates_compete_as_often_as_they_survive_and_their_peak_lr_is_likely():
    draws = drawn(survival=np.array([0.3, 1.0, 1.0]), weights=np.array([1.0, 0.6, 0.2]))
    np.testing.assert_allclose(np.isfinite(draws).mean(axis=0), [0.3, 0.6, 0.2], atol=0.01)
    assert np.all(np.isfinite(draws[:, 1]) | ~np.isfinite(draws[:, 2]))  # one draw of the least weight for all


def test_what_the_law_cannot_say_competes_never():
    covariance = np.diag(SDS**2)
    covariance[1, 1] = np.inf
    ends = Forecast(log_mean=np.array([np.nan, 0.7, 0.7]), covariance=covariance)
    assert ends.sound.tolist() == [False, False, True]
    draws = drawn(covariance, log_mean=ends.log_mean)
    assert np.isfinite(draws).mean(axis=0).tolist() == [0.0, 0.0, 1.0]
    assert np.isfinite(gains(draws, 0.7, NONE)).all()
