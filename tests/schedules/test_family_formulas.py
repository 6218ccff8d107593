"""Every family against the literal formula of its source, one update at a time, in plain Python."""

import math
import time

import numpy as np
import pytest

from autosched.schedules import build, get_family

RELATIVE = 1e-13
ABSOLUTE = 1e-15  # of the peak: the literal forms lose that much where 1 - sqrt(u) or 1 + cos(pi u) is near 0

LITERAL_SHAPES = {
    "linear": lambda u: 1 - u,
    "sqrt": lambda u: 1 - math.sqrt(u),
    "cosine": lambda u: (1 + math.cos(math.pi * u)) / 2,
    "power": lambda u: (1 - u) ** 1.5,
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
    if shape == "exponential":
        return peak_lr * final**u
    return peak_lr * (final + (1 - final) * LITERAL_SHAPES[shape](u))


@pytest.mark.parametrize("shape", ["linear", "sqrt", "cosine", "power", "exponential"])
@pytest.mark.parametrize("final", [0.0, 0.1])
@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("warmup_steps", [0, 30])
def test_wsd_is_its_formula(shape, final, fraction, warmup_steps):
    if shape == "exponential":
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
        return steps - get_family("wsd").trunk_steps(schedule.params, steps)

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


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("constant", {}),
        ("linear", {}),
        ("cosine", {}),
        *[
            ("wsd", {"cooldown_fraction": 1.0, "cooldown_shape": shape, "final_lr_ratio": 0.1})
            for shape in ("linear", "sqrt", "cosine", "exponential", "power")
        ],
        ("piecewise", {"values": [0.1, 0.2], "boundaries": [500_000]}),
    ],
)
def test_a_million_updates_take_less_than_50_ms(family, params):
    if family != "piecewise":
        params = {"peak_lr": 0.1, "warmup_steps": 1000, **params}

    def seconds():
        start = time.process_time()  # the processor's time: what else the machine does must not fail the test
        build(family, params, steps=1_000_000)
        return time.process_time() - start

    assert min(seconds() for _ in range(5)) < 0.05
