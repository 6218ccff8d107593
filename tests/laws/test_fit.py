"""Fits of real and of broken curves."""

import numpy as np
import pytest
from made_curves import made_curve

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure, FitOptions, LawFit, OutlyingRow, fit_law, without_outliers
from autosched.laws.functional import FunctionalFamily, Units
from autosched.laws.multi_power import MultiPowerFamily, MultiPowerLaw
from autosched.laws.robust import Prior, Robustness, huber, minimise
from autosched.testing.law_contract import wsd

FITTED = ("cosine_24000", "constant_24000", "wsdcon_9")
UNSEEN = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")


def unseen_error(fit: LawFit, curve, group: str) -> float:
    """Mean relative error over the six curves that were not fitted."""
    curves = [curve(f"{group}/{name}") for name in UNSEEN]
    return float(np.mean([np.mean(np.abs(fit.law.predict_at(c.schedule, c.steps) / c.losses - 1)) for c in curves]))


@pytest.mark.parametrize("group", ["gpt25m", "gpt100m"])
@pytest.mark.parametrize("kind", ["multi_power", "functional"])
def test_three_curves_predict_six_others_within_0_15_percent(curve, group, kind):
    curves = [curve(f"{group}/{name}") for name in FITTED]
    functional = FunctionalFamily(units=Units.of([curve.schedule for curve in curves]))
    fit = fit_law(MultiPowerFamily() if kind == "multi_power" else functional, curves)
    assert isinstance(fit, LawFit)
    assert unseen_error(fit, curve, group) < 0.0015
    assert fit.residual_sd < 0.0015
    assert np.all(np.linalg.eigvalsh(fit.covariance) > 0)


def test_a_warm_start_lands_where_the_cold_one_did():
    curves = [made_curve(f"gpt25m/{name}") for name in FITTED]
    cold = fit_law(MultiPowerFamily(), curves)
    assert isinstance(cold, LawFit)
    warm = fit_law(MultiPowerFamily(), curves, start=cold.logs)
    assert isinstance(warm, LawFit)
    np.testing.assert_allclose(warm.law.predict(wsd()), cold.law.predict(wsd()), rtol=1e-4)
    assert warm.objective <= cold.objective * (1 + 1e-6)


def test_too_few_points_are_a_failure_with_advice():
    curve = made_curve("gpt25m/cosine_24000").until(2_700)
    failure = fit_law(MultiPowerFamily(), [curve])
    assert failure == FitFailure(reason="5 points after warmup are too few to fit: log more often, or add curves.")


def test_curves_that_no_law_describes_are_a_failure():
    steps = np.arange(40.0, 601.0, 20.0)
    curve = Curve(schedule=wsd(), steps=steps, losses=3 + np.sin(steps))
    failure = fit_law(MultiPowerFamily(), [curve])
    assert isinstance(failure, FitFailure)
    assert "the multi_power law misses the curves by" in failure.reason


def test_single_outliers_hardly_move_a_fit():
    curves = [made_curve(f"gpt25m/{name}") for name in FITTED]
    spoilt = curves[0].losses.copy()
    spoilt[::20] += 0.5
    curves[0] = Curve(schedule=curves[0].schedule, steps=curves[0].steps, losses=spoilt)
    fit = fit_law(MultiPowerFamily(), curves, FitOptions())
    assert isinstance(fit, LawFit)
    assert unseen_error(fit, made_curve, "gpt25m") < 0.002


def test_a_prior_of_zero_width_fixes_a_parameter():
    target = np.array([2.0, 3.0])
    found = minimise(
        lambda x: (target - x, -np.eye(2)),
        np.zeros(2),
        prior=Prior(mean=np.zeros(2), sd=np.array([10.0, 0.0])),
        robustness=Robustness(delta=100.0, noise=0.01),
        weights=np.ones(2),
    )
    np.testing.assert_allclose(found.x, [2.0, 0.0], atol=1e-4)
    assert found.covariance[1, 1] == 0


def test_huber_is_quadratic_near_zero_and_linear_far_away():
    np.testing.assert_allclose(huber(np.array([0.5, -3.0]), 1.0), [0.125, 2.5])


def spoilt(curve: Curve, rows: slice, losses: float) -> Curve:
    """The curve with other losses in some rows."""
    changed = curve.losses.copy()
    changed[rows] = losses
    return Curve(schedule=curve.schedule, steps=curve.steps, losses=changed, name=curve.name)


@pytest.mark.parametrize(
    ("rows", "loss"),
    [
        (slice(30, 31), 9.0),  # one bad evaluation
        (slice(30, 31), 1e-6),
        (slice(20, 24), 4.5),  # the bump of a restart
        (slice(-1, None), 9.0),  # the last row
    ],
)
def test_a_few_bad_rows_are_named_and_the_rest_of_the_curve_counts(rows: slice, loss: float) -> None:
    law = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=10.0, speed=2.0, saturation=0.6, lr_power=0.6)
    steps = np.arange(80.0, 601.0, 10.0)
    schedules = [wsd(), wsd(cooldown=0.9), wsd(cooldown=0.5)]
    sound = [Curve(schedule=s, steps=steps, losses=law.predict_at(s, steps)) for s in schedules]
    curves = [sound[0], spoilt(sound[1], rows, loss), sound[2]]
    fit = fit_law(MultiPowerFamily(), curves)
    assert isinstance(fit, LawFit)
    assert [(row.curve, row.step, row.loss) for row in fit.outlying] == [(1, s, loss) for s in steps[rows]]
    np.testing.assert_allclose([row.expected for row in fit.outlying], sound[1].losses[rows], rtol=0.01)
    assert fit.residual_sd < 0.01
    np.testing.assert_allclose(fit.law.predict_at(wsd(), steps), sound[0].losses, rtol=0.02)


def test_a_curve_of_something_else_is_no_outlier() -> None:
    law = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=10.0, speed=2.0, saturation=0.6, lr_power=0.6)
    steps = np.arange(80.0, 601.0, 10.0)
    curves = [Curve(schedule=wsd(), steps=steps, losses=law.predict_at(wsd(), steps) * scale) for scale in (1.0, 1.6)]
    failure = fit_law(MultiPowerFamily(), curves)
    assert isinstance(failure, FitFailure)
    assert "misses the curves by" in failure.reason


def test_rows_that_lie_out_leave_the_curve_only_where_it_came_back() -> None:
    curve = Curve(schedule=wsd(), steps=np.arange(1.0, 9.0), losses=np.arange(1.0, 9.0))
    out = [OutlyingRow(curve=1, step=float(step), loss=1.0, expected=2.0) for step in (2, 3, 7, 8)]
    first, second = without_outliers([curve, curve], out)
    assert first is curve
    assert second.steps.tolist() == [1, 4, 5, 6, 7, 8]


def test_points_that_scatter_more_weigh_less() -> None:
    law = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=10.0, speed=2.0, saturation=0.6, lr_power=0.6)
    steps = np.arange(80.0, 601.0, 10.0)
    truth = law.predict_at(wsd(), steps)
    wrong = np.arange(steps.size) % 2 == 0
    losses = np.where(wrong, truth * 1.02, truth)
    errors = [
        abs(float(found.law.predict_at(wsd(), steps)[-1] / truth[-1] - 1))
        for sds in (None, np.where(wrong, 0.2, 0.0))
        if isinstance(
            found := fit_law(MultiPowerFamily(), [Curve(schedule=wsd(), steps=steps, losses=losses, sds=sds)]), LawFit
        )
    ]
    assert errors[1] < 0.2 * errors[0]
