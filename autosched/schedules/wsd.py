"""Warmup, stable, decay: the peak LR until a cooldown at the end.

::

    lr[t] = peak_lr * rise[t]                 before update W = warmup_steps
    lr[t] = peak_lr                           before the cooldown
    lr[t] = peak_lr * fall[t - C]             from its first update C on

`rise` is one of :mod:`autosched.schedules.warmups`, `fall` one of :mod:`autosched.schedules.cooldowns` (which also say
how many updates the cooldown has) with r = ``final_lr_ratio``. With a warmup of 30 of 600 updates every
``cooldown_fraction`` from 0.95 to 1 gives the same curve, the one that starts to decay right after the warmup.

Example:
    >>> from autosched.schedules import build
    >>> build("wsd", {"peak_lr": 1.0, "cooldown_fraction": 0.5, "cooldown_shape": "square"}, steps=8).lrs.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.9375, 0.75, 0.4375]
"""

from __future__ import annotations

from autosched.schedules.constant import CONSTANT_BODY
from autosched.schedules.cooldowns import COOLDOWN
from autosched.schedules.floors import FLOOR
from autosched.schedules.parts import Parts
from autosched.schedules.warmups import WARMUP

__all__ = ["COOLDOWN", "WSD"]

WSD = Parts(body=CONSTANT_BODY, warmup=WARMUP, cooldown=COOLDOWN, floor=FLOOR).family(
    "wsd",
    summary="warmup, the peak LR, then a cooldown at the end",
    source="Hu et al. 2024 (MiniCPM), arXiv:2404.06395; 1 - sqrt: Hägele et al. 2024, arXiv:2405.18392",
    formula="peak; then peak (r + (1 - r) g(v)) in the cooldown",
)
