"""The published forecast of AutoLRS: its golden numbers, and a value where the published code crashes."""

import numpy as np
import pytest

from autosched.errors import UsageError
from autosched.laws.exponential_forecast import ProbeForecast, forecast_probe
from autosched.laws.fit import FitFailure
from autosched.laws.published_probe import PublishedForecast, published_forecast

X = np.arange(100.0)


def value(losses, asked=1000, **options):
    found = published_forecast(losses, asked, **options)
    assert isinstance(found, PublishedForecast)
    return found.value


@pytest.mark.parametrize(
    ("losses", "golden"),
    [(2 - 0.001 * X, 1.0), (2 + 0.001 * X, 3.0), (np.full(100, 2.0), 2.0)],
    ids=["straight", "rising", "constant"],
)
def test_the_golden_values_of_the_published_server(losses, golden):
    assert value(losses) == pytest.approx(golden, abs=1e-3)


def test_the_golden_values_under_noise_and_spikes_show_its_bias():
    """0.541 and 0.869 were seen where the truth is 1.055 and 1.000; the mended forecast is right there."""
    rng = np.random.default_rng(0)
    for rate, golden in ((0.004, 0.541), (0.02, 0.869)):
        losses = 1 + 3 * np.exp(-rate * X) + 0.02 * rng.standard_normal(100)
        losses[[10, 40]] += 1.0
        mended = forecast_probe(X, losses, 1000)
        assert isinstance(mended, ProbeForecast)
        assert value(losses) == pytest.approx(golden, abs=0.005)
        assert mended.mean == pytest.approx(1 + 3 * np.exp(-rate * 1000), abs=max(0.02, 2 * mended.sd))


@pytest.mark.parametrize("seed", [18, 212])
def test_a_level_probe_whose_search_runs_into_undetermined_least_squares_gets_a_value(seed):
    """Here the search tries rates so small that the exponential is constant; the published server dies of it."""
    losses = 2 + 0.02 * np.random.default_rng(seed).standard_normal(100)
    assert value(losses) == pytest.approx(2.0, abs=0.2)


def test_validation_losses_have_an_x_of_their_own():
    losses = 1 + 2 * np.exp(-0.1 * np.arange(16.0))
    assert value(losses, asked=160, validation=True) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_probe_is_a_failure_that_says_where(bad):
    losses = np.full(100, 2.0)
    losses[7] = bad
    assert published_forecast(losses, 1000) == FitFailure(
        reason=f"the probe diverged: its loss is {bad} after 7 updates."
    )


def test_too_few_losses_are_a_failure_and_a_table_is_misuse():
    assert isinstance(published_forecast(np.ones(7), 100), FitFailure)
    with pytest.raises(UsageError, match="losses must be a vector"):
        published_forecast(np.ones((4, 4)), 100)
