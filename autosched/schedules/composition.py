"""The usual way to make a family: a body that any warmup may come before and any cooldown after."""

from __future__ import annotations

from autosched.schedules.cooldowns import OPTIONAL_COOLDOWN
from autosched.schedules.floors import FLOOR
from autosched.schedules.parts import Body, Parts
from autosched.schedules.warmups import WARMUP


def composed(body: Body) -> Parts:
    """The body with any warmup and any cooldown; neither is there unless it is asked for.

    Example:
        >>> from autosched.schedules.constant import CONSTANT_BODY
        >>> family = composed(CONSTANT_BODY).family("flat", summary="", source="")
        >>> params = {"peak_lr": 1.0, "cooldown_shape": "square", "cooldown_fraction": 0.5}
        >>> family.lrs(family.complete(params, steps=8), 8).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.9375, 0.75, 0.4375]
    """
    return Parts(body=body, warmup=WARMUP, cooldown=OPTIONAL_COOLDOWN, floor=FLOOR)
