"""Every recipe has the LR of its code at every update, to 1e-12: here is each code's formula once more, in 50 digits.

The formulas are written again from the codes' own (named in ``autosched/schedules/recipes``), update by update, with
their branches and their names; numbers are exact and functions have 50 digits, so that what differs is ours.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules import build, get_family, recipe_names
from autosched.testing.schedule_contract import FamilyContract

M = mpmath.mpf
LR = 3e-4


def cosine(x: Any) -> Any:
    return (1 + mpmath.cos(mpmath.pi * x)) / 2


def nanogpt(it, T, learning_rate, *, warmup_iters=0, lr_decay_iters=0, min_lr=0.0):
    lr_decay_iters = lr_decay_iters or T
    if it < warmup_iters:
        return learning_rate * M(it + 1) / (warmup_iters + 1)
    if it > lr_decay_iters:
        return M(min_lr)
    return min_lr + cosine(M(it - warmup_iters) / (lr_decay_iters - warmup_iters)) * (learning_rate - min_lr)


def torchtitan(
    step, T, lr, *, warmup_steps=0, decay_ratio=0.0, decay_type="linear", min_lr_factor=0.0, virtual_last_step="yes"
):
    decay = min(round(T * decay_ratio) if decay_ratio else T - warmup_steps, T - warmup_steps)
    stable = T - warmup_steps - decay + (virtual_last_step == "yes")
    if step < warmup_steps:
        return lr * M(step + 1) / warmup_steps
    if step < warmup_steps + stable:
        return M(lr)
    progress = M(step + 1 - warmup_steps - stable) / decay
    shape = {"linear": 1 - progress, "sqrt": 1 - mpmath.sqrt(progress), "cosine": cosine(progress)}[decay_type]
    return lr * (min_lr_factor + (1 - M(min_lr_factor)) * shape)


def olmo(update, T, learning_rate, *, t_warmup=0, warmup_min_lr_ratio=0.1, alpha_f=0.1, t_max=0):
    step, t_max, floor = update + 1, t_max or T, M(learning_rate) * alpha_f
    if step < t_warmup:
        return learning_rate * (warmup_min_lr_ratio + (1 - M(warmup_min_lr_ratio)) * min(step, t_warmup) / t_warmup)
    if step >= t_max:
        return floor
    return floor + (learning_rate - floor) * cosine(M(step - t_warmup) / (t_max - t_warmup))


def deepseek_v3(t, T, lr, *, warmup_steps=2000, tokens=(10.0, 4.3, 0.167), total=14.8):
    stable, decay, last = (share / total for share in tokens)
    if t < warmup_steps:
        return M(lr) * t / warmup_steps
    if t < stable * T:
        return M(lr)
    if t < (stable + decay) * T:
        low = M(lr) * 0.1
        return low + (lr - low) * cosine((t - M(stable * T)) / ((stable + decay) * T - M(stable * T)))
    return M(lr) * (0.1 if t < (1 - last) * T else 7.3e-6 / 2.2e-4)


def deepseek_llm(t, T, lr, *, warmup_steps=2000):
    if t < warmup_steps:
        return M(lr) * t / warmup_steps
    return M(lr) * (1.0 if t < 0.8 * T else 0.316 if t < 0.9 * T else 0.1)


def minicpm(s, T, lr, *, warmup_steps=0, decay_steps=0, half_life_steps=5000):
    stable_end = T - (decay_steps or round(0.1 * T))
    if s < warmup_steps:
        return M(lr) * s / warmup_steps
    return M(lr) if s < stable_end else lr * M(0.5) ** (M(s - stable_end) / half_life_steps)


def megatron(
    num_steps, T, max_lr, *, lr_warmup_iters=0, lr_warmup_init=0.0, lr_decay_iters=0, min_lr=0.0,
    lr_decay_style="linear", lr_wsd_decay_iters=1, lr_wsd_decay_style="exponential",
):  # fmt: skip
    end = lr_decay_iters or T
    if lr_warmup_iters > 0 and num_steps <= lr_warmup_iters:
        return lr_warmup_init + (M(max_lr) - lr_warmup_init) * num_steps / lr_warmup_iters
    if lr_decay_style == "constant":
        return M(max_lr)
    if num_steps > end:
        return M(min_lr)
    if lr_decay_style == "inverse-square-root":
        return max(M(min_lr), max_lr * mpmath.sqrt(max(lr_warmup_iters, 1)) / mpmath.sqrt(max(num_steps, 1)))
    ratio = M(num_steps - lr_warmup_iters) / (end - lr_warmup_iters)
    if lr_decay_style == "WSD":
        begin = end - lr_wsd_decay_iters
        y = M(num_steps - begin) / lr_wsd_decay_iters
        annealed = {
            "linear": 1 - y, "cosine": cosine(y), "exponential": 2 * M(0.5) ** y - 1,
            "minus_sqrt": 1 - mpmath.sqrt(abs(y)),
        }  # fmt: skip
        coefficient = M(1) if num_steps <= begin else annealed[lr_wsd_decay_style]
    else:
        coefficient = 1 - ratio if lr_decay_style == "linear" else cosine(ratio)
    return min_lr + coefficient * (M(max_lr) - min_lr)


def nemo(step, T, lr, *, warmup_steps=0, constant_steps=0, max_steps=0, min_lr=0.0):
    max_steps = max_steps or T
    decay_steps = max_steps - constant_steps - warmup_steps
    if warmup_steps > 0 and step <= warmup_steps:
        return M(lr) * step / warmup_steps if constant_steps else M(lr) * (step + 1) / (warmup_steps + 1)
    if step > max_steps - constant_steps:
        return M(min_lr)
    return (M(lr) - min_lr) * cosine(M(step - warmup_steps) / decay_steps) + min_lr


def deepspeed(
    update, T, lr, *, scheduler="WarmupDecayLR", warmup_num_steps=1000, warmup_type="log", warmup_min_lr=0.0,
    warmup_min_ratio=0.0, cos_min_ratio=1e-4, total_num_steps=0,
):  # fmt: skip
    iteration, W, total = update - 1, max(2, warmup_num_steps), total_num_steps or T
    cos = scheduler == "WarmupCosineLR"
    if iteration < 0:
        return M(0) if cos else M(warmup_min_lr)
    if iteration < W:
        gamma = mpmath.log(iteration + 1) / mpmath.log(W) if warmup_type == "log" else M(iteration) / W
        low = M(warmup_min_ratio) * lr if cos else M(warmup_min_lr)
        return low + (lr - low) * gamma
    if cos:
        progress = min(M(1), M(iteration - W + 1) / max(1, total - W))
        return lr * (cos_min_ratio + (1 - M(cos_min_ratio)) * cosine(progress))
    gamma = M(1) if scheduler == "WarmupLR" else max(M(0), M(total - iteration) / max(1, total - W))
    return warmup_min_lr + (M(lr) - warmup_min_lr) * gamma


def timm_cosine(
    update, T, lr, *, updates_per_epoch=1, t_initial=0, lr_min=0.0, warmup_t=0, warmup_lr_init=0.0, warmup_prefix="no",
    k_decay=1.0,
):  # fmt: skip
    t, prefix = update // updates_per_epoch, warmup_t if warmup_prefix == "yes" else 0
    t_initial = t_initial or -(-T // updates_per_epoch) - prefix
    if t < warmup_t:
        return warmup_lr_init + t * (M(lr) - warmup_lr_init) / warmup_t
    t -= prefix
    if t // t_initial >= 1:
        return M(lr_min)
    return lr_min + (M(lr) - lr_min) * cosine(M(t) ** k_decay / M(t_initial) ** k_decay)


def timm_step(
    update,
    T,
    lr,
    *,
    updates_per_epoch=1,
    decay_t=30,
    decay_rate=0.1,
    warmup_t=0,
    warmup_lr_init=0.0,
    warmup_prefix="yes",
):
    t = update // updates_per_epoch
    if t < warmup_t:
        return warmup_lr_init + t * (M(lr) - warmup_lr_init) / warmup_t
    return lr * M(decay_rate) ** ((t - (warmup_t if warmup_prefix == "yes" else 0)) // decay_t)


def hf_min_lr(step, T, lr, *, num_warmup_steps=0, min_lr=0.0, num_cycles=0.5, num_training_steps=0):
    if step < num_warmup_steps:
        return M(lr) * step / num_warmup_steps
    progress = M(step - num_warmup_steps) / max(1, (num_training_steps or T) - num_warmup_steps)
    return (M(lr) - min_lr) * cosine(num_cycles * 2 * progress) + min_lr


def hf_warmup_min_lr(
    step, T, lr, *, num_warmup_steps=0, min_lr=0.0, num_cycles=0.5, num_training_steps=0, warmup_lr_rate=0.0
):
    if step < num_warmup_steps:
        return lr * (warmup_lr_rate + (1 - M(warmup_lr_rate)) * step / max(1, num_warmup_steps - 1))
    progress = M(step - num_warmup_steps + 1) / max(1, (num_training_steps or T) - num_warmup_steps)
    return (M(lr) - min_lr) * cosine(num_cycles * 2 * progress) + min_lr


def keras_cosine(step, T, target, *, warmup_steps=0, initial_learning_rate=0.0, decay_steps=0, alpha=0.0):
    decay_steps = decay_steps or T - warmup_steps
    step = min(step, decay_steps + warmup_steps)
    if step < warmup_steps:
        return (M(target) - initial_learning_rate) * step / warmup_steps + initial_learning_rate
    return target * ((1 - M(alpha)) * cosine(M(step - warmup_steps) / decay_steps) + alpha)


def keras_exponential(step, T, lr, *, decay_steps=1000, decay_rate=0.9, staircase="no"):
    return lr * M(decay_rate) ** (step // decay_steps if staircase == "yes" else M(step) / decay_steps)


CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("nanogpt", nanogpt, {}),
    ("nanogpt", nanogpt, {"warmup_iters": 20, "lr_decay_iters": 200, "min_lr": 3e-5}),
    ("nanogpt", nanogpt, {"warmup_iters": 7, "lr_decay_iters": 300, "min_lr": 1e-5}),
    ("nanogpt", nanogpt, {"warmup_iters": 100, "lr_decay_iters": 600_000, "min_lr": 6e-5}),
    *(
        ("torchtitan-wsd", torchtitan, {"warmup_steps": 20, "decay_type": kind, **more})
        for kind in ("linear", "sqrt", "cosine")
        for more in (
            {"decay_ratio": 0.2},
            {"decay_ratio": 0.35, "min_lr_factor": 0.1, "virtual_last_step": "no"},
            {"virtual_last_step": "no"},
        )
    ),
    ("torchtitan-wsd", torchtitan, {"decay_ratio": 1.0}),
    ("olmo", olmo, {"t_warmup": 20}),
    ("olmo", olmo, {"t_warmup": 20, "t_max": 150, "alpha_f": 0.05, "warmup_min_lr_ratio": 0.0}),
    ("deepseek-v3", deepseek_v3, {"warmup_steps": 20}),
    ("deepseek-llm", deepseek_llm, {"warmup_steps": 20}),
    ("minicpm", minicpm, {"warmup_steps": 20, "half_life_steps": 9}),
    ("minicpm", minicpm, {"warmup_steps": 20, "decay_steps": 60}),
    *(
        ("megatron", megatron, {"lr_decay_style": style, "min_lr": 3e-5, **more})
        for style in ("linear", "cosine", "inverse-square-root", "constant")
        for more in ({}, {"lr_warmup_iters": 20, "lr_warmup_init": 1e-6, "lr_decay_iters": 180})
    ),
    *(
        (
            "megatron",
            megatron,
            {
                "lr_decay_style": "WSD",
                "lr_wsd_decay_style": style,
                "lr_wsd_decay_iters": 50,
                "lr_warmup_iters": 20,
                "lr_decay_iters": 210,
                "min_lr": 1e-5,
            },
        )
        for style in ("exponential", "linear", "cosine", "minus_sqrt")
    ),
    ("nemo", nemo, {"warmup_steps": 20, "min_lr": 3e-5, "max_steps": 200}),
    ("nemo", nemo, {"warmup_steps": 20, "constant_steps": 40, "min_lr": 3e-5}),
    ("nemo", nemo, {"min_lr": 1e-5}),
    *(
        ("deepspeed", deepspeed, {"scheduler": kind, "warmup_type": warmup, "warmup_num_steps": 20, **more})
        for warmup in ("log", "linear")
        for kind, more in (
            ("WarmupLR", {"warmup_min_lr": 1e-5}),
            ("WarmupDecayLR", {"warmup_min_lr": 1e-5, "total_num_steps": 150}),
            ("WarmupDecayLR", {}),
            ("WarmupCosineLR", {"warmup_min_ratio": 0.1, "cos_min_ratio": 0.05, "total_num_steps": 150}),
        )
    ),
    ("timm-cosine", timm_cosine, {"updates_per_epoch": 7, "warmup_t": 5, "warmup_lr_init": 1e-6, "lr_min": 1e-5}),
    ("timm-cosine", timm_cosine, {"updates_per_epoch": 10, "t_initial": 15, "lr_min": 1e-5, "k_decay": 1.5}),
    ("timm-cosine", timm_cosine, {"warmup_t": 20, "warmup_prefix": "yes", "lr_min": 1e-5}),
    ("timm-step", timm_step, {"updates_per_epoch": 7, "decay_t": 6, "decay_rate": 0.97, "warmup_t": 3}),
    ("timm-step", timm_step, {"decay_t": 50, "warmup_t": 20, "warmup_lr_init": 1e-6, "warmup_prefix": "no"}),
    ("hf-cosine-with-min-lr", hf_min_lr, {"num_warmup_steps": 20, "min_lr": 3e-5}),
    ("hf-cosine-with-min-lr", hf_min_lr, {"num_warmup_steps": 20, "min_lr": 3e-5, "num_cycles": 1.5}),
    ("hf-cosine-warmup-with-min-lr", hf_warmup_min_lr, {"num_warmup_steps": 20, "min_lr": 3e-5, "warmup_lr_rate": 0.1}),
    (
        "keras-cosine",
        keras_cosine,
        {"warmup_steps": 20, "initial_learning_rate": 1e-6, "alpha": 0.1, "decay_steps": 99},
    ),
    ("keras-cosine", keras_cosine, {}),
    ("keras-exponential", keras_exponential, {"decay_steps": 40}),
    ("keras-exponential", keras_exponential, {"decay_steps": 40, "staircase": "yes"}),
]


@pytest.mark.parametrize(("name", "formula", "params"), CASES)
def test_a_recipe_is_its_code_s_formula_at_every_update(name: str, formula: Any, params: dict[str, Any]) -> None:
    T = 240
    lrs = build(name, {"peak_lr": LR, **params}, steps=T).lrs
    with mpmath.workdps(50):
        expected = [formula(t, T, M(LR), **params) for t in range(T)]
        off = [t for t, lr in enumerate(lrs) if abs(M(float(lr)) - expected[t]) > abs(expected[t]) * M(10) ** -12]
    assert off == []


def test_every_recipe_is_compared_with_its_code() -> None:
    assert {name for name, _, _ in CASES} == set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_keeps_the_promises_of_families(name: str) -> None:
    class TestRecipe(FamilyContract):
        family = get_family(name)
        examples = 30

    TestRecipe().test_the_family_keeps_every_promise()
    TestRecipe().test_the_parameters_describe_themselves()


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("nanogpt", {"min_lr": 1e-3}, r"nanogpt\.min_lr must be <= peak_lr \(0.0003\), but got 0.001\."),
        ("nanogpt", {"warmup_iters": 300}, r"warmup_iters must be below lr_decay_iters \(240\), but got 300\."),
        ("megatron", {"lr_warmup_iters": 240}, r"lr_warmup_iters must be below lr_decay_iters \(240\), but got 240\."),
        ("deepseek-v3", {"last_share": 0.5}, r"last_share plus the other shares must be <= 1, but is 1.466"),
        ("olmo", {"warmup_steps": 3}, r"olmo has no parameter 'warmup_steps'; it has peak_lr, t_warmup"),
    ],
)
def test_what_a_code_would_not_take_is_refused(name: str, params: dict[str, Any], says: str) -> None:
    with pytest.raises(ScheduleError, match=says):
        build(name, {"peak_lr": LR, **params}, steps=240)


def test_a_floor_stays_where_it_is_when_the_peak_moves() -> None:
    params = {"warmup_iters": 20, "lr_decay_iters": 200, "min_lr": 3e-5}
    for top in (1e-4, 1e-3):
        lrs = build("nanogpt", {"peak_lr": top, **params}, steps=240).lrs
        assert np.all(lrs[200:] == 3e-5)
        assert lrs.max() == top
