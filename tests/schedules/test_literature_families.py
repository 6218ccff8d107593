"""Families that no framework has, against the literal formulas and the numbers of their sources."""

import math

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules import build, family_names, get_family

RELATIVE = 1e-13


def after_warmup(family, formula, *, steps=400, warmup_steps=37, **params):
    """The family's LRs after the warmup, and ``formula(u)`` times the peak for each of these updates."""
    params = {"peak_lr": 0.02, "warmup_steps": warmup_steps, **params}
    updates = steps - warmup_steps
    literal = [0.02 * formula(j / updates) for j in range(updates)]
    return build(family, params, steps=steps).lrs[warmup_steps:], literal


# -- decays over the whole run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reflection", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_rex_is_its_formula(reflection, final):
    def literal(u):
        z = 1 - u
        return final + (1 - final) * z / ((1 - reflection) + reflection * z)

    lrs, expected = after_warmup("rex", literal, reflection=reflection, final_lr_ratio=final)
    np.testing.assert_allclose(lrs, expected, rtol=RELATIVE)


def test_rex_of_the_paper_is_at_two_thirds_halfway():
    assert build("rex", {"peak_lr": 1.0}, steps=1000).lrs[500] == pytest.approx(2 / 3, rel=1e-15)


@pytest.mark.parametrize("phi", [0.01, 0.5, 1.0, 2.0, 7.0, 1e6])
def test_uba_is_its_formula(phi):
    def literal(u):
        c = math.cos(math.pi * u)
        return 2 * (1 + c) / (2 * phi + (2 - phi) * (1 + c))

    lrs, expected = after_warmup("uba", literal, budget_phi=phi)
    np.testing.assert_allclose(lrs, expected, rtol=1e-9)  # the literal form cancels where 1 + c is small, ours does not


def test_uba_runs_from_a_constant_over_a_cosine_to_an_early_drop():
    def lrs(phi):
        return build("uba", {"peak_lr": 1.0, "budget_phi": phi}, steps=300).lrs

    np.testing.assert_allclose(lrs(2), build("cosine", {"peak_lr": 1.0}, steps=300).lrs, rtol=1e-12)
    assert lrs(1e-6)[:290].min() > 0.999
    assert lrs(10)[150] == pytest.approx(1 / 6)
    assert (np.diff([lrs(phi)[1:] for phi in (0.1, 1, 2, 5)], axis=0) < 0).all()


def test_uba_is_marked_as_unconfirmed_and_nothing_else_is():
    assert [name for name in family_names() if get_family(name).experimental] == ["uba"]


@pytest.mark.parametrize("base", [1.0, 1.0001, 2.0, 10.0, 100.0])
def test_cosine_power_is_what_its_authors_compute_for_epochs(base):
    """Their epochs e = 1..E have the LRs of u = e / E, scaled so that the first one is the largest."""
    epochs = 50
    proportions = [(1 + math.cos(math.pi * e / epochs)) / 2 for e in range(1, epochs + 1)]
    powers = proportions if base == 1 else [base ** (c + 1) for c in proportions]
    theirs = np.array([power - min(powers) for power in powers])
    ours = build("cosine_power", {"peak_lr": 1.0, "power_base": base}, steps=epochs).lrs
    np.testing.assert_allclose(ours[1:] / ours[1], (theirs / theirs.max())[:-1], rtol=1e-10, atol=1e-11)


def test_a_power_base_of_one_is_a_cosine_to_the_bit():
    params = {"peak_lr": 0.1, "warmup_steps": 9, "final_lr_ratio": 0.03}
    plain = build("cosine_power", {**params, "power_base": 1}, steps=500)
    assert plain.fingerprint == build("cosine", params, steps=500).fingerprint


# -- in tokens --------------------------------------------------------------------------------------------------------


def test_the_power_scheduler_gives_the_lr_the_paper_states_for_ten_trillion_tokens():
    """Section 3.2: "given a 10 trillion token corpus and a batch size 1024, the optimal learning rate is 0.0011"."""
    params = {"peak_lr": 0.02, "power_amplitude": 4.6, "batch_size": 1024, "sequence_length": 1_000_000}
    final = build("power", params, steps=10_000).final_lr  # 10,000 updates of 1024e6 tokens are 10.24e12
    assert final == pytest.approx(0.0011, rel=0.02)
    assert final == pytest.approx(1024 * 4.6 * (9_999 * 1024e6) ** -0.51, rel=1e-12)


def test_the_power_scheduler_is_its_equations():
    """Equation 8 with a warmup of 1000 updates and the last tenth cooled down."""
    batch, length, steps = 512, 4096, 20_000
    params = {"peak_lr": 0.02, "batch_size": batch, "sequence_length": length, "warmup_steps": 1000}
    params |= {"cooldown_shape": "exponential", "cooldown_fraction": 0.1, "cooldown_final_ratio": 0.01}

    def power(update):
        return min(0.02, batch * 4 * (update * batch * length) ** -0.51)

    warmup = [(i + 1) / 1000 * power(1000) for i in range(1000)]
    body = [power(update) for update in range(1000, 18_000)]
    decay = [power(18_000) * 0.01 ** (j / 2000) for j in range(2000)]
    np.testing.assert_allclose(build("power", params, steps=steps).lrs, warmup + body + decay, rtol=1e-12)


def test_at_the_same_tokens_twice_the_batch_has_twice_the_lr():
    def lrs(batch, steps):
        params = {"batch_size": batch, "sequence_length": 1024, "peak_lr": 1e9}
        return build("power", params, steps=steps).lrs

    np.testing.assert_allclose(lrs(64, 500)[1:], 2 * lrs(32, 1000)[2::2], rtol=1e-12)


def test_a_maximum_below_the_power_law_leaves_a_constant():
    assert set(build("power", {"peak_lr": 1e-4}, steps=50).lrs.tolist()) == {1e-4}


def test_the_power_scheduler_never_rises_after_its_warmup_even_where_it_starts_below_its_peak():
    params = {"peak_lr": 5.0, "batch_size": 8, "sequence_length": 128, "warmup_steps": 10}
    lrs = build("power", params, steps=200).lrs
    assert lrs[10] < 5.0
    assert (np.diff(lrs[10:]) < 0).all()
    assert (np.diff(lrs[:10]) > 0).all()


# -- cycles and checkpoints -------------------------------------------------------------------------------------------


def test_every_decayed_checkpoint_of_wsd_s_ends_a_schedule_of_its_own():
    """Up to the first checkpoint it is the WSD run that ends there, to the bit; every segment starts at the peak."""
    params = {"peak_lr": 0.03, "warmup_steps": 20, "checkpoints": 3, "decay_fraction": 0.2, "final_lr_ratio": 0.1}
    schedule = build("wsd_s", params, steps=800)
    first = {"peak_lr": 0.03, "warmup_steps": 20, "cooldown_fraction": 0.2, "final_lr_ratio": 0.1}
    alone = build("wsd", {**first, "cooldown_shape": "inverse_proportional"}, steps=200)
    assert schedule.prefix_fingerprint(200) == alone.fingerprint
    for begin, end in ((200, 400), (400, 800)):
        decay = (end - begin) // 5
        assert (schedule.lrs[begin : end - decay + 1] == 0.03).all()
        inverse = 1 / schedule.lrs[end - decay : end]
        np.testing.assert_allclose(np.diff(inverse), (1 / 0.003 - 1 / 0.03) / decay, rtol=1e-10)
        assert schedule.lrs[end - 1] < 0.1 * 0.03 * (1 + 10 / decay)


def test_checkpoints_within_the_warmup_are_left_out():
    params = {"peak_lr": 1.0, "warmup_steps": 30, "checkpoints": 6, "checkpoint_spacing": "even", "decay_fraction": 0.5}
    lrs = build("wsd_s", params, steps=60).lrs
    assert np.flatnonzero(np.diff(lrs[30:]) > 0).tolist() == [9, 19]  # up again at 40 and 50, not at 10, 20, 30


def test_the_cyclic_trade_off_is_warm_restarts_with_a_cosine():
    params = {"peak_lr": 0.1, "warmup_steps": 5, "cycles": 4, "cycle_growth": 1.7, "final_lr_ratio": 0.01}
    ours = build("cyclic_tradeoff", params, steps=333)
    assert ours.fingerprint == build("warm_restarts", params, steps=333).fingerprint


def test_the_ends_of_the_cycles_are_budgets_that_grow():
    lrs = build("cyclic_tradeoff", {"peak_lr": 1.0, "cycle_shape": "linear"}, steps=150).lrs
    ends = [*(np.flatnonzero(np.diff(lrs) > 0) + 1).tolist(), 150]
    assert ends == [10, 30, 70, 150]
    assert lrs[np.array(ends) - 1] == pytest.approx([1 / 10, 1 / 20, 1 / 40, 1 / 80])


# -- continual pretraining --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["cosine", "inverse_sqrt"])
def test_infinite_is_its_formula(shape):
    peak, constant, steps, descent, anneal = 0.002, 0.0005, 1000, 200, 100
    params = {"peak_lr": peak, "warmup_steps": 50, "descent_shape": shape, "constant_lr_ratio": constant / peak}
    params |= {"descent_fraction": descent / steps, "cooldown_fraction": anneal / steps, "cooldown_final_ratio": 1e-3}

    def h(x):
        return 1 / math.sqrt(1 + 10 * x) - 1

    def down(x):
        if shape == "inverse_sqrt":
            return peak + (constant - peak) / h(1) * h(x)
        return constant + (peak - constant) / 2 * (1 + math.cos(math.pi * x))

    literal = [peak * (i + 1) / 50 for i in range(50)] + [down(j / descent) for j in range(descent)]
    literal += [constant] * (steps - 50 - descent - anneal) + [constant * 1e-3 ** (j / anneal) for j in range(anneal)]
    np.testing.assert_allclose(build("infinite", params, steps=steps).lrs, literal, rtol=1e-12)


def test_anneals_of_an_infinite_schedule_share_everything_before_them():
    def schedule(**anneal):
        return build("infinite", {"peak_lr": 0.01, **anneal}, steps=1000)

    endless = schedule(cooldown_shape="none")
    early, late = schedule(cooldown_fraction=0.4), schedule(cooldown_fraction=0.1, cooldown_shape="linear")
    assert (early.common_steps(endless), late.common_steps(endless)) == (601, 901)
    assert endless.final_lr == 0.01 * 0.3


def test_rewarming_once_is_a_ramp_and_a_cosine_to_the_bit():
    rewarm = {"peak_lr": 0.01, "rewarm_fraction": 0.02, "initial_lr_ratio": 0.1, "final_lr_ratio": 0.05}
    ramp = {"peak_lr": 0.01, "warmup_steps": 10, "warmup_shape": "ramp", "warmup_start_ratio": 0.1}
    cosine = build("cosine", {**ramp, "final_lr_ratio": 0.05}, steps=500)
    assert build("rewarm", rewarm, steps=500).fingerprint == cosine.fingerprint


def test_every_stage_rewarms_from_where_the_one_before_it_ended():
    params = {"peak_lr": 1.0, "stages": 3, "rewarm_fraction": 0.1, "later_peak_ratio": 0.5}
    lrs = build("rewarm", params, steps=300).lrs
    assert lrs[[0, 10, 100, 110, 200, 210]] == pytest.approx([0.1, 1.0, 0.1, 0.5, 0.1, 0.5])
    for end in (100, 200, 300):
        assert lrs[end - 1] == pytest.approx(0.1, abs=1e-3)
    assert np.abs(np.diff(lrs)).max() < 0.1  # no jump anywhere


def test_a_later_peak_below_the_final_lr_is_refused():
    params = {"peak_lr": 1.0, "stages": 2, "later_peak_ratio": 0.05}
    with pytest.raises(ScheduleError, match=r"^rewarm.later_peak_ratio must be >= final_lr_ratio \(0.1\), .* got 0.05"):
        build("rewarm", params, steps=100)


def test_reuse_is_a_cosine_to_a_hundredth():
    ours = build("reuse", {"peak_lr": 4.5e-7}, steps=400)
    assert ours.fingerprint == build("cosine", {"peak_lr": 4.5e-7, "final_lr_ratio": 0.01}, steps=400).fingerprint
    assert ours.lrs[0] == 4.5e-7
    assert ours.final_lr == pytest.approx(4.5e-9, rel=0.01)


# -- splines ----------------------------------------------------------------------------------------------------------


def test_a_spline_goes_through_its_knots():
    shares = {"knot_1": 0.9, "knot_2": 0.2, "knot_3": 0.5, "knot_4": 0.01}
    free = build("spline", {"peak_lr": 1.0, **shares, "spline_kind": "free"}, steps=400).lrs
    assert free[[0, 100, 200, 300]] == pytest.approx([1.0, 0.9, 0.2, 0.5], rel=1e-14)
    falling = build("spline", {"peak_lr": 1.0, **shares}, steps=400).lrs
    assert falling[[0, 100, 200, 300]] == pytest.approx([1.0, 0.9, 0.18, 0.09], rel=1e-14)
    assert falling[-1] == pytest.approx(0.0009, rel=0.1)


def test_a_falling_spline_never_rises_and_a_free_one_has_no_turn_between_its_knots():
    rng = np.random.default_rng(0)
    for _ in range(50):
        knots = {f"knot_{i}": float(share) for i, share in enumerate(rng.uniform(1e-6, 1, 6), start=1)}
        params = {"peak_lr": 0.3, "knots": 6, **knots}
        assert (np.diff(build("spline", params, steps=600).lrs) <= 0.3e-15).all()
        free = build("spline", {**params, "spline_kind": "free"}, steps=600).lrs
        assert free.max() <= 0.3
        for part in range(6):
            directions = np.sign(np.diff(free[100 * part : 100 * (part + 1)]))
            assert np.unique(directions).size == 1


def test_a_spline_has_as_many_numbers_as_knots():
    assert [name for name in build("spline", {"peak_lr": 1.0}, steps=9).params if name.startswith("knot_")] == [
        f"knot_{i}" for i in range(1, 5)
    ]
    with pytest.raises(ScheduleError, match=r"spline.knot_3 exists only when knots is 3 or .*, but knots is 2"):
        build("spline", {"peak_lr": 1.0, "knots": 2, "knot_3": 0.1}, steps=9)


def test_one_falling_knot_is_an_exponential():
    ours = build("spline", {"peak_lr": 0.1, "knots": 1, "knot_1": 0.01}, steps=200).lrs
    np.testing.assert_allclose(ours, build("exponential", {"peak_lr": 0.1}, steps=200).lrs, rtol=1e-13)


# -- all of them ------------------------------------------------------------------------------------------------------


def test_every_registered_family_has_a_formula():
    assert [name for name in family_names() if not get_family(name).formula] == []
