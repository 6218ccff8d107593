"""The elementary functions that curves are made of: of numpy arrays, and of the terms a curve is written down with.

Those of :mod:`autosched.schedules.portable` where numpy's would depend on the machine; ``numpy.sqrt``, ``square``,
``floor``, ``minimum``, ``maximum`` and ``abs`` do not and are used as they are.

Example:
    >>> cosine_of = cos(0.0)
    >>> float(cosine_of), float(power(2.0, 0.5)) == 2**0.5
    (1.0, True)
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from autosched.schedules import portable
from autosched.schedules.term import called, where

__all__ = ["cos", "exp", "expm1", "log", "power", "sin", "where"]

MOST_FACTORS = 8
"""Of a power that is computed as a product, each rounding by half a unit of the last place."""

sin = called("sin", portable.sin)
cos = called("cos", portable.cos)
exp = called("exp", portable.exp)
expm1 = called("expm1", portable.expm1)
log = called("log", portable.log)
_power = called("power", portable.power)


def power(x: Any, y: Any) -> Any:
    """``x**y`` of an x >= 0, of any x for a y that is 1, 2, .. 8: a product then."""
    if isinstance(y, int | float) and y in range(1, MOST_FACTORS + 1):
        return functools.reduce(operator.mul, [x] * int(y))
    return np.sqrt(x) if isinstance(y, int | float) and y == 0.5 else _power(x, y)
