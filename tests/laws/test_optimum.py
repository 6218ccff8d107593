"""The schedule a law likes best: against the published optimum, its own neighbours, and the shapes people use."""

import numpy as np
import pytest
from made_curves import made_curve

from autosched.errors import ScheduleError
from autosched.laws.annealing import AnnealingLaw
from autosched.laws.end_loss import NodeGrid, functional_end, multi_power_end, weighted
from autosched.laws.forecaster import Forecaster, forecast_ends
from autosched.laws.forecaster_fit import alone, fit_forecaster
from autosched.laws.functional import FunctionalLaw
from autosched.laws.multi_power import PUBLISHED, MultiPowerFamily, MultiPowerLaw
from autosched.laws.optimum import NoOptimum, Optimum, OptimumTask, best_wsd, optimal_schedule
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule

STEPS, WARMUP, PEAK = 24_000, 2_160, 3e-4
TASK = OptimumTask(steps=STEPS, peak_lr=(PEAK, PEAK), warmup_steps=WARMUP)
MULTI_POWER = {size: PUBLISHED[size] for size in ("25M", "400M")}
PUBLISHED_OPTIMUM = {"25M": 3.2580, "400M": 2.6891}
FUNCTIONAL = FunctionalLaw(
    floor=2.4,
    scale=0.6,
    exponent=0.5,
    noise=0.15,
    noise_power=0.9,
    noise_peak_power=1.1,
    time_power=0.6,
    time_peak_power=0.5,
    speed=2.0,
    saturation=0.6,
    reference_lr=4e-4,
)
ANNEALING = AnnealingLaw(floor=2.5, scale=0.65, exponent=0.42, gain=500.0, memory=0.04)
ENDS = {"multi_power": (MULTI_POWER["400M"], multi_power_end), "functional": (FUNCTIONAL, functional_end)}


def final_loss_update_by_update(law: MultiPowerLaw, schedule: Schedule) -> float:
    """The published sum over every update, rises of the warmup included."""
    lrs = schedule.lrs
    done = np.concatenate(([0.0], np.cumsum(lrs)))
    k = np.arange(1, lrs.size)
    after = np.maximum(lrs[k], 1e-3 * lrs.max())
    grown = 1 - (1 + law.speed * after**-law.lr_power * (done[-1] - done[k])) ** -law.saturation
    return float(law.floor + law.scale * done[-1] ** -law.exponent - law.drop * np.sum((lrs[k - 1] - lrs[k]) * grown))


def solved(law, task: OptimumTask = TASK) -> Optimum:
    found = optimal_schedule(law, task)
    assert isinstance(found, Optimum), found
    return found


@pytest.fixture(scope="module")
def three_curves():
    return [made_curve(f"gpt25m/{name}") for name in ("cosine_24000", "constant_24000", "wsdcon_9")]


@pytest.fixture(scope="module")
def auto(three_curves) -> Forecaster:
    law = fit_forecaster(three_curves)
    assert isinstance(law, Forecaster)
    return law


@pytest.fixture(scope="module")
def single(three_curves) -> Forecaster:
    law = fit_forecaster(three_curves, alone(MultiPowerFamily()))
    assert isinstance(law, Forecaster)
    return law


# -- the loss from nodes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("warmup", [0, 1, 7, 2_160])
def test_the_gradient_is_that_of_the_loss(kind, warmup):
    law, end = ENDS[kind]
    grid = NodeGrid.of(STEPS, warmup, 24)
    falls = np.random.default_rng(0).uniform(0, 0.3, grid.at.size - grid.fixed)
    log_z = np.append(grid.warmup_log_z, -np.cumsum(falls))
    slope = end(law, grid, PEAK, log_z)[1]
    for node, nudge in enumerate(np.eye(log_z.size) * 1e-5):
        central = (end(law, grid, PEAK, log_z + nudge)[0] - end(law, grid, PEAK, log_z - nudge)[0]) / 2e-5
        assert slope[node] == pytest.approx(central, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", ENDS)
def test_the_loss_from_nodes_is_the_laws_own(kind):
    law, end = ENDS[kind]
    if isinstance(law, MultiPowerLaw):
        law = MultiPowerLaw.from_logs(law.logs())  # one definition of warmup, without the published one's rises
    for pieces in (48, 192):
        grid = NodeGrid.of(STEPS, WARMUP, pieces)
        log_z = np.append(grid.warmup_log_z, -3 * np.linspace(0, 1, grid.at.size - grid.fixed) ** 2)
        schedule = grid.schedule(PEAK, log_z)
        assert end(law, grid, PEAK, log_z)[0] == pytest.approx(law.predict(schedule)[-1], abs=2e-5)


def test_a_mean_of_laws_has_the_mean_of_their_losses_and_gradients():
    grid = NodeGrid.of(STEPS, WARMUP, 24)
    log_z = np.append(grid.warmup_log_z, -np.linspace(0, 2, grid.at.size - grid.fixed))
    ends = [lambda *node, law=law, end=end: end(law, *node) for law, end in ENDS.values()]
    loss, slope = weighted([(0.25, ends[0]), (0.75, ends[1])])(grid, PEAK, log_z)
    (loss_0, slope_0), (loss_1, slope_1) = (end(grid, PEAK, log_z) for end in ends)
    assert loss == pytest.approx(0.25 * loss_0 + 0.75 * loss_1)
    np.testing.assert_allclose(slope, 0.25 * slope_0 + 0.75 * slope_1)


# -- free form --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", MULTI_POWER)
def test_the_published_law_has_no_higher_a_loss_than_at_the_published_optimum(size):
    law = MULTI_POWER[size]
    found = solved(law)
    exact = final_loss_update_by_update(law, found.schedule)
    assert exact <= PUBLISHED_OPTIMUM[size]
    assert exact > PUBLISHED_OPTIMUM[size] - 0.001  # smooth: it does not use the staircase
    assert found.predicted.mean == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("size", MULTI_POWER)
def test_the_published_laws_optimum_is_flat_and_then_falls_below_one_percent(size):
    schedule = solved(MULTI_POWER[size]).schedule
    assert schedule.steps == STEPS
    np.testing.assert_array_equal(schedule.lrs[:WARMUP], PEAK * np.arange(1, WARMUP + 1) / WARMUP)
    body = schedule.lrs[WARMUP:]
    assert np.all(np.diff(body) <= 0)
    assert (WARMUP + np.argmax(body < 0.999 * PEAK)) / STEPS >= 0.85
    assert schedule.final_lr < 0.01 * PEAK


@pytest.mark.parametrize("size", MULTI_POWER)
def test_the_optimum_beats_the_published_alternatives(size):
    law = MULTI_POWER[size]
    params = {"peak_lr": PEAK, "warmup_steps": WARMUP, "final_lr_ratio": 0.1}
    linear = build("wsd", {**params, "cooldown_fraction": 1 / 6}, steps=STEPS)
    exponential = build("wsd", {**params, "cooldown_fraction": 1 / 6, "cooldown_shape": "exponential"}, steps=STEPS)
    cosine = build("cosine", params, steps=STEPS)
    best = final_loss_update_by_update(law, solved(law).schedule)
    assert best < min(final_loss_update_by_update(law, other) for other in (linear, exponential, cosine)) - 0.005


@pytest.mark.parametrize("law", [MULTI_POWER["400M"], FUNCTIONAL], ids=["multi_power", "functional"])
def test_no_neighbour_of_the_optimum_is_better(law):
    best = solved(law).schedule
    loss, rng = law.predict(best)[-1], np.random.default_rng(0)
    t = np.linspace(0, 1, STEPS - WARMUP)
    for _ in range(20):
        centre, width, height = rng.uniform(0.6, 1.0), rng.uniform(0.02, 0.2), rng.uniform(-0.2, 0.2)
        lrs = best.lrs.copy()
        lrs[WARMUP:] *= np.exp(height * np.exp(-(((t - centre) / width) ** 2)))
        assert law.predict(Schedule(np.minimum(lrs, PEAK)))[-1] > loss - 2e-6


def test_a_schedule_that_may_rise_is_not_worse_than_one_that_may_not():
    free = OptimumTask(steps=STEPS, peak_lr=(PEAK, PEAK), warmup_steps=WARMUP, monotone=False)
    for law in (MULTI_POWER["400M"], FUNCTIONAL):
        assert solved(law, free).predicted.mean <= solved(law).predicted.mean + 1e-6


def test_the_lowest_lr_is_respected():
    floored = OptimumTask(steps=STEPS, peak_lr=(PEAK, PEAK), warmup_steps=WARMUP, min_lr=3e-5)
    found = solved(MULTI_POWER["400M"], floored)
    assert found.schedule.lrs[WARMUP:].min() >= 3e-5
    assert found.schedule.final_lr == pytest.approx(3e-5, rel=1e-3)
    assert found.alternatives["cosine"].schedule.lrs[WARMUP:].min() >= 3e-5
    assert found.predicted.mean > solved(MULTI_POWER["400M"]).predicted.mean


def test_the_peak_is_found_within_its_bounds():
    bounds = (3e-5, 3e-3)
    inside = solved(FUNCTIONAL, OptimumTask(steps=STEPS, peak_lr=bounds, warmup_steps=WARMUP))
    peak = inside.schedule.peak_lr
    assert bounds[0] < peak < bounds[1]
    for other in (peak / 1.3, peak * 1.3):
        assert solved(
            FUNCTIONAL, OptimumTask(steps=STEPS, peak_lr=(other, other), warmup_steps=WARMUP)
        ).predicted.mean > (inside.predicted.mean)
    low = solved(FUNCTIONAL, OptimumTask(steps=STEPS, peak_lr=(peak / 100, peak / 10), warmup_steps=WARMUP))
    assert low.schedule.peak_lr == pytest.approx(peak / 10)


@pytest.mark.parametrize(("steps", "warmup"), [(2, 0), (3, 1), (5, 0), (40, 4), (300, 30)])
def test_short_runs_have_an_optimum_too(steps, warmup):
    task = OptimumTask(steps=steps, peak_lr=(1e-3, 1e-3), warmup_steps=warmup)
    found = solved(FUNCTIONAL, task)
    assert found.schedule.steps == steps
    assert found.schedule.peak_lr == pytest.approx(1e-3)
    assert found.predicted.mean <= min(other.predicted.mean for other in found.alternatives.values())


# -- the default law and its alternatives -----------------------------------------------------------------------------


def test_the_stacked_laws_best_schedule_is_the_best_of_all_candidates(auto):
    found = solved(auto)
    assert {"cosine", "linear", "wsd"} <= set(found.alternatives)
    for other in found.alternatives.values():
        assert other.worse_by.mean >= 0
        assert other.predicted.low < other.predicted.mean < other.predicted.high
        assert other.worse_by.mean == pytest.approx(other.predicted.mean - found.predicted.mean, abs=1e-12)
    assert found.alternatives["cosine"].worse_by.low > 0


def test_the_stacked_laws_best_schedule_is_not_beaten_by_those_of_its_laws(auto):
    found = solved(auto)
    for fit in auto.fits:
        alone = optimal_schedule(fit.law, TASK)
        if isinstance(alone, Optimum):
            assert auto.predict(alone.schedule)[-1] >= found.predicted.mean - 1e-6


def test_reshaping_keeps_the_warmup_the_peak_and_the_lowest_lr(auto):
    schedule = solved(auto, OptimumTask(steps=9_000, peak_lr=(PEAK, PEAK), warmup_steps=900, min_lr=1e-6)).schedule
    np.testing.assert_array_equal(schedule.lrs[:900], PEAK * np.arange(1, 901) / 900)
    assert schedule.peak_lr == PEAK
    assert np.all(np.diff(schedule.lrs[900:]) <= 0)
    assert schedule.final_lr >= 1e-6


def test_joint_ends_are_the_forecasts_of_each_alone(auto, single):
    schedules = [made_curve(f"gpt25m/{name}").schedule for name in ("wsd_20000_24000", "cosine_72000")]
    for law in (auto, single):
        together = forecast_ends(law, schedules)
        for i, schedule in enumerate(schedules):
            by_itself = forecast_ends(law, [schedule])
            assert together.mean[i] == pytest.approx(by_itself.mean[0])
            assert together.sd[i] == pytest.approx(by_itself.sd[0])


def test_a_curve_that_is_forecast_in_parts_has_the_losses_and_the_spread_of_its_steps(auto, single):
    schedule = made_curve("gpt25m/wsd_20000_24000").schedule
    steps = np.linspace(2_200, 24_000, 700).round()
    for law in (auto, single):
        along = law.along(schedule, steps)
        assert along.covariance.shape == steps.shape
        end = forecast_ends(law, [schedule])
        assert (along.mean[-1], along.sd[-1]) == pytest.approx((end.mean[0], end.sd[0]))
        np.testing.assert_allclose(along.mean, law.predict_at(schedule, steps), rtol=1e-12)


def test_a_difference_of_like_schedules_is_known_better_than_either_loss(auto):
    params = {"peak_lr": PEAK, "warmup_steps": WARMUP}
    like = [build("wsd", {**params, "cooldown_fraction": fraction}, steps=STEPS) for fraction in (0.15, 0.16)]
    ends = forecast_ends(auto, [*like, build("cosine", params, steps=STEPS)])
    assert ends.difference(0, 1).sd < ends.difference(0, 2).sd
    assert ends.difference(0, 1).sd < ends.loss(0).sd
    assert ends.difference(2, 2).high == 0


def test_the_best_wsd_is_not_beaten_by_any_other_of_its_family(single):
    found = best_wsd(single, TASK)
    assert isinstance(found, Optimum)
    assert found.schedule.family == "wsd"
    for fraction in (0.05, 0.1, 0.14, 0.2, 0.5, 1.0):
        for shape in ("linear", "sqrt", "cosine"):
            params = {"cooldown_fraction": fraction, "cooldown_shape": shape}
            other = build("wsd", {"peak_lr": PEAK, "warmup_steps": WARMUP, **params}, steps=STEPS)
            assert single.predict(other)[-1] >= found.predicted.mean - 1e-5
    assert found.predicted.mean >= solved(single).predicted.mean
    assert found.alternatives["wsd"].worse_by.mean == 0


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_the_annealing_law_is_refused_with_its_reason():
    found = optimal_schedule(ANNEALING, TASK)
    assert isinstance(found, NoOptimum)
    assert found.reason.startswith(
        "the annealing law alone has no optimum of free form: its loss is linear in every LR"
    )
    assert isinstance(best_wsd(ANNEALING, TASK), Optimum)


def test_the_annealing_law_gains_by_a_jump_without_end():
    """Why it is refused: the deeper and steeper the end, the better, which no other law says."""
    losses = []
    for ratio in (0.5, 0.1, 0.01, 0.0):
        lrs = np.full(STEPS, PEAK)
        lrs[21_500:] = ratio * PEAK
        losses.append(ANNEALING.predict(Schedule(lrs))[-1])
    assert np.all(np.diff(losses) < 0)
    ramp = build("wsd", {"peak_lr": PEAK, "warmup_steps": 0, "cooldown_fraction": 0.2}, steps=STEPS)
    assert losses[-1] < ANNEALING.predict(ramp)[-1]


@pytest.mark.parametrize("search", [optimal_schedule, best_wsd])
def test_a_law_of_one_peak_does_not_choose_the_peak(search):
    found = search(MULTI_POWER["400M"], OptimumTask(steps=STEPS, peak_lr=(1e-4, 1e-3), warmup_steps=WARMUP))
    assert isinstance(found, NoOptimum)
    assert found.reason.startswith("multi_power is a law of one peak LR and cannot choose it: give it, or use auto")


def test_a_law_out_of_its_regime_has_no_optimum():
    law = MultiPowerLaw(floor=0.1, scale=0.5, exponent=0.5, drop=1e5, speed=2.0, saturation=0.6, lr_power=0.6)
    found = optimal_schedule(law, TASK)
    assert isinstance(found, NoOptimum)
    assert "a loss that is not > 0" in found.reason


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"peak_lr": (0.0, 1.0)}, "peak_lr must have 0 < low <= high, both finite, but got 0 to 1."),
        ({"peak_lr": (2.0, 1.0)}, "but got 2 to 1."),
        ({"steps": 1}, "steps must be >= 2, but got 1."),
        ({"warmup_steps": 99}, r"warmup_steps must be in \[0, 98\] \(steps - 2\), but got 99."),
        ({"min_lr": 0.5}, "min_lr must be >= 0 and below the peak LR 0.1, but got 0.5."),
    ],
)
def test_a_task_that_cannot_be_is_refused(changes, says):
    with pytest.raises(ScheduleError, match=says):
        OptimumTask(**{"steps": 100, "peak_lr": (0.1, 0.1), **changes})
