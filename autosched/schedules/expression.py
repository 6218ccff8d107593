"""A formula of your own: any body that can be written in one line, read safely.

::

    lr[warmup_steps + t] = expression(t, T, peak)

name   meaning                                                      unit
t      update after the warmup, 0, 1, .., T - 1                     updates
T      updates after the warmup, steps - warmup_steps               updates
peak   `peak_lr`                                                    LR

so ``peak * (1 - t / T)`` is the linear decay. What an expression may say is in :mod:`autosched.schedules.formula`. Its
LRs must be finite, >= 0 and nowhere above the peak (but for the rounding of the last bits); the first update at which
they are not is named. A list of expressions in a space is a choice among them.

Example:
    >>> from autosched.schedules import build
    >>> decay = "peak * (1 - t / T) if t < T / 2 else peak / 8"
    >>> build("expression", {"peak_lr": 1.0, "expression": decay}, steps=4).lrs.tolist()
    [1.0, 0.75, 0.125, 0.125]
    >>> build("expression", {"peak_lr": 1.0, "expression": "peak * tanh(t)"}, steps=4)
    Traceback (most recent call last):
    autosched.errors.ScheduleError: expression.expression: column 8: 'tanh' is no function here; there are sqrt, exp, \
log, sin, cos, abs, floor, min, max.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.composition import composed
from autosched.schedules.formula import read_formula
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of, text_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece

NAMES = ("t", "T", "peak")
ROUNDING = 1e-12
"""Relative excess over the peak that is rounding, as of ``sin(x)**2 + cos(x)**2``."""


def expression_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1."""
    peak = float_of(params, "peak_lr")
    return [Piece(steps - start, lambda t: np.minimum(peak, _computed(params, t, steps - start)))]


def _computed(params: Params, t: Any, updates: int) -> Any:
    """The formula's value at the updates `t` after the warmup."""
    values = {"t": t, "T": np.float64(updates), "peak": np.float64(float_of(params, "peak_lr"))}
    return 0 * t + read_formula(text_of(params, "expression"), NAMES).value(values)


def _fault(params: Params, steps: int) -> str | None:
    updates = steps - int_of(params, "warmup_steps")
    try:
        lrs = _computed(params, np.arange(updates, dtype=np.float64), updates)
    except ScheduleError as error:
        return f"expression: {error}"
    peak = float_of(params, "peak_lr")
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~(np.isfinite(lrs) & (lrs >= 0) & (lrs <= peak * (1 + ROUNDING))))
    if bad.size == 0:
        return None
    first = int(bad[0])
    got = f"but is {float(lrs[first])!r} at t = {first} of T = {updates}"
    return f"expression must be in [0, peak_lr] at every update, and peak_lr is {peak!r}, {got}."


EXPRESSION_TEXT = Parameter(name="expression", kind="text", meaning="LR as a formula in t, T and peak", unit="LR")
EXPRESSION = composed(Body(parameters=(PEAK_LR, EXPRESSION_TEXT), pieces=expression_pieces, fault=_fault)).family(
    "expression",
    summary="warmup, then a formula of your own in t, T and peak",
    source="yours",
    formula="what you write",
)
