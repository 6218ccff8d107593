"""The forecaster in its preset ``full``: on the published splits, and on curves made from published laws."""

from dataclasses import replace

import numpy as np
import pytest
from made_curves import made_curve, made_group

from autosched.laws.annealing import AnnealingFamily
from autosched.laws.fit import FitFailure
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster, forecast_ends
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.functional import FunctionalFamily, Units
from autosched.laws.multi_power import MultiPowerFamily
from autosched.laws.priors import UNTESTED_LATER
from autosched.laws.stack import Stack
from autosched.schedules.schedule import Schedule
from autosched.testing.published_curves import published_curve

FITTED = ("cosine_24000", "constant_24000", "wsdcon_9")
UNSEEN = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")


def fitted(curves) -> Forecaster:
    law = fit_forecaster(curves)
    assert isinstance(law, Forecaster)
    return law


def ranks(values):
    return np.argsort(np.argsort(values))


@pytest.mark.recorded
@pytest.mark.parametrize(("group", "published"), [("gpt25m", 0.00110), ("gpt100m", 0.00142)])
def test_three_gpt_curves_predict_six_others_better_than_published(group, published):
    law = fitted([published_curve(f"{group}/{name}") for name in FITTED])
    errors = []
    for name in UNSEEN:
        curve = published_curve(f"{group}/{name}")
        errors.append(np.abs(law.predict_at(curve.schedule, curve.steps) / curve.losses - 1))
    assert np.mean([error.mean() for error in errors]) <= 0.85 * published
    assert max(error.max() for error in errors) < 0.008


@pytest.mark.slow
def test_short_horizons_rank_the_longest_one_across_peak_lrs(curve_group):
    curves = curve_group("llama124m")
    law = fitted([curve for curve in curves if curve.schedule.steps in (15_000, 25_000)])
    longest = [curve for curve in curves if curve.schedule.steps == 35_000]
    ends = [law.forecast(Query.of([(curve.schedule, curve.steps[-1:])])) for curve in longest]
    predicted = np.array([end.mean[0] for end in ends])
    seen = np.array([curve.losses[-1] for curve in longest])
    assert np.abs(predicted - seen).mean() <= 0.004
    assert np.corrcoef(ranks(predicted), ranks(seen))[0, 1] >= 0.98
    assert seen[predicted.argmin()] - seen.min() <= 0.002
    assert (
        np.mean([end.interval()[0][0] <= loss <= end.interval()[1][0] for end, loss in zip(ends, seen, strict=True)])
        >= 0.85
    )


def test_uncertainty_grows_with_distance_from_what_was_seen():
    law = fitted([made_curve(f"gpt25m/{name}") for name in FITTED])
    near, far = made_curve("gpt25m/cosine_24000"), made_curve("gpt25m/cosine_72000")
    sd = forecast_ends(law, [near.schedule, far.schedule]).sd
    assert sd[1] > 1.5 * sd[0]


def test_later_ends_are_uncertain_although_all_runs_have_one_horizon():
    """No fit can be tested on a later end then: its error is unknown, which is not 0."""
    law = fitted([made_curve(f"gpt25m/{name}") for name in ("cosine_24000", "constant_24000", "wsd_20000_24000")])
    assert np.isnan(law.later_rate)
    same, later = (made_curve(f"gpt25m/cosine_{steps}").schedule for steps in (24000, 72000))
    sure = replace(law, later_rate=0.0)
    assert forecast_ends(law, [same]).sd == pytest.approx(forecast_ends(sure, [same]).sd, rel=0.01)
    added = forecast_ends(law, [later]).sd[0] ** 2 - forecast_ends(sure, [later]).sd[0] ** 2
    assert added == pytest.approx((law.calibration * UNTESTED_LATER * law.peak_error * np.log(3)) ** 2, rel=0.05)


def test_a_warm_refit_with_one_more_curve_stays_close_to_a_cold_one():
    curves = [made_curve(f"gpt25m/{name}") for name in (*FITTED, "wsdcon_3")]
    warm = fit_forecaster(curves, warm=fitted(curves[:3]))
    assert isinstance(warm, Forecaster)
    curve = made_curve("gpt25m/wsd_20000_24000")
    steps = curve.steps[::20]
    cold = fitted(curves).predict_at(curve.schedule, steps)
    np.testing.assert_allclose(warm.predict_at(curve.schedule, steps), cold, rtol=1.5e-3)


def test_a_run_that_was_fitted_in_part_is_anchored_at_what_it_showed():
    curves = [made_curve(f"gpt25m/{name}") for name in (*FITTED, "wsdld_20000_24000")]
    part = curves[3].until(12_000)
    law = fitted([*curves[:3], part])
    end = law.forecast(Query.of([(part.schedule, curves[3].steps[-1:])]), [3])
    assert end.mean[0] == pytest.approx(curves[3].losses[-1], rel=0.005)


def test_too_little_to_fit_is_a_failure_with_a_reason():
    failure = fit_forecaster([made_curve("gpt25m/cosine_24000").until(2_400)])
    assert isinstance(failure, FitFailure)
    assert "too few" in failure.reason


def test_one_curve_alone_gives_wide_intervals():
    curves = [made_curve(f"gpt25m/{name}") for name in FITTED]
    alone, three = fitted(curves[:1]), fitted(curves)
    schedule = made_curve("gpt25m/wsd_20000_24000").schedule
    assert forecast_ends(alone, [schedule]).sd[0] > forecast_ends(three, [schedule]).sd[0]


def beginnings(share, count, first):
    """`count` Llama runs of 25,000 steps up to a share of their steps."""
    curves = [curve for curve in made_group("llama124m") if curve.schedule.steps == 25_000]
    return [curve.until(share * curve.schedule.steps) for curve in curves[first : first + count]]


@pytest.mark.parametrize(("count", "first"), [(2, 3), (2, 21), (3, 0), (3, 3)])
def test_the_first_third_of_a_few_runs_forecasts_any_peak_lr(count, first):
    law = fitted(beginnings(0.3, count, first))
    for other in beginnings(1.0, 36, 0)[::5]:
        end = forecast_ends(law, [other.schedule])
        assert 2.0 < end.mean[0] < 6.0
        assert 0.0 < end.sd[0] < np.inf


def test_a_law_has_no_say_where_it_predicts_a_loss_below_zero_or_knows_no_other_peak_lr():
    families = (FunctionalFamily(units=Units(lr=1e-3, steps=1e3)), MultiPowerFamily(), AnnealingFamily())
    stack = Stack(families=families, fits=(), weights=np.array([0.5, 0.3, 0.2]), peak_lr=1e-3)
    steps = np.array([10.0, 20.0])
    asked = [(Schedule([1e-3] * 20), steps), (Schedule([2e-3] * 20), steps)]
    losses = np.array([[3.0, -1.0, 3.0, 3.0], [2.0, 3.0, 2.0, 2.0], [1.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(
        stack.weights_at(asked, losses), [[0.5, 0.0, 1.0, 1.0], [0.3, 1.0, 0.0, 0.0], [0.2, 0.0, 0.0, 0.0]]
    )
