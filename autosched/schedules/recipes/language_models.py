"""Recipes of codes and reports of language models: nanoGPT, torchtitan, OLMo, DeepSeek, MiniCPM.

With t the update, counted from 0, and T the updates of the run::

    nanogpt           t < W      lr (t + 1) / (W + 1)                     W = warmup_iters
                      t <= D     min + (lr - min) (1 + cos(pi (t - W) / (D - W))) / 2      D = lr_decay_iters
                      t > D      min_lr
    torchtitan-wsd    t < W      lr (t + 1) / W                           W = warmup_steps
                      t < W + S  lr
                      else       lr (m + (1 - m) g((t + 1 - W - S) / D))  D = round(decay_ratio T), m = min_lr_factor
                                 g(x): 1 - x, 1 - sqrt(x), (1 + cos(pi x)) / 2
                      S = T + 1 - W - D; with virtual_last_step no, S = T - W - D
    olmo              s = t + 1
                      s < W      lr (w + (1 - w) s / W)                   W = t_warmup, w = warmup_min_lr_ratio
                      s < D      a lr + (1 - a) lr (1 + cos(pi (s - W) / (D - W))) / 2     a = alpha_f, D = t_max
                      s >= D     a lr
    deepseek-v3       t < W      lr t / W                                 W = warmup_steps
                      t < a T    lr                                       a = stable_share
                      t < b T    m lr + (1 - m) lr (1 + cos(pi x)) / 2    b = a + decay_share, x from a T to b T
                      t < c T    m lr                                     c = 1 - last_share, m = min_lr_ratio
                      else       last_lr_ratio lr
    deepseek-llm      t < W      lr t / W
                      then       lr, 0.316 lr from 80% of the updates on, 0.1 lr from 90% on
    minicpm           t < W      lr t / W                                 W = warmup_steps
                      t < T - D  lr                                       D = decay_steps
                      else       lr 0.5**((t - (T - D)) / half_life_steps)

Sources, all read but where it is said: ``karpathy/nanoGPT`` ``train.py``, ``get_lr`` (of its copies; the warmup without
the two ``+ 1`` is that of before 2024); ``pytorch/torchtitan`` ``torchtitan/components/lr_scheduler.py`` (the virtual
last step keeps the last update above the floor; before it was added, the last update had reached it);
``allenai/OLMo`` ``olmo/optim.py``, ``CosWithWarmup``, whose first update is step 1 (``warmup_min_lr`` is absolute
there, and a tenth of the peak where it is not set); DeepSeek-AI 2024, arXiv:2412.19437, section 4.2 (not read there:
10, 4.3, 0.333 and 0.167 of 14.8 trillion tokens; here shares of the updates, since the batch's own schedule is no LR's
business), counted as in ``mindspore-lab/mindformers``, ``ConstantWithCoolDownLR``; DeepSeek-AI 2024, arXiv:2401.02954
(not read there); Hu et al. 2024 (MiniCPM), arXiv:2404.06395, as two readers give it (the half-life from memory).

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "warmup_iters": 3, "lr_decay_iters": 7, "min_lr": 0.1}
    >>> build("nanogpt", params, steps=10).lrs.round(3).tolist()
    [0.25, 0.5, 0.75, 1.0, 0.868, 0.55, 0.232, 0.1, 0.1, 0.1]
"""

from __future__ import annotations

import numpy as np

from autosched.schedules.elementary import power
from autosched.schedules.parameter import Params, float_of, int_of, text_of
from autosched.schedules.pieces import Piece
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
    ratio,
    share,
    spans,
)


def nanogpt(params: Params, steps: int) -> list[Piece]:
    """nanoGPT's ``get_lr``."""
    top, low, warmup = float_of(params, "peak_lr"), float_of(params, "min_lr"), int_of(params, "warmup_iters")
    end = int_of(params, "lr_decay_iters") or steps
    return spans(
        steps,
        (warmup, lambda t: top * (t + 1) / (warmup + 1)),
        (end + 1, between(top, low, of_share(warmup, end, half_cosine))),
        (TO_THE_END, low),
    )


def _nanogpt_fault(params: Params, steps: int) -> str | None:
    warmup, end = int_of(params, "warmup_iters"), int_of(params, "lr_decay_iters") or steps
    if warmup >= end:
        return f"warmup_iters must be below lr_decay_iters ({end}), but got {warmup}."
    return not_above_the_peak("min_lr")(params, steps)


def torchtitan_wsd(params: Params, steps: int) -> list[Piece]:
    """torchtitan's ``linear_warmup_stable_decay``."""
    top, low, warmup = float_of(params, "peak_lr"), float_of(params, "min_lr_factor"), int_of(params, "warmup_steps")
    warmup = min(warmup, steps)
    asked = round(steps * float_of(params, "decay_ratio")) if float_of(params, "decay_ratio") else steps
    decay = min(asked, steps - warmup)
    virtual = 1 if text_of(params, "virtual_last_step") == "yes" else 0
    stable_end = steps + virtual - decay
    shape = {"linear": line, "sqrt": lambda x: 1 - np.sqrt(x), "cosine": half_cosine}[text_of(params, "decay_type")]
    height = of_share(stable_end - 1, stable_end - 1 + max(decay, 1), shape)
    return spans(
        steps,
        (warmup, lambda t: top * ((t + 1) / warmup)),
        (stable_end, top),
        (TO_THE_END, lambda t: top * between(1.0, low, height)(t)),
    )


def olmo(params: Params, steps: int) -> list[Piece]:
    """OLMo's ``CosWithWarmup``; the first update is its step 1."""
    top, warmup, alpha = float_of(params, "peak_lr"), int_of(params, "t_warmup"), float_of(params, "alpha_f")
    begin = float_of(params, "warmup_min_lr_ratio")
    end = int_of(params, "t_max") or steps
    return spans(
        steps,
        (warmup - 1, lambda t: top * (begin + (1 - begin) * (t + 1) / warmup)),
        (end - 1, between(top, top * alpha, of_share(warmup - 1, end - 1, half_cosine))),
        (TO_THE_END, top * alpha),
    )


def deepseek_v3(params: Params, steps: int) -> list[Piece]:
    """The schedule of DeepSeek-V3's report."""
    top, warmup = float_of(params, "peak_lr"), int_of(params, "warmup_steps")
    low, last = top * float_of(params, "min_lr_ratio"), top * float_of(params, "last_lr_ratio")
    begin = float_of(params, "stable_share") * steps
    end = (float_of(params, "stable_share") + float_of(params, "decay_share")) * steps
    return spans(
        steps,
        (warmup, lambda t: top * t / warmup),
        (begin, top),
        (end, between(top, low, of_share(begin, end, half_cosine))),
        ((1 - float_of(params, "last_share")) * steps, low),
        (TO_THE_END, last),
    )


def _deepseek_v3_fault(params: Params, steps: int) -> str | None:
    parts = ("stable_share", "decay_share", "last_share")
    total = sum(float_of(params, name) for name in parts)
    return None if total <= 1 + 1e-12 else f"last_share plus the other shares must be <= 1, but is {total:g}."


def deepseek_llm(params: Params, steps: int) -> list[Piece]:
    """DeepSeek LLM's multi-step schedule."""
    top, warmup = float_of(params, "peak_lr"), int_of(params, "warmup_steps")
    return spans(
        steps,
        (warmup, lambda t: top * t / warmup),
        (float_of(params, "first_drop_share") * steps, top),
        (float_of(params, "second_drop_share") * steps, top * float_of(params, "first_drop_ratio")),
        (TO_THE_END, top * float_of(params, "second_drop_ratio")),
    )


def minicpm(params: Params, steps: int) -> list[Piece]:
    """MiniCPM's WSD with its exponential annealing."""
    top, warmup, half = float_of(params, "peak_lr"), int_of(params, "warmup_steps"), int_of(params, "half_life_steps")
    begin = max(warmup, steps - (int_of(params, "decay_steps") or round(0.1 * steps)))
    return spans(
        steps,
        (warmup, lambda t: top * t / warmup),
        (begin, top),
        (TO_THE_END, lambda t: top * power(0.5, share(begin, begin + half)(t))),
    )


NANOGPT = Recipe(
    (
        peak("learning_rate"),
        count("warmup_iters", "updates of the linear warmup"),
        count("lr_decay_iters", "update that has reached min_lr; 0 is the run's updates"),
        lr("min_lr", "LR that is reached and kept"),
    ),
    nanogpt,
    fault=_nanogpt_fault,
).family(
    "nanogpt",
    summary="nanoGPT: half a cosine to an absolute LR, which is kept",
    code="karpathy/nanoGPT, train.py, get_lr",
    formula="min + (peak - min) (1 + cos(pi (t - W) / (D - W))) / 2, min_lr after D = lr_decay_iters",
)
TORCHTITAN_WSD = Recipe(
    (
        peak("lr"),
        count("warmup_steps", "updates of the linear warmup"),
        ratio(
            "decay_ratio",
            "updates of the decay; 0 is all after the warmup",
            0.0,
            unit="share of the run",
        ),
        option("decay_type", "shape of the decay", "linear", "sqrt", "cosine"),
        ratio("min_lr_factor", "LR the decay ends at", 0.0),
        option("virtual_last_step", "whether the floor lies one update past the last one", "yes", "no"),
    ),
    torchtitan_wsd,
).family(
    "torchtitan-wsd",
    summary="torchtitan: warmup, peak, decay; the floor on the last update or just after it",
    code="pytorch/torchtitan, torchtitan/components/lr_scheduler.py",
    formula="peak (m + (1 - m) g((t + 1 - W - S) / D)) in the decay",
)
OLMO = Recipe(
    (
        peak("learning_rate"),
        count("t_warmup", "updates of the linear warmup"),
        ratio("warmup_min_lr_ratio", "LR the warmup starts from, before its first update", 0.1),
        ratio("alpha_f", "LR that is reached and kept", 0.1),
        count("t_max", "updates after which it is reached; 0 is the run's"),
    ),
    olmo,
    fault=lambda params, steps: (
        None
        if int_of(params, "t_warmup") < (int_of(params, "t_max") or steps)
        else f"t_warmup must be below t_max ({int_of(params, 't_max') or steps}), but got {int_of(params, 't_warmup')}."
    ),
).family(
    "olmo",
    summary="OLMo: warmup from a tenth of the peak, half a cosine that has ended on the last update",
    code="allenai/OLMo, olmo/optim.py, CosWithWarmup",
    formula="a peak + (1 - a) peak (1 + cos(pi (s - W) / (D - W))) / 2, s = t + 1",
)
DEEPSEEK_V3 = Recipe(
    (
        peak("learning rate"),
        count("warmup_steps", "updates of the linear warmup from 0", 2000),
        ratio("stable_share", "updates until the decay begins", 10 / 14.8, unit="share of the run"),
        ratio("decay_share", "updates of the cosine", 4.3 / 14.8, unit="share of the run"),
        ratio("last_share", "updates of the last constant", 0.167 / 14.8, unit="share of the run"),
        ratio("min_lr_ratio", "LR the cosine ends at", 0.1),
        ratio("last_lr_ratio", "LR of the last constant", 7.3e-6 / 2.2e-4),
    ),
    deepseek_v3,
    fault=_deepseek_v3_fault,
).family(
    "deepseek-v3",
    summary="DeepSeek-V3: warmup, peak, cosine, and two constants at the end",
    code="DeepSeek-AI 2024, arXiv:2412.19437, section 4.2",
    formula="peak; m peak + (1 - m) peak (1 + cos(pi x)) / 2; m peak; last_lr_ratio peak",
)
DEEPSEEK_LLM = Recipe(
    (
        peak("learning rate"),
        count("warmup_steps", "updates of the linear warmup from 0", 2000),
        ratio("first_drop_share", "updates until the first drop", 0.8, unit="share of the run"),
        ratio("second_drop_share", "updates until the second drop", 0.9, unit="share of the run"),
        ratio("first_drop_ratio", "LR after the first drop", 0.316),
        ratio("second_drop_ratio", "LR after the second drop", 0.1),
    ),
    deepseek_llm,
).family(
    "deepseek-llm",
    summary="DeepSeek LLM: warmup, peak, and two drops near the end",
    code="DeepSeek-AI 2024, arXiv:2401.02954, section 2.3",
    formula="peak; 0.316 peak from 80% on; 0.1 peak from 90% on",
)
MINICPM = Recipe(
    (
        peak("max learning rate"),
        count("warmup_steps", "updates of the linear warmup from 0"),
        count("decay_steps", "updates of the annealing; 0 is a tenth of the run's"),
        count("half_life_steps", "updates in which the LR halves there", 5000, low=1),
    ),
    minicpm,
).family(
    "minicpm",
    summary="MiniCPM: warmup, peak, and an annealing that halves the LR again and again",
    code="Hu et al. 2024 (MiniCPM), arXiv:2404.06395",
    formula="peak 0.5**((t - S) / half_life_steps) from S = T - decay_steps on",
)
