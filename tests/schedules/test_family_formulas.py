"""Every family against the literal formula of its source, one update at a time, in plain Python."""

import math

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules import build, get_family

RELATIVE = 1e-13
ABSOLUTE = 1e-15  # of the peak: the literal forms lose that much where 1 - sqrt(u) or 1 + cos(pi u) is near 0

LITERAL_SHAPES = {
    "linear": lambda u: 1 - u,
    "sqrt": lambda u: 1 - math.sqrt(u),
    "cosine": lambda u: (1 + math.cos(math.pi * u)) / 2,
    "power": lambda u: (1 - u) ** 1.5,
    "mirror_cosine": lambda u: 2 * (1 - u) - (1 + math.cos(math.pi * u)) / 2,
    "square": lambda u: 1 - u**2,
}
FROM_ABOVE_ZERO = {
    "exponential": lambda u, final: final**u,
    "inverse_proportional": lambda u, final: 1 / (1 + u * (1 / final - 1)),
}


def literal_wsd(t, steps, *, peak_lr, warmup_steps, cooldown_fraction, shape, final):
    if t < warmup_steps:
        return peak_lr * (t + 1) / warmup_steps
    cooldown = max(1, math.floor(cooldown_fraction * steps + 0.5))
    cooldown = min(cooldown, steps - warmup_steps)
    start = steps - cooldown
    if t < start:
        return peak_lr
    u = (t - start) / cooldown
    if shape in FROM_ABOVE_ZERO:
        return peak_lr * FROM_ABOVE_ZERO[shape](u, final)
    return peak_lr * (final + (1 - final) * LITERAL_SHAPES[shape](u))


@pytest.mark.parametrize("shape", [*LITERAL_SHAPES, *FROM_ABOVE_ZERO])
@pytest.mark.parametrize("final", [0.0, 0.1])
@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("warmup_steps", [0, 30])
def test_wsd_is_its_formula(shape, final, fraction, warmup_steps):
    if shape in FROM_ABOVE_ZERO:
        final = max(final, 0.01)
    params = {
        "peak_lr": 0.03,
        "warmup_steps": warmup_steps,
        "cooldown_fraction": fraction,
        "cooldown_shape": shape,
        "final_lr_ratio": final,
    }
    expected = [
        literal_wsd(
            t,
            600,
            peak_lr=0.03,
            warmup_steps=warmup_steps,
            cooldown_fraction=fraction,
            shape=shape,
            final=final,
        )
        for t in range(600)
    ]
    if shape == "power":
        params["cooldown_power"] = 1.5
    np.testing.assert_allclose(build("wsd", params, steps=600).lrs, expected, rtol=RELATIVE, atol=0.03 * ABSOLUTE)


def test_every_shape_of_a_cooldown_is_among_the_formulas():
    assert set(get_family("wsd").parameters["cooldown_shape"].choices) == {*LITERAL_SHAPES, *FROM_ABOVE_ZERO}


@pytest.mark.parametrize("family", ["linear", "cosine"])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("warmup_steps", [0, 1, 99])
def test_a_decay_over_the_whole_run_is_its_formula(family, final, warmup_steps):
    def literal(t):
        if t < warmup_steps:
            return 0.01 * (t + 1) / warmup_steps
        u = (t - warmup_steps) / (100 - warmup_steps)
        return 0.01 * (final + (1 - final) * LITERAL_SHAPES[family](u))

    schedule = build(family, {"peak_lr": 0.01, "warmup_steps": warmup_steps, "final_lr_ratio": final}, steps=100)
    np.testing.assert_allclose(schedule.lrs, [literal(t) for t in range(100)], rtol=RELATIVE, atol=0.01 * ABSOLUTE)


def test_constant_is_the_peak_after_the_warmup():
    assert build("constant", {"peak_lr": 0.2, "warmup_steps": 4}, steps=6).lrs.tolist() == [
        0.05,
        0.1,
        0.15000000000000002,
        0.2,
        0.2,
        0.2,
    ]


def literal_decay(formula, steps, warmup_steps):
    """A warmup and ``formula(j, n)`` for update j of the n after it, at a peak LR of 0.02."""
    body = [0.02 * formula(j, steps - warmup_steps) for j in range(steps - warmup_steps)]
    return [body[0] * (t + 1) / warmup_steps for t in range(warmup_steps)] + body


@pytest.mark.parametrize("warmup_steps", [0, 40])
@pytest.mark.parametrize(
    ("family", "params", "formula"),
    [
        ("polynomial", {"decay_power": 0.7}, lambda j, n: (1 - j / n) ** 0.7),
        (
            "polynomial",
            {"decay_power": 3, "final_lr_ratio": 0.1},
            lambda j, n: 0.1 + 0.9 * (1 - j / n) ** 3,
        ),
        ("exponential", {"final_lr_ratio": 0.03}, lambda j, n: 0.03 ** (j / n)),
        ("inverse_sqrt", {"timescale_steps": 77}, lambda j, n: math.sqrt(77 / (j + 77))),
        ("step_decay", {"drops": 3, "drop_factor": 0.3}, lambda j, n: 0.3 ** math.floor(4 * j / n)),
        (
            "two_stage",
            {"second_stage_fraction": 0.3, "second_lr_ratio": 0.2},
            lambda j, n: 0.2 if j >= n - 180 else 1.0,
        ),
    ],
)
def test_a_decay_of_its_own_kind_is_its_formula(family, params, formula, warmup_steps):
    schedule = build(family, {"peak_lr": 0.02, "warmup_steps": warmup_steps, **params}, steps=600)
    np.testing.assert_allclose(schedule.lrs, literal_decay(formula, 600, warmup_steps), rtol=RELATIVE)


@pytest.mark.parametrize(("fraction", "second"), [(1e-9, 1), (0.5, 50), (1.0, 89)])
def test_the_second_stage_leaves_at_least_one_update_of_the_first(fraction, second):
    params = {"peak_lr": 1.0, "warmup_steps": 10, "second_stage_fraction": fraction, "second_lr_ratio": 0.5}
    lrs = build("two_stage", params, steps=100).lrs
    assert np.count_nonzero(lrs[10:] == 0.5) == second


@pytest.mark.parametrize("name", ["linear", "cosine", "sqrt", "square", "mirror_cosine"])
def test_a_cooldown_after_another_body_falls_from_the_lr_that_body_has(name):
    params = {"peak_lr": 0.1, "warmup_steps": 10, "timescale_steps": 50}
    body = build("inverse_sqrt", params, steps=200).lrs
    cooling = {"cooldown_shape": name, "cooldown_fraction": 0.25, "cooldown_final_ratio": 0.1}
    cooled = build("inverse_sqrt", {**params, **cooling}, steps=200).lrs
    np.testing.assert_array_equal(cooled[:151], body[:151])
    fall = [0.1 + 0.9 * LITERAL_SHAPES[name](j / 50) for j in range(50)]
    np.testing.assert_allclose(cooled[150:], body[150] * np.array(fall), rtol=RELATIVE)


def test_cycles_fill_the_run_and_end_at_the_base_lr():
    lrs = build("cyclic", {"peak_lr": 1.0, "base_lr_ratio": 0.1, "cycles": 3}, steps=300).lrs
    assert lrs[[0, 100, 200]].tolist() == [0.1, 0.1, 0.1]
    assert np.flatnonzero(lrs == 1.0).tolist() == [50, 150, 250]
    assert lrs[-1] == pytest.approx(0.1 + 0.9 / 50)


@pytest.mark.parametrize(("growth", "restarts"), [(1, [0, 25, 50, 75]), (2, [0, 7, 20, 47]), (3, [0, 3, 10, 33])])
def test_growing_cycles_fill_the_run_with_whole_updates(growth, restarts):
    """T_0 is 25, 100/15 and 100/40; cycle k begins at T_0 (g**k - 1) / (g - 1), to the nearest update."""
    lrs = build("warm_restarts", {"peak_lr": 1.0, "cycles": 4, "cycle_growth": growth}, steps=100).lrs
    assert np.flatnonzero(lrs == 1.0).tolist() == restarts
    for begin, end in zip(restarts, [*restarts[1:], 100], strict=True):
        assert lrs[end - 1] == pytest.approx((1 + math.cos(math.pi * (1 - 1 / (end - begin)))) / 2)


@pytest.mark.parametrize("cycles", [500, 1000, 1_000_000])
def test_cycles_beyond_number_leave_those_at_the_end(cycles):
    lrs = build("warm_restarts", {"peak_lr": 1.0, "cycles": cycles, "cycle_growth": 2}, steps=64).lrs
    assert np.flatnonzero(lrs == 1.0).tolist() == [0, 1, 2, 4, 8, 16, 32]


def test_a_growth_of_hardly_anything_is_next_to_none():
    slow = build("warm_restarts", {"peak_lr": 1.0, "cycles": 4, "cycle_growth": 1 + 1e-13}, steps=100)
    assert slow == build("warm_restarts", {"peak_lr": 1.0, "cycles": 4, "cycle_growth": 1}, steps=100)


def test_one_cycle_of_restarts_is_a_cosine_to_the_bit():
    one = build("warm_restarts", {"peak_lr": 0.1, "cycles": 1, "warmup_steps": 9}, steps=500)
    assert one.fingerprint == build("cosine", {"peak_lr": 0.1, "warmup_steps": 9}, steps=500).fingerprint


def test_more_cycles_than_updates_are_as_many_as_there_are_updates():
    assert build("warm_restarts", {"peak_lr": 0.1, "cycles": 50, "cycle_growth": 1}, steps=5).lrs.tolist() == [0.1] * 5


def test_power_one_decays_in_a_straight_line_to_the_bit():
    params = {"peak_lr": 0.1, "warmup_steps": 9, "final_lr_ratio": 0.03}
    straight = build("polynomial", {**params, "decay_power": 1}, steps=500)
    assert straight.fingerprint == build("linear", params, steps=500).fingerprint


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_one_cycle_goes_up_to_the_peak_and_down_to_its_ends(shape):
    params = {"peak_lr": 2.0, "rise_fraction": 0.25, "initial_lr_ratio": 0.1, "final_lr_ratio": 0.001}
    lrs = build("one_cycle", {**params, "anneal_shape": shape}, steps=400).lrs
    assert lrs[[0, 99, 399]] == pytest.approx([0.2, 2.0, 0.002])
    assert lrs[99] == 2.0
    assert (np.diff(lrs[:100]) > 0).all()
    assert (np.diff(lrs[99:]) < 0).all()
    three = build("one_cycle", {**params, "anneal_shape": shape, "phases": "three"}, steps=400).lrs
    assert three[[0, 99, 198, 399]] == pytest.approx([0.2, 2.0, 0.2, 0.002])
    assert (np.diff(three[99:]) < 0).all()


def test_three_phases_need_room_for_the_fall():
    with pytest.raises(ScheduleError, match=r"rise_fraction must be in \[0, 0.5\] for three phases"):
        build("one_cycle", {"peak_lr": 1.0, "rise_fraction": 0.6, "phases": "three"}, steps=100)


def test_a_rise_without_an_update_of_its_own_starts_at_the_peak():
    assert build("one_cycle", {"peak_lr": 1.0, "rise_fraction": 0.01}, steps=100).lrs[0] == 1.0


def test_piecewise_changes_at_its_boundaries():
    schedule = build("piecewise", {"values": [0.4, 0.2, 0.1], "boundaries": [2, 5]}, steps=6)
    assert schedule.lrs.tolist() == [0.4, 0.4, 0.2, 0.2, 0.2, 0.1]


def test_piecewise_needs_no_boundary_for_one_value():
    assert build("piecewise", {"values": [0.4], "boundaries": []}, steps=2).lrs.tolist() == [0.4, 0.4]


def test_a_piecewise_warmup_rises_to_the_value_due_when_it_ends():
    schedule = build("piecewise", {"values": [0.4, 0.2], "boundaries": [2], "warmup_steps": 4}, steps=6)
    assert schedule.lrs.tolist() == [0.05, 0.1, 0.15000000000000002, 0.2, 0.2, 0.2]


def test_a_table_is_what_was_given():
    schedule = build("table", {"lrs": np.array([0.1, 0.3, 0.0])}, steps=3)
    assert schedule.lrs.tolist() == [0.1, 0.3, 0.0]
    assert schedule.params == {"lrs": [0.1, 0.3, 0.0]}


def test_a_decay_starts_at_the_peak_and_ends_one_update_before_the_final_lr():
    lrs = build("linear", {"peak_lr": 1.0, "warmup_steps": 2}, steps=12).lrs
    assert lrs[2] == 1.0
    assert lrs[-1] == 0.1


def test_the_cooldown_takes_half_up_rounded_updates_of_the_whole_run():
    def cooldown_steps(fraction, steps):
        schedule = build("wsd", {"peak_lr": 1.0, "cooldown_fraction": fraction}, steps=steps)
        return steps - get_family("wsd").stable_steps(schedule.params, steps)

    assert [cooldown_steps(0.25, steps) for steps in (1, 2, 4, 5, 6, 10)] == [1, 1, 1, 1, 2, 3]
    assert cooldown_steps(1e-9, 1000) == 1


def test_a_cooldown_longer_than_the_warmup_leaves_starts_right_after_the_warmup():
    def curve(fraction):
        return build("wsd", {"peak_lr": 0.1, "warmup_steps": 30, "cooldown_fraction": fraction}, steps=600)

    assert curve(0.95) == curve(0.97) == curve(1.0)
    assert curve(0.94) != curve(0.95)
    assert curve(1.0).common_steps(build("constant", {"peak_lr": 0.1, "warmup_steps": 30}, steps=600)) == 31


@pytest.mark.parametrize("final", [0.0, 0.1, 0.3])
@pytest.mark.parametrize(("shape", "family"), [("linear", "linear"), ("cosine", "cosine")])
def test_a_cooldown_over_the_whole_run_is_the_decay_of_that_name_to_the_bit(shape, family, final):
    common = {"peak_lr": 0.013, "warmup_steps": 17, "final_lr_ratio": final}
    cooled = build("wsd", {**common, "cooldown_fraction": 1.0, "cooldown_shape": shape}, steps=501)
    assert cooled.fingerprint == build(family, common, steps=501).fingerprint


def test_power_one_is_linear_to_the_bit():
    linear = build("wsd", {"peak_lr": 0.1, "cooldown_shape": "linear"}, steps=777)
    power = build("wsd", {"peak_lr": 0.1, "cooldown_shape": "power", "cooldown_power": 1}, steps=777)
    assert power.fingerprint == linear.fingerprint


def test_the_end_of_a_long_decay_keeps_its_digits():
    steps = 1_000_000
    lrs = {
        shape: build("wsd", {"peak_lr": 1.0, "cooldown_fraction": 1.0, "cooldown_shape": shape}, steps=steps).lrs[-1]
        for shape in ("sqrt", "cosine")
    }
    # series of 1 - sqrt(1 - h) and of sin(pi h / 2)**2 for small h
    h = 1 / steps
    assert lrs["sqrt"] == pytest.approx(h / 2 + h**2 / 8, rel=1e-13)
    x = math.pi * h / 2
    assert lrs["cosine"] == pytest.approx(x**2 - x**4 / 3, rel=1e-13)
