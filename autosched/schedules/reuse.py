"""Reuse, don't retrain: go on from the pretraining's final LR, without any warmup, and decay to a hundredth of it.

With n = steps - warmup_steps, u = (t - warmup_steps) / n, and r = final_lr_ratio::

    lr[t] = peak_lr * (r + (1 - r) * (1 + cos(pi * u)) / 2)         r = 0.01

`peak_lr` is the LR the pretraining ended at, where this run starts; the authors found any warmup to hurt, so
``warmup_steps`` stays 0 unless asked for. They change the data to a mix for question answering where the LR has fallen
to a fifth of where it started. It is a cosine under other defaults, to the bit.

Source: Parmar et al. 2024, arXiv:2407.07263: abstract read; start, end, no warmup and the switch as two reviews of the
full text report them, the cosine as a third does.

Example:
    >>> from autosched.schedules import build
    >>> build("reuse", {"peak_lr": 1.0}, steps=4).lrs.round(4).tolist()
    [1.0, 0.855, 0.505, 0.155]
"""

from __future__ import annotations

from dataclasses import replace

from autosched.schedules.composition import composed
from autosched.schedules.decays import decay_body
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR
from autosched.schedules.progress import cosine

EARLIER_FINAL_LR = replace(
    PEAK_LR, meaning="LR the earlier run ended at, where this one starts", search_low=1e-6, search_high=1e-2
)
REUSE = composed(
    replace(
        decay_body(cosine),
        parameters=(EARLIER_FINAL_LR, replace(FINAL_LR_RATIO, default=0.01)),
    )
).family(
    "reuse",
    summary="continual pretraining: half a cosine from an earlier run's last LR to a hundredth of it",
    source="Parmar et al. 2024 (Reuse, don't retrain), arXiv:2407.07263",
    formula="peak (r + (1 - r) (1 + cos(pi u)) / 2), peak the earlier run's last LR",
)
