"""Numbers and containers as plain JSON data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def json_safe(value: Any) -> Any:
    """The value as JSON data: mappings are dicts, sequences lists, numpy numbers plain, NaN and infinities None.

    Example:
        >>> json_safe({"a": (1.5, float("nan")), "b": np.float64(2.0)})
        {'a': [1.5, None], 'b': 2.0}
    """
    if isinstance(value, Mapping):
        return {str(name): json_safe(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rounded(value: float, digits: int) -> float:
    """A number with so many significant digits.

    Example:
        >>> rounded(1.23456789, 4), rounded(0.00012345678, 3)
        (1.235, 0.000123)
    """
    return float(f"{value:.{digits}g}")


def finite(value: float, digits: int) -> float | None:
    """The same; None for what is not finite.

    Example:
        >>> finite(1.23456789, 4), finite(math.inf, 4)
        (1.235, None)
    """
    return rounded(value, digits) if math.isfinite(value) else None
