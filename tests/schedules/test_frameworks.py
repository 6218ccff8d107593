"""Families that exist in torch, transformers and optax have the same LR at every step, to 1e-12 of that LR (float64).

Two things about the other side's digits, measured here and nowhere hidden by an absolute tolerance:

* Frameworks write ``(1 + cos(pi u)) / 2``, which keeps 1e-16 of 1 and so few digits of its own where it is near 0: of
  a decay to 0 over T updates the last LR is wrong by up to ``4e-17 * T**2`` of itself (9e-12 measured for T = 1000,
  8e-10 for T = 10,000, where the last 27 updates are off by more than 1e-12). So is ``begin + (end - begin) * p`` when
  `end` is millionths of `begin`. At those steps, and at no others, the two differ by more than 1e-12. ``assert_same``
  then asks for the formula in 50 digits: theirs must be what is off, and ours right to 1e-14.
* torch's ``CosineAnnealingLR`` and ``PolynomialLR`` multiply the LR they had before, and their rounding adds up. Both
  are compared as a training loop uses them, by ``step()``, and in their closed form: the chained form stays within
  1e-12 up to 10,000 updates.
"""

import mpmath
import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as theirs

from autosched.schedules import build

RELATIVE = 1e-12
OURS = 1e-14
PEAK = 0.013


def optimizer_of(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def stepped(make, steps, *, lr=PEAK):
    """LRs of a training loop with a torch scheduler, float64 of shape (steps,)."""
    optimizer = optimizer_of(lr)
    scheduler = make(optimizer)
    seen = []
    for step in range(steps):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return np.array(seen)


def in_closed_form(make, steps):
    scheduler = make(optimizer_of(PEAK))
    seen = []
    for step in range(steps):
        scheduler.last_epoch = step
        seen.append(scheduler._get_closed_form_lr()[0])
    return np.array(seen)


def assert_same(ours, others, exact=None):
    """Within 1e-12 of each LR; where not, `exact` (step -> LR in 50 digits) must say that the others are off."""
    assert ours.shape == others.shape
    off = np.flatnonzero(np.abs(ours - others) > RELATIVE * np.abs(others))
    if exact is None:
        assert off.size == 0, f"{off.size} steps differ, the first one is {off[0]}"
        return
    assert off.size <= max(1, 0.005 * ours.size)
    with mpmath.workdps(50):
        for step in off.tolist():
            value = exact(step)
            assert abs(ours[step] - value) <= OURS * value
            assert abs(others[step] - value) > 0.5 * RELATIVE * value


def exact_cosine(begin, end, share):
    """From `begin` to `end` at `share` of the way, in the digits of the context."""
    return end + (begin - end) * (1 + mpmath.cos(mpmath.pi * share)) / 2


@pytest.mark.parametrize("lrs_of", [stepped, in_closed_form])
@pytest.mark.parametrize("steps", [10, 1000, 10_000])
@pytest.mark.parametrize("final", [0.0, 1e-3, 0.1])
def test_cosine_is_torch_s(final, steps, lrs_of):
    others = lrs_of(lambda o: theirs.CosineAnnealingLR(o, T_max=steps, eta_min=final * PEAK), steps)
    ours = build("cosine", {"peak_lr": PEAK, "final_lr_ratio": final}, steps=steps).lrs

    def exact(step):
        return exact_cosine(mpmath.mpf(PEAK), mpmath.mpf(final * PEAK), mpmath.mpf(step) / steps)

    assert_same(ours, others, exact if final == 0 else None)


@pytest.mark.parametrize("lrs_of", [stepped, in_closed_form])
@pytest.mark.parametrize("steps", [10, 1000, 10_000])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_polynomial_is_torch_s(power, steps, lrs_of):
    others = lrs_of(lambda o: theirs.PolynomialLR(o, total_iters=steps, power=power), steps)
    assert_same(build("polynomial", {"peak_lr": PEAK, "decay_power": power}, steps=steps).lrs, others)


def test_exponential_is_torch_s():
    others = stepped(lambda o: theirs.ExponentialLR(o, gamma=0.01 ** (1 / 500)), 500)
    assert_same(build("exponential", {"peak_lr": PEAK, "final_lr_ratio": 0.01}, steps=500).lrs, others)


def test_step_decay_is_torch_s():
    others = stepped(lambda o: theirs.StepLR(o, step_size=30, gamma=0.1), 90)
    assert_same(build("step_decay", {"peak_lr": PEAK, "drops": 2, "drop_factor": 0.1}, steps=90).lrs, others)


@pytest.mark.parametrize("divisors", [(25.0, 1e4), (10.0, 10.0)])
@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize(
    ("phases", "rise"), [("two", 0.3), ("two", 0.25), ("two", 1.0), ("three", 0.3), ("three", 0.5)]
)
@pytest.mark.parametrize("steps", [7, 1000])
def test_one_cycle_is_torch_s(steps, phases, rise, shape, divisors):
    others = stepped(
        lambda o: theirs.OneCycleLR(
            o,
            max_lr=PEAK,
            total_steps=steps,
            pct_start=rise,
            anneal_strategy={"cosine": "cos", "linear": "linear"}[shape],
            three_phase=phases == "three",
            div_factor=divisors[0],
            final_div_factor=divisors[1],
        ),
        steps,
    )
    ratios = {"initial_lr_ratio": 1 / divisors[0], "final_lr_ratio": 1 / divisors[0] / divisors[1]}
    params = {"peak_lr": PEAK, "rise_fraction": rise, "anneal_shape": shape, "phases": phases, **ratios}

    def exact(step):  # of the last phase; no other comes near 0
        begin, start = (PEAK, rise * steps - 1) if phases == "two" else (PEAK / divisors[0], 2 * rise * steps - 2)
        share = (step - mpmath.mpf(start)) / (steps - 1 - mpmath.mpf(start))
        ends = mpmath.mpf(begin), mpmath.mpf(PEAK) * ratios["final_lr_ratio"]
        return exact_cosine(*ends, share) if shape == "cosine" else ends[1] + (ends[0] - ends[1]) * (1 - share)

    ours = build("one_cycle", params, steps=steps).lrs
    assert_same(ours, others, exact if ratios["final_lr_ratio"] < 1e-3 else None)


def test_one_cycle_has_torch_s_defaults():
    others = stepped(lambda o: theirs.OneCycleLR(o, max_lr=PEAK, total_steps=100), 100)
    assert_same(build("one_cycle", {"peak_lr": PEAK}, steps=100).lrs, others)


@pytest.mark.parametrize("shape", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize(("up", "down"), [(50, 50), (30, 90), (7, 3), (1, 1), (1500, 1500)])
def test_cyclic_is_torch_s_in_all_three_modes(up, down, shape):
    steps, base = 2000, 0.1 * PEAK
    others = stepped(
        lambda o: theirs.CyclicLR(
            o, base_lr=base, max_lr=PEAK, step_size_up=up, step_size_down=down, mode=shape, gamma=0.2 ** (1 / steps)
        ),
        steps,
        lr=base,
    )
    params = {"peak_lr": PEAK, "base_lr_ratio": 0.1, "rise_fraction": up / (up + down), "cycle_shape": shape}
    height = {"final_height_ratio": 0.2} if shape == "exp_range" else {}
    assert_same(build("cyclic", {**params, **height, "cycle_steps": up + down}, steps=steps).lrs, others)
    assert_same(build("cyclic", {**params, **height, "cycles": steps / (up + down)}, steps=steps).lrs, others)


@pytest.mark.parametrize(
    ("first", "growth", "steps"), [(50, 1, 400), (50, 2, 400), (50, 2, 350), (10, 3, 400), (9, 7, 99)]
)
@pytest.mark.parametrize("final", [0.0, 0.01])
def test_warm_restarts_are_torch_s(final, first, growth, steps):
    others = stepped(
        lambda o: theirs.CosineAnnealingWarmRestarts(o, T_0=first, T_mult=growth, eta_min=final * PEAK), steps
    )
    params = {"peak_lr": PEAK, "cycle_growth": growth, "final_lr_ratio": final}
    assert_same(build("warm_restarts", {**params, "first_cycle_steps": first}, steps=steps).lrs, others)


def test_whole_cycles_that_fill_the_run_are_torch_s_too():
    params = {"peak_lr": PEAK, "cycles": 4, "cycle_growth": 2}
    others = stepped(lambda o: theirs.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=2), 150)
    assert_same(build("warm_restarts", params, steps=150).lrs, others)


RAMP = {"warmup_steps": 100, "warmup_shape": "ramp"}
TRANSFORMERS = {
    "linear": ("get_linear_schedule_with_warmup", {}, "linear", {}),
    "cosine": ("get_cosine_schedule_with_warmup", {}, "cosine", {}),
    "cosine_with_min_lr": (
        "get_cosine_with_min_lr_schedule_with_warmup",
        {"min_lr_rate": 0.1},
        "cosine",
        {"final_lr_ratio": 0.1},
    ),
    "polynomial": (
        "get_polynomial_decay_schedule_with_warmup",
        {"power": 1.5, "lr_end": 0.01 * PEAK},
        "polynomial",
        {"decay_power": 1.5, "final_lr_ratio": 0.01},
    ),
    "hard_restarts": (
        "get_cosine_with_hard_restarts_schedule_with_warmup",
        {"num_cycles": 3},
        "warm_restarts",
        {"cycles": 3, "cycle_growth": 1},
    ),
}


def of_transformers(name, steps, **arguments):
    from transformers import optimization

    return stepped(lambda o: getattr(optimization, name)(o, num_warmup_steps=100, **arguments), steps)


@pytest.mark.parametrize("case", TRANSFORMERS)
def test_decays_with_a_warmup_are_transformers(case):
    name, arguments, family, params = TRANSFORMERS[case]
    others = of_transformers(name, 1000, num_training_steps=1000, **arguments)

    def exact(step):  # of the cosine to 0
        return exact_cosine(mpmath.mpf(PEAK), 0, mpmath.mpf(step - 100) / 900)

    ours = build(family, {"peak_lr": PEAK, **RAMP, **params}, steps=1000).lrs
    assert_same(ours, others, exact if case == "cosine" else None)


@pytest.mark.parametrize("final", [0.0, 0.1])
@pytest.mark.parametrize(("shape", "their_shape"), [("linear", "linear"), ("cosine", "cosine"), ("sqrt", "1-sqrt")])
def test_wsd_is_transformers(shape, their_shape, final):
    others = of_transformers(
        "get_wsd_schedule",
        1000,
        num_decay_steps=200,
        num_training_steps=1000,
        decay_type=their_shape,
        min_lr_ratio=final,
    )
    params = {"cooldown_fraction": 0.2, "cooldown_shape": shape, "final_lr_ratio": final, "warmup_start_ratio": final}
    assert_same(build("wsd", {"peak_lr": PEAK, **RAMP, **params}, steps=1000).lrs, others)


@pytest.mark.parametrize("timescale", [None, 37, 10_000])
def test_inverse_square_root_is_transformers(timescale):
    others = of_transformers("get_inverse_sqrt_schedule", 3000, timescale=timescale)
    params = {"peak_lr": PEAK, **RAMP, "timescale_steps": timescale or 100}
    assert_same(build("inverse_sqrt", params, steps=3000).lrs, others)


@pytest.mark.parametrize("final", [0.0, 0.1])
@pytest.mark.parametrize("begin", [0.0, 0.2])
def test_cosine_with_a_warmup_is_optax_s(begin, final):
    import jax
    import optax

    with jax.enable_x64(True):
        schedule = optax.warmup_cosine_decay_schedule(
            init_value=begin * PEAK, peak_value=PEAK, warmup_steps=100, decay_steps=1000, end_value=final * PEAK
        )
        others = np.asarray(schedule(jax.numpy.arange(1000, dtype="float64")))
    assert others.dtype == np.float64
    params = {"peak_lr": PEAK, **RAMP, "warmup_start_ratio": begin, "final_lr_ratio": final}

    def exact(step):
        return exact_cosine(mpmath.mpf(PEAK), mpmath.mpf(final * PEAK), mpmath.mpf(step - 100) / 900)

    assert_same(build("cosine", params, steps=1000).lrs, others, exact if final == 0 else None)
