"""Laws as plain JSON values and back, bit-exact: floats as Python's shortest ``repr``, nothing that can run code.

    Python                      JSON
    float that is not finite    {"float": "nan"}
    array                       {"array": "float64", "shape": [2, 3], "values": [0.5, "nan", ...]}
    tuple                       list
    record                      {"record": "FunctionalLaw", "floor": ...}; fields at their defaults are left out

Only the records listed at the bottom are read. A residual process is stored as its kernel and points; its matrices are
computed again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autosched.laws.annealing import AnnealingForm
from autosched.laws.auto import AutoLaw
from autosched.laws.continual import ContinualForm
from autosched.laws.convex_law import ConvexForm
from autosched.laws.exponential import ExponentialForm
from autosched.laws.fit import LawFit
from autosched.laws.functional import FunctionalForm, Units
from autosched.laws.multi_power import MultiPowerForm
from autosched.laws.power import PowerForm
from autosched.laws.registry import LAWS
from autosched.laws.residual import ResidualKernel, ResidualProcess, RunPoints
from autosched.laws.single import SingleLaw
from autosched.schedules.schedule import FloatArray


def to_plain(value: Any) -> Any:
    """Values that ``json.dumps(..., allow_nan=False)`` takes.

    Raises:
        TypeError: something that is no part of a law.
    """
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        case np.ndarray():
            values = [item if math.isfinite(item) else repr(item) for item in value.ravel().tolist()]
            return {"array": value.dtype.name, "shape": list(value.shape), "values": values}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case _ if type(value).__name__ in RECORDS:
            return {"record": type(value).__name__, **_fields_of(value)}
        case _:
            raise TypeError(f"a {type(value).__name__} is no part of a law.")


def from_plain(value: Any) -> Any:
    """What :func:`to_plain` was given; lists come back as tuples, arrays read-write.

    Raises:
        KeyError, TypeError, ValueError: not the output of :func:`to_plain`, or of another version.
    """
    match value:
        case {"record": str(name), **fields}:
            return RECORDS[name](**{str(field): from_plain(item) for field, item in fields.items()})
        case {"array": "float64" | "int64" as dtype, "shape": list(shape), "values": list(values)}:
            numbers = [float(item) if isinstance(item, str) else item for item in values]
            return np.array(numbers, dtype=dtype).reshape(shape)
        case {"float": str(text)}:
            return float(text)
        case list():
            return tuple(from_plain(item) for item in value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            raise ValueError(f"{str(value)[:60]!r} is no part of a law.")


def _fields_of(record: Any) -> dict[str, Any]:
    if isinstance(record, ResidualProcess):
        return {name: to_plain(getattr(record, name)) for name in ("kernel", "points", "residuals")}
    values = {field.name: (getattr(record, field.name), field.default) for field in dataclasses.fields(record)}
    return {name: to_plain(value) for name, (value, default) in values.items() if not _same(value, default)}


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and not isinstance(value, np.ndarray) and bool(value == default)


def _process(*, kernel: ResidualKernel, points: RunPoints, residuals: FloatArray) -> ResidualProcess:
    return ResidualProcess.of(points, residuals, kernel)


_PARTS: tuple[type, ...] = (
    *LAWS.values(),
    FunctionalForm,
    MultiPowerForm,
    AnnealingForm,
    ConvexForm,
    ExponentialForm,
    PowerForm,
    ContinualForm,
    Units,
    LawFit,
    SingleLaw,
    AutoLaw,
    ResidualKernel,
    RunPoints,
)
RECORDS: Mapping[str, Callable[..., Any]] = {
    **{part.__name__: part for part in _PARTS},
    ResidualProcess.__name__: _process,
}
