"""Recipes of frameworks for large runs: Megatron-LM, NeMo, DeepSpeed.

With t the update, counted from 0, and T the updates of the run::

    megatron          t <= W     init + (lr - init) t / W                 W = lr_warmup_iters, init = lr_warmup_init
                      t <= D     min + (lr - min) g                       D = lr_decay_iters; min_lr after it
                      linear 1 - x, cosine (1 + cos(pi x)) / 2            x = (t - W) / (D - W)
                      inverse-square-root: max(min, lr sqrt(W / t)); constant: lr for ever
                      WSD: g = 1 until D - A, A = lr_wsd_decay_iters, then with y = (t - (D - A)) / A
                      exponential 2 * 0.5**y - 1, linear 1 - y, cosine (1 + cos(pi y)) / 2, minus_sqrt 1 - sqrt(y)
    nemo              t <= W     lr (t + 1) / (W + 1); lr t / W with constant_steps           W = warmup_steps
                      t <= D     min + (lr - min) (1 + cos(pi (t - W) / (D - W))) / 2         D = max_steps - constant
                      t > D      min_lr
    deepspeed         i = t - 1, as its first update is made before the scheduler's first step
                      i < 0      warmup_min_lr (WarmupCosineLR: 0)
                      i < W      min + (lr - min) g, g = log(i + 1) / log(W), linear: i / W   W = warmup_num_steps, >= 2
                      WarmupLR: lr; WarmupDecayLR: min + (lr - min) max(0, (N - i) / (N - W))  N = total_num_steps
                      WarmupCosineLR: lr (c + (1 - c) (1 + cos(pi min(1, (i - W + 1) / (N - W)))) / 2)

Sources, all read: ``NVIDIA/Megatron-LM`` ``megatron/core/optimizer_param_scheduler.py`` (in samples there, which cancel
where the batch is constant); ``NVIDIA/NeMo`` ``nemo/core/optim/lr_scheduler.py``, ``CosineAnnealing``;
``deepspeedai/DeepSpeed`` ``deepspeed/runtime/lr_schedules.py``.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "lr_warmup_iters": 2, "lr_decay_iters": 4, "min_lr": 0.5}
    >>> build("megatron", params, steps=6).lrs.tolist()
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]
"""

from __future__ import annotations

import math

import numpy as np

from autosched.schedules.elementary import log, power
from autosched.schedules.parameter import Parameter, Params, float_of, int_of, text_of
from autosched.schedules.pieces import Curve, Piece
from autosched.schedules.recipes.spans import (
    TO_THE_END,
    Recipe,
    between,
    count,
    half_cosine,
    line,
    lr,
    not_above_the_peak,
    of_share,
    option,
    peak,
    spans,
)


def megatron(params: Params, steps: int) -> list[Piece]:
    """Megatron-LM's ``OptimizerParamScheduler.get_lr``."""
    top, low, init = (float_of(params, name) for name in ("peak_lr", "min_lr", "lr_warmup_init"))
    warmup, end = int_of(params, "lr_warmup_iters"), int_of(params, "lr_decay_iters") or steps
    style = text_of(params, "lr_decay_style")
    rise = (warmup + 1 if warmup else 0, lambda t: init + (top - init) * t / warmup)
    if style == "constant":
        return spans(steps, rise, (TO_THE_END, top))
    if style == "inverse-square-root":
        scale = top * math.sqrt(max(warmup, 1))
        fall: Curve = lambda t: np.maximum(low, scale / np.sqrt(np.maximum(t, 1.0)))  # noqa: E731
        return spans(steps, rise, (end + 1, fall), (TO_THE_END, low))
    if style == "WSD":
        stable = end - int_of(params, "lr_wsd_decay_iters")
        shape = _WSD_SHAPES[text_of(params, "lr_wsd_decay_style")]
        anneal = between(top, low, of_share(stable, end, shape))
        return spans(steps, rise, (stable + 1, top), (end + 1, anneal), (TO_THE_END, low))
    decay = of_share(warmup, end, half_cosine if style == "cosine" else line)
    return spans(steps, rise, (end + 1, between(top, low, decay)), (TO_THE_END, low))


_WSD_SHAPES: dict[str, Curve] = {
    "exponential": lambda y: np.maximum(2 * power(0.5, y) - 1, 0.0),
    "linear": line,
    "cosine": half_cosine,
    "minus_sqrt": lambda y: 1 - np.sqrt(y),
}


def _megatron_fault(params: Params, steps: int) -> str | None:
    warmup, end = int_of(params, "lr_warmup_iters"), int_of(params, "lr_decay_iters") or steps
    if warmup >= end:
        return f"lr_warmup_iters must be below lr_decay_iters ({end}), but got {warmup}."
    anneal = int_of(params, "lr_wsd_decay_iters") if "lr_wsd_decay_iters" in params else 0
    if anneal > end - warmup:
        return f"lr_wsd_decay_iters must be at most the {end - warmup} after the warmup, but got {anneal}."
    return not_above_the_peak("min_lr", "lr_warmup_init")(params, steps)


def nemo(params: Params, steps: int) -> list[Piece]:
    """NeMo's ``CosineAnnealing``."""
    top, low, warmup = float_of(params, "peak_lr"), float_of(params, "min_lr"), int_of(params, "warmup_steps")
    constant = int_of(params, "constant_steps")
    end = (int_of(params, "max_steps") or steps) - constant
    rise: Curve = (lambda t: top * t / warmup) if constant else lambda t: top * (t + 1) / (warmup + 1)
    fall = between(top, low, of_share(warmup, end, half_cosine))
    return spans(steps, (warmup + 1 if warmup else 0, rise), (end + 1, fall), (TO_THE_END, low))


def _nemo_fault(params: Params, steps: int) -> str | None:
    used = int_of(params, "warmup_steps") + int_of(params, "constant_steps")
    most = int_of(params, "max_steps") or steps
    if used >= most:
        return f"warmup_steps and constant_steps must be below max_steps ({most}), but are {used}."
    return not_above_the_peak("min_lr")(params, steps)


def deepspeed(params: Params, steps: int) -> list[Piece]:
    """DeepSpeed's ``WarmupLR``, ``WarmupDecayLR`` and ``WarmupCosineLR``."""
    top, kind = float_of(params, "peak_lr"), text_of(params, "scheduler")
    warmup = max(2, int_of(params, "warmup_num_steps"))
    cosine = kind == "WarmupCosineLR"
    low = top * float_of(params, "warmup_min_ratio") if cosine else float_of(params, "warmup_min_lr")
    scale = 1 / float(log(float(warmup)))
    height: Curve = (
        (lambda t: scale * log(t)) if text_of(params, "warmup_type") == "log" else lambda t: (t - 1) / warmup
    )
    rise = (warmup + 1, between(top, low, height))
    first = (1, 0.0 if cosine else low)
    if kind == "WarmupLR":
        return spans(steps, first, rise, (TO_THE_END, top))
    total = int_of(params, "total_num_steps") or steps
    updates = max(1, total - warmup)
    if cosine:
        end = top * float_of(params, "cos_min_ratio")
        fall = between(top, end, lambda t: half_cosine((t - warmup) / updates))
        return spans(steps, first, rise, (warmup + updates, fall), (TO_THE_END, end))
    fall = between(top, low, lambda t: np.maximum(0.0, (total + 1 - t) / updates))
    return spans(steps, first, rise, (TO_THE_END, fall))


MEGATRON = Recipe(
    (
        peak("lr"),
        count("lr_warmup_iters", "updates of the linear warmup"),
        lr("lr_warmup_init", "LR of the first update"),
        count("lr_decay_iters", "last update of the decay; 0 is the run's updates"),
        lr("min_lr", "LR that is reached and kept"),
        option("lr_decay_style", "shape", "linear", "cosine", "inverse-square-root", "constant", "WSD"),
        Parameter(
            name="lr_wsd_decay_iters",
            kind="integer",
            meaning="updates of the annealing of WSD",
            unit="updates",
            low=1,
            default=1,
            when={"lr_decay_style": ("WSD",)},
        ),
        Parameter(
            name="lr_wsd_decay_style",
            kind="choice",
            meaning="shape of the annealing of WSD",
            choices=("exponential", "linear", "cosine", "minus_sqrt"),
            default="exponential",
            when={"lr_decay_style": ("WSD",)},
        ),
    ),
    megatron,
    fault=_megatron_fault,
).family(
    "megatron",
    summary="Megatron-LM: every decay style, to an absolute LR that is kept",
    code="NVIDIA/Megatron-LM, megatron/core/optimizer_param_scheduler.py",
    formula="min + (peak - min) g((t - W) / (D - W)), min_lr after D = lr_decay_iters",
)
NEMO = Recipe(
    (
        peak("lr"),
        count("warmup_steps", "updates of the linear warmup"),
        count("constant_steps", "updates at min_lr at the end"),
        count("max_steps", "updates with those; 0 is the run's"),
        lr("min_lr", "LR that is reached and kept"),
    ),
    nemo,
    fault=_nemo_fault,
).family(
    "nemo",
    summary="NeMo's CosineAnnealing: half a cosine to an absolute LR, which is kept",
    code="NVIDIA/NeMo, nemo/core/optim/lr_scheduler.py, CosineAnnealing",
    formula="min + (peak - min) (1 + cos(pi (t - W) / (D - W))) / 2, D = max_steps - constant_steps",
)
DEEPSPEED = Recipe(
    (
        peak("warmup_max_lr, or the optimizer's lr"),
        option("scheduler", "which of its schedulers", "WarmupDecayLR", "WarmupCosineLR", "WarmupLR"),
        count("warmup_num_steps", "updates of the warmup, at least 2", 1000),
        option("warmup_type", "shape of the warmup", "log", "linear"),
        Parameter(
            name="warmup_min_lr",
            kind="float",
            meaning="LR the warmup starts from, and WarmupDecayLR ends at",
            unit="LR",
            low=0,
            default=0.0,
            when={"scheduler": ("WarmupLR", "WarmupDecayLR")},
        ),
        Parameter(
            name="warmup_min_ratio",
            kind="float",
            meaning="LR the warmup starts from",
            unit="share of the peak LR",
            low=0,
            high=1,
            default=0.0,
            when={"scheduler": ("WarmupCosineLR",)},
        ),
        Parameter(
            name="cos_min_ratio",
            kind="float",
            meaning="LR the cosine ends at",
            unit="share of the peak LR",
            low=0,
            high=1,
            default=1e-4,
            when={"scheduler": ("WarmupCosineLR",)},
        ),
        Parameter(
            name="total_num_steps",
            kind="integer",
            meaning="updates of warmup and decay; 0 is the run's",
            unit="updates",
            low=0,
            default=0,
            when={"scheduler": ("WarmupDecayLR", "WarmupCosineLR")},
        ),
    ),
    deepspeed,
    fault=not_above_the_peak("warmup_min_lr"),
).family(
    "deepspeed",
    summary="DeepSpeed: a logarithmic or linear warmup, then the peak, a line or half a cosine",
    code="deepspeedai/DeepSpeed, deepspeed/runtime/lr_schedules.py",
    formula="min + (peak - min) log(i + 1) / log(W), i = t - 1; then peak, a line, or half a cosine",
)
