"""The convex bound against its double loop, closed forms and the values its authors' code gives; and the law of it."""

import numpy as np
import pytest
from literal_laws import convex, convex_terms
from made_curves import made_curve
from scipy.optimize import minimize
from scipy.special import digamma
from scipy.stats import spearmanr

from autosched.curves.curve import Curve
from autosched.errors import ScheduleError
from autosched.laws.convex_bound import (
    convex_bound,
    optimal_base_lr,
)
from autosched.laws.convex_law import ConvexFamily, ConvexLaw, bound_terms
from autosched.laws.fit import FitOptions, LawFit, fit_law
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule
from autosched.testing.law_contract import schedule_of, wsd
from autosched.testing.published_curves import published_curve

STEPS = 4_000
LAW = ConvexLaw(floor=3.0, approach=2.0, noise=100.0)


def shape(family, steps=STEPS, **params):
    return build(family, {"peak_lr": 1.0, **params}, steps=steps).lrs


def cooldown(fraction, form="linear"):
    return shape("wsd", cooldown_fraction=fraction, cooldown_shape=form, final_lr_ratio=0.0)


GOLDEN = {
    "constant": (lambda: shape("constant"), 0.0050325, 0.04968, 3.142),
    "inverse square root": (lambda: np.arange(1, STEPS + 1) ** -0.5, 0.18367, 0.04354, 2.754),
    "cosine to 10%": (lambda: shape("cosine", final_lr_ratio=0.1), 0.013207, 0.03441, 2.176),
    "wsd, linear": (lambda: cooldown(0.2), 0.0081183, 0.03421, 2.164),
    "wsd, 1 - sqrt": (lambda: cooldown(0.2, "sqrt"), 0.0085692, 0.03366, 2.129),
    "cosine to 0": (lambda: shape("cosine", final_lr_ratio=0.0), 0.01534, 0.03259, 2.061),
    "linear to 0": (lambda: shape("linear", final_lr_ratio=0.0), 0.015793, 0.03165, 2.002),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_best_base_lr_and_bound_are_those_of_the_authors_code(name):
    lrs, lr, bound, scaled = GOLDEN[name]
    best = optimal_base_lr(lrs())
    assert best.lr == pytest.approx(lr, rel=1e-4)
    assert best.bound == pytest.approx(bound, rel=2e-4)
    assert best.bound * STEPS**0.5 == pytest.approx(scaled, rel=3e-4)


def test_the_best_base_lr_is_where_the_bound_is_least():
    lrs = cooldown(0.3)
    best = optimal_base_lr(lrs, grad_norms=3.0, distance=0.2)
    at = [convex_bound(best.lr * factor * lrs, grad_norms=3.0, distance=0.2).total for factor in (0.99, 1.0, 1.01)]
    assert at[1] == pytest.approx(best.bound, rel=1e-12)
    assert at[1] < min(at[0], at[2])


def test_a_tuned_lr_transfers_between_cooldowns_by_the_published_factors():
    published = {0.1: 0.775, 0.2: 0.665, 0.4: 0.499, 0.6: 0.345, 0.8: 0.183, 1.0: 0.0}
    linear = optimal_base_lr(cooldown(1.0)).lr
    found = {fraction: np.log(linear / optimal_base_lr(cooldown(fraction)).lr) for fraction in published}
    assert found == pytest.approx(published, abs=6e-4)


def test_the_best_lr_falls_with_the_square_root_of_the_horizon():
    short, long = (optimal_base_lr(shape("linear", steps, final_lr_ratio=0.0)).lr for steps in (1_000, 16_000))
    assert np.log(long / short) / np.log(16) == pytest.approx(-0.5, abs=0.005)


def test_a_constant_schedule_has_its_closed_form():
    lr, norm, distance = 0.003, 2.0, 0.7
    bound = convex_bound(np.full(STEPS, lr), grad_norms=norm, distance=distance)
    harmonic = sum(1 / k for k in range(1, STEPS))
    assert bound.start == pytest.approx(distance**2 / (2 * lr * STEPS), rel=1e-10)
    assert bound.average == pytest.approx(lr * norm**2 / 2, rel=1e-10)
    assert bound.last == pytest.approx(lr * norm**2 / 2 * harmonic, rel=1e-10)


@pytest.mark.parametrize("kind", ["constant", "wsd", "two_stage", "cyclic", "stairs"])
def test_the_bound_is_the_double_loop(kind):
    lrs = schedule_of(kind).lrs[:250:2]
    norms = np.linspace(1.0, 2.0, lrs.size) ** 2
    bound = convex_bound(lrs, grad_norms=norms, distance=0.3)
    slow = convex_terms(lrs, norms, 0.3)
    assert (bound.start, bound.average, bound.last) == pytest.approx(slow, rel=1e-12)


def test_gradient_norms_matter_where_the_lr_is_high():
    lrs = np.array([0.1, 0.1, 0.01])
    plain = convex_bound(lrs).total
    assert convex_bound(lrs, grad_norms=[1.0, 2.0, 1.0]).total > convex_bound(lrs, grad_norms=[1.0, 1.0, 2.0]).total
    assert convex_bound(lrs, grad_norms=np.ones(3)).total == plain


def test_a_million_updates_have_their_closed_form_too():
    """A sum over pairs of updates would never end; `benchmarks/transfer.py` has the time."""
    steps, lr = 1_000_000, 0.001
    harmonic = digamma(steps) + np.euler_gamma
    assert convex_bound(np.full(steps, lr)).last == pytest.approx(lr / 2 * harmonic, rel=1e-10)


def test_small_tails_of_long_decays_keep_their_digits():
    """The last iterates of a decay to zero have tail areas 1e-12 of the whole; subtracting sums would lose them."""
    steps = 100_000
    lrs = shape("linear", steps, final_lr_ratio=0.0)
    u = np.arange(steps, 0, -1)  # lrs = u / steps, tails in closed form
    area, squares = u * (u + 1) / 2, u * (u + 1) * (2 * u + 1) / 6
    exact = np.sum(u[:-1] / area[1:] * (squares[:-1] / area[:-1])) / (2 * steps)
    assert convex_bound(lrs).last == pytest.approx(exact, rel=1e-11)


def test_the_free_minimiser_is_a_linear_decay():
    options = {"maxfun": 100_000, "maxiter": 1_000, "ftol": 1e-12}
    found = minimize(
        lambda logs: convex_bound(np.exp(logs)).total, np.full(100, np.log(0.05)), method="L-BFGS-B", options=options
    )
    assert found.fun <= 0.2002
    assert np.corrcoef(np.exp(found.x), 1 - np.arange(100) / 100)[0, 1] > 0.999


def test_updates_with_an_lr_of_zero_change_nothing():
    lrs = np.array([0.1, 0.3, 0.2])
    assert convex_bound([0.1, 0.0, 0.3, 0.2, 0.0]).total == convex_bound(lrs).total


@pytest.mark.parametrize("lrs", [[], [0.0, 0.0], [0.1, -0.1], [0.1, np.nan], [[0.1, 0.1]]])
def test_lrs_without_a_bound_are_refused(lrs):
    with pytest.raises(ScheduleError, match=r"lrs must be a vector of finite numbers >= 0, one of them > 0"):
        convex_bound(lrs)


@pytest.mark.parametrize("norms", [[1.0, 1.0], -1.0, np.inf])
def test_gradient_norms_that_fit_no_schedule_are_refused(norms):
    with pytest.raises(ScheduleError, match="grad_norms must be one number >= 0 or 3 of them"):
        convex_bound([0.1, 0.1, 0.1], grad_norms=norms)


@pytest.mark.parametrize("name", ["gpt25m/wsdcon_3", "gpt25m/cosine_24000", "llama124m/wsd_lr0.002_T25000_cd0.2_sqrt"])
def test_the_compressed_sum_is_the_bound_within_1e_4(name):
    schedule = made_curve(name).schedule
    steps = np.array([0.3, 0.7, 0.9, 1.0]) * schedule.steps
    for step, noise in zip(steps.astype(int), bound_terms(schedule, steps.astype(int))[1], strict=True):
        literal = convex_bound(schedule.lrs[:step])
        assert noise == pytest.approx(literal.average + literal.last, rel=1e-4)


def test_just_after_a_deep_drop_the_law_keeps_to_the_iterate_before_it():
    """The bound alone would leap up by a multiple; the iterate has hardly moved."""
    schedule = Schedule(np.array([0.01] * 300 + [1e-5] * 100))
    before, after = LAW.predict_at(schedule, np.array([300.0, 301.0]))
    alone = convex_bound(schedule.lrs[:301])
    assert LAW.noise * (alone.average + alone.last) > 10 * LAW.noise * 0.01
    assert after == pytest.approx(before, abs=2 * LAW.noise * 1e-5)
    assert after == pytest.approx(convex(LAW, schedule.lrs, 301), rel=2e-4)


def test_the_best_peak_lr_of_a_shape_ends_lowest():
    schedule = wsd(cooldown=0.5, final=0.0)
    best = LAW.best_peak_lr(schedule)
    finals = [LAW.predict(Schedule(schedule.lrs * factor * best / schedule.peak_lr))[-1] for factor in (0.8, 1.0, 1.25)]
    assert finals[1] < min(finals[0], finals[2])


def test_scale_and_lr_unit_are_another_way_to_say_the_same():
    bound = convex_bound(wsd().lrs / LAW.lr_unit)
    assert LAW.predict(wsd())[-1] == pytest.approx(LAW.floor + LAW.scale * bound.total, rel=1e-4)


def test_two_noisy_curves_give_back_the_parameters():
    rng, curves = np.random.default_rng(0), []
    for schedule in (wsd(peak_lr=0.02), wsd(cooldown=1.0)):
        steps = np.arange(40.0, 601.0, 10.0)
        losses = LAW.predict_at(schedule, steps) * np.exp(0.002 * rng.standard_normal(steps.size))
        curves.append(Curve(schedule=schedule, steps=steps, losses=losses))
    fit = fit_law(ConvexFamily(), curves)
    assert isinstance(fit, LawFit)
    assert fit.params == pytest.approx({"floor": 3.0, "approach": 2.0, "noise": 100.0}, rel=0.02)


@pytest.mark.recorded
def test_three_published_curves_predict_six_others_within_a_percent_and_roughly_in_order():
    """Two parameters miss the shape of real curves: no law to predict with alone."""
    fitted = [published_curve(f"gpt25m/{name}") for name in ("cosine_24000", "constant_24000", "wsdcon_9")]
    fit = fit_law(ConvexFamily(), fitted, FitOptions(first_share=0.1))
    assert isinstance(fit, LawFit)
    names = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
    curves = [published_curve(f"gpt25m/{name}") for name in names]
    errors = [np.mean(np.abs(fit.law.predict_at(c.schedule, c.steps) / c.losses - 1)) for c in curves]
    assert np.mean(errors) < 0.0105
    finals = [fit.law.predict_at(c.schedule, c.steps[-1:])[0] for c in curves]
    assert spearmanr(finals, [c.losses[-1] for c in curves])[0] > 0.8
