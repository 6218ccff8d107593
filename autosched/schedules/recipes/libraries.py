"""Recipes of libraries: timm, Hugging Face's transformers, Keras.

With t the update, counted from 0, and T the updates of the run::

    timm-cosine       e = floor(t / updates_per_epoch)
                      e < W      init + (lr - init) e / W                 W = warmup_t, init = warmup_lr_init
                      e < N      min + (lr - min) (1 + cos(pi (e / N)**k)) / 2                N = t_initial, k = k_decay
                      e >= N     lr_min; with warmup_prefix yes, e counts from the warmup's end here
    timm-step         e < W      the same; then lr decay_rate**floor(e / decay_t), e from the warmup's end
    hf-cosine-with-min-lr          t < W   lr t / W; then min + (lr - min) (1 + cos(2 pi c (t - W) / (N - W))) / 2
    hf-cosine-warmup-with-min-lr   t < W   lr (w + (1 - w) t / (W - 1)); then the same with t + 1 for t
    keras-cosine      t < W      init + (lr - init) t / W                 W = warmup_steps
                      then       lr (a + (1 - a) (1 + cos(pi min(t - W, D) / D)) / 2)         D = decay_steps, a = alpha
    keras-exponential            lr decay_rate**(t / decay_steps), staircase: of the whole number below

Sources, all read: ``huggingface/pytorch-image-models`` ``timm/scheduler/cosine_lr.py`` and ``step_lr.py``;
``huggingface/transformers`` ``src/transformers/optimization.py``; ``keras-team/keras``
``keras/src/optimizers/schedules/learning_rate_schedule.py``.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "t_initial": 2, "warmup_t": 1, "warmup_lr_init": 0.5, "updates_per_epoch": 3}
    >>> build("timm-cosine", params, steps=8).lrs.round(3).tolist()
    [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]
"""

from __future__ import annotations

import numpy as np

from autosched.schedules.elementary import cos, power
from autosched.schedules.parameter import Parameter, Params, float_of, int_of, text_of
from autosched.schedules.pieces import Curve, Piece
from autosched.schedules.recipes.spans import (
    TO_THE_END,
    Recipe,
    between,
    count,
    half_cosine,
    lr,
    not_above_the_peak,
    of_share,
    option,
    peak,
    ratio,
    spans,
)


def timm_cosine(params: Params, steps: int) -> list[Piece]:
    """timm's ``CosineLRScheduler`` of one cycle."""
    top, low, power_of_k = float_of(params, "peak_lr"), float_of(params, "lr_min"), float_of(params, "k_decay")
    epoch, warmup = int_of(params, "updates_per_epoch"), int_of(params, "warmup_t")
    before = warmup if text_of(params, "warmup_prefix") == "yes" else 0
    length = int_of(params, "t_initial") or max(1, -(-steps // epoch) - before)
    curve = between(top, low, lambda e: half_cosine(power((e - before) / length, power_of_k)))
    end = (before + length) * epoch
    return spans(steps, _timm_warmup(params), (end, _stairs(curve, epoch)), (TO_THE_END, low))


def timm_step(params: Params, steps: int) -> list[Piece]:
    """timm's ``StepLRScheduler``."""
    top, rate, length = float_of(params, "peak_lr"), float_of(params, "decay_rate"), int_of(params, "decay_t")
    before = int_of(params, "warmup_t") if text_of(params, "warmup_prefix") == "yes" else 0
    curve: Curve = lambda e: top * power(rate, np.floor((e - before) / length))  # noqa: E731
    return spans(steps, _timm_warmup(params), (TO_THE_END, _stairs(curve, int_of(params, "updates_per_epoch"))))


def _timm_warmup(params: Params) -> tuple[float, Curve]:
    top, init = float_of(params, "peak_lr"), float_of(params, "warmup_lr_init")
    epoch, warmup = int_of(params, "updates_per_epoch"), int_of(params, "warmup_t")
    return warmup * epoch, _stairs(lambda e: init + e * ((top - init) / warmup), epoch)


def _stairs(curve: Curve, epoch: int) -> Curve:
    """A curve of the epoch as one of the update."""
    return (lambda t: curve(np.floor(t / epoch))) if epoch > 1 else curve


def hf_cosine_with_min_lr(params: Params, steps: int) -> list[Piece]:
    """transformers' ``get_cosine_with_min_lr_schedule_with_warmup``."""
    warmup, top = int_of(params, "num_warmup_steps"), float_of(params, "peak_lr")
    return spans(steps, (warmup, lambda t: top * (t / warmup)), (TO_THE_END, _hf_cosine(params, steps, ahead=0)))


def hf_cosine_warmup_with_min_lr(params: Params, steps: int) -> list[Piece]:
    """transformers' ``get_cosine_with_min_lr_schedule_with_warmup_lr_rate``."""
    warmup, top, begin = (
        int_of(params, "num_warmup_steps"),
        float_of(params, "peak_lr"),
        float_of(params, "warmup_lr_rate"),
    )
    rise: Curve = lambda t: top * (begin + (1 - begin) * t / max(1, warmup - 1))  # noqa: E731
    return spans(steps, (warmup, rise), (TO_THE_END, _hf_cosine(params, steps, ahead=1)))


def _hf_cosine(params: Params, steps: int, *, ahead: int) -> Curve:
    top, low = float_of(params, "peak_lr"), float_of(params, "min_lr")
    warmup, cycles = int_of(params, "num_warmup_steps"), float_of(params, "num_cycles")
    updates = max(1, (int_of(params, "num_training_steps") or steps) - warmup)
    if cycles == 0.5:
        return between(top, low, lambda t: half_cosine((t - warmup + ahead) / updates))
    angle = 2 * np.pi * cycles
    return between(top, low, lambda t: np.maximum(0.5 * (1 + cos(angle * (t - warmup + ahead) / updates)), 0.0))


def keras_cosine(params: Params, steps: int) -> list[Piece]:
    """Keras' ``CosineDecay``."""
    top, alpha, warmup = float_of(params, "peak_lr"), float_of(params, "alpha"), int_of(params, "warmup_steps")
    init, updates = float_of(params, "initial_learning_rate"), int_of(params, "decay_steps") or max(1, steps - warmup)
    fall = between(top, top * alpha, of_share(warmup, warmup + updates, half_cosine))
    rise: Curve = lambda t: (top - init) * (t / warmup) + init  # noqa: E731
    return spans(steps, (warmup, rise), (warmup + updates, fall), (TO_THE_END, top * alpha))


def keras_exponential(params: Params, steps: int) -> list[Piece]:
    """Keras' ``ExponentialDecay``."""
    top, rate, length = float_of(params, "peak_lr"), float_of(params, "decay_rate"), int_of(params, "decay_steps")
    stairs = text_of(params, "staircase") == "yes"
    passed: Curve = (lambda t: np.floor(t / length)) if stairs else lambda t: t / length
    return spans(steps, (TO_THE_END, lambda t: top * power(rate, passed(t))))


_EPOCH = count("updates_per_epoch", "updates with one LR: those of an epoch; 1 for --sched-on-updates", 1, low=1)
_TIMM_WARMUP = (
    count("warmup_t", "epochs of the linear warmup"),
    lr("warmup_lr_init", "LR of the first epoch of a warmup"),
)
TIMM_COSINE = Recipe(
    (
        peak("lr"),
        _EPOCH,
        count("t_initial", "epochs of the cosine; 0 is the run's, without those of a warmup that is a prefix"),
        lr("lr_min", "LR that is reached and kept"),
        *_TIMM_WARMUP,
        option("warmup_prefix", "whether the cosine counts from the end of the warmup", "no", "yes"),
        Parameter(name="k_decay", kind="float", meaning="exponent of the progress", low=0, low_open=True, default=1.0),
    ),
    timm_cosine,
    fault=not_above_the_peak("lr_min", "warmup_lr_init"),
).family(
    "timm-cosine",
    summary="timm: half a cosine in stairs of an epoch, to an absolute LR, which is kept",
    code="huggingface/pytorch-image-models, timm/scheduler/cosine_lr.py",
    formula="min + (peak - min) (1 + cos(pi (e / N)**k)) / 2, e = floor(t / updates_per_epoch)",
)
TIMM_STEP = Recipe(
    (
        peak("lr"),
        _EPOCH,
        count("decay_t", "epochs between two drops", 30, low=1),
        ratio("decay_rate", "LR after a drop over the LR before it", 0.1, unit=""),
        *_TIMM_WARMUP,
        option("warmup_prefix", "whether the drops count from the end of the warmup", "yes", "no"),
    ),
    timm_step,
    fault=not_above_the_peak("warmup_lr_init"),
).family(
    "timm-step",
    summary="timm: drops by one factor, in stairs of an epoch",
    code="huggingface/pytorch-image-models, timm/scheduler/step_lr.py",
    formula="peak decay_rate**floor(e / decay_t), e = floor(t / updates_per_epoch)",
)
_HF = (
    peak("learning_rate"),
    count("num_warmup_steps", "updates of the linear warmup"),
    lr("min_lr", "LR the cosine ends at"),
    Parameter(name="num_cycles", kind="float", meaning="waves of the cosine", low=0, high=1000, default=0.5),
    count("num_training_steps", "updates of warmup and cosine; 0 is the run's"),
)
HF_COSINE_WITH_MIN_LR = Recipe(_HF, hf_cosine_with_min_lr, fault=not_above_the_peak("min_lr")).family(
    "hf-cosine-with-min-lr",
    summary="transformers' cosine_with_min_lr: half a cosine to an absolute LR",
    code="huggingface/transformers, src/transformers/optimization.py, cosine_with_min_lr",
    formula="min + (peak - min) (1 + cos(2 pi c (t - W) / (N - W))) / 2",
)
HF_COSINE_WARMUP_WITH_MIN_LR = Recipe(
    (*_HF, ratio("warmup_lr_rate", "LR of the first update", 0.0)),
    hf_cosine_warmup_with_min_lr,
    fault=not_above_the_peak("min_lr"),
).family(
    "hf-cosine-warmup-with-min-lr",
    summary="transformers' cosine_warmup_with_min_lr: from a floor up, half a cosine that ends on the last update",
    code="huggingface/transformers, src/transformers/optimization.py, cosine_warmup_with_min_lr",
    formula="min + (peak - min) (1 + cos(2 pi c (t + 1 - W) / (N - W))) / 2",
)
KERAS_COSINE = Recipe(
    (
        peak("warmup_target, or initial_learning_rate without a warmup"),
        count("warmup_steps", "updates of the linear warmup"),
        lr("initial_learning_rate", "LR of the first update of a warmup"),
        count("decay_steps", "updates of the cosine; 0 is all after the warmup"),
        ratio("alpha", "LR that is reached and kept", 0.0),
    ),
    keras_cosine,
    fault=not_above_the_peak("initial_learning_rate"),
).family(
    "keras-cosine",
    summary="Keras' CosineDecay: half a cosine, then its last LR",
    code="keras-team/keras, keras/src/optimizers/schedules/learning_rate_schedule.py, CosineDecay",
    formula="peak (a + (1 - a) (1 + cos(pi min(t - W, D) / D)) / 2)",
)
KERAS_EXPONENTIAL = Recipe(
    (
        peak("initial_learning_rate"),
        count("decay_steps", "updates in which the LR falls by decay_rate", 1000, low=1),
        ratio("decay_rate", "LR after decay_steps updates over the LR before them", 0.9, unit=""),
        option("staircase", "whether it falls at once, or a little every update", "no", "yes"),
    ),
    keras_exponential,
).family(
    "keras-exponential",
    summary="Keras' ExponentialDecay, smooth or in stairs",
    code="keras-team/keras, keras/src/optimizers/schedules/learning_rate_schedule.py, ExponentialDecay",
    formula="peak decay_rate**(t / decay_steps)",
)
