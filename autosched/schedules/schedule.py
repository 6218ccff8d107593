"""The `Schedule` value: the learning rate of every update.

name   meaning                                shape      unit
lrs    LR used by update i, i = 0..steps-1    (steps,)   LR (dimensionless, per update)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosched.errors import ScheduleError

FloatArray = NDArray[np.float64]
ParameterValue = float | int | str | bool | list[float]
FORMAT = "autosched.schedule"
FORMAT_VERSION = 1
MOST_UPDATES = 10_000_000
"""Of a schedule: 80 MB of LRs, ten times the longest published runs."""
LEAST_PEAK_LR = 1e-300
"""A schedule of zeros counts as one of this peak LR where logarithms or ratios are taken."""


def _canonical(lrs: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(lrs)
    except ValueError:
        raise ScheduleError("lrs must be a vector, but got a ragged list.") from None
    if given.size and given.dtype.kind not in "fiu":
        raise ScheduleError(f"lrs must be real numbers, but got {given.dtype} values.")
    if given.ndim != 1 or given.size == 0:
        raise ScheduleError(f"lrs must be a non-empty vector, but got shape {given.shape}.")
    check_updates(given.size, "the number of lrs")
    array = np.array(given, dtype="<f8", copy=True)
    bad = np.flatnonzero(~np.isfinite(array) | (array < 0))
    if bad.size:
        step = int(bad[0])
        raise ScheduleError(f"lrs must be finite and >= 0, but update {step} has {float(array[step])!r}.")
    array += 0.0  # -0.0 becomes 0.0, so that equal curves have equal bytes
    array.setflags(write=False)
    return array


def check_updates(steps: object, name: str = "steps") -> int:
    """A number of updates that a schedule may have.

    Raises:
        ScheduleError: no whole number from 1 to 10,000,000.
    """
    if type(steps) is int and 1 <= steps <= MOST_UPDATES:
        return steps
    rule = f"<= {MOST_UPDATES}" if isinstance(steps, int | float) and steps > MOST_UPDATES else ">= 1"
    raise ScheduleError(f"{name} must be a whole number {rule}, but got {steps!r:.60}.")


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """An immutable learning-rate schedule; compares, hashes and is fingerprinted by its array alone.

    Args:
        lrs: LR of every update, finite and >= 0; copied to read-only float64 of shape ``(steps,)``.
        family: the family that made it (``"table"`` for a bare array); a description, not part of the identity.
        params: the family's parameters; a description too.

    Raises:
        ScheduleError: empty, not a vector, a negative or a non-finite LR.

    Example:
        >>> s = Schedule([0.1, 0.1, 0.05])
        >>> s.steps, s.peak_lr, s == Schedule.from_json(s.to_json())
        (3, 0.1, True)
    """

    lrs: FloatArray
    family: str = "table"
    params: Mapping[str, ParameterValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lrs", _canonical(self.lrs))
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))

    @property
    def steps(self) -> int:
        """Number of updates."""
        return int(self.lrs.size)

    @property
    def peak_lr(self) -> float:
        """The largest LR of any update."""
        return float(self.lrs.max())

    @property
    def log_peak_lr(self) -> float:
        """``ln peak_lr``; of a schedule of zeros a number too, the logarithm of `LEAST_PEAK_LR`."""
        return math.log(max(self.peak_lr, LEAST_PEAK_LR))

    @property
    def final_lr(self) -> float:
        """LR of the last update."""
        return float(self.lrs[-1])

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the whole array; equal curves have equal fingerprints whatever made them."""
        return self.prefix_fingerprint(self.steps)

    def prefix_fingerprint(self, steps: int) -> str:
        """SHA-256 (hex) of the first `steps` LRs; two schedules agree that far exactly when these are equal."""
        self._check_prefix(steps)
        return hashlib.sha256(self.lrs[:steps].tobytes()).hexdigest()

    def prefix(self, steps: int) -> Schedule:
        """The first `steps` updates as a schedule of its own (a table)."""
        self._check_prefix(steps)
        return Schedule(self.lrs[:steps])

    def common_steps(self, other: Schedule) -> int:
        """How many first updates the two schedules share exactly."""
        length = min(self.steps, other.steps)
        differs = np.flatnonzero(self.lrs[:length] != other.lrs[:length])
        return int(differs[0]) if differs.size else length

    def _check_prefix(self, steps: int) -> None:
        if not 1 <= steps <= self.steps:
            raise ScheduleError(f"a prefix must have 1 to {self.steps} steps, but got {steps}.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return np.array_equal(self.lrs, other.lrs)

    def __hash__(self) -> int:
        return hash(self.lrs.tobytes())

    def __len__(self) -> int:
        return self.steps

    def __reduce__(self) -> tuple[Any, ...]:
        return (Schedule, (np.asarray(self.lrs), self.family, dict(self.params)))

    def describe(self) -> str:
        """One line for a person, e.g. ``wsd(peak_lr=0.01, warmup_steps=30)``."""
        if not self.params:
            return f"{self.family}({self.steps} steps, peak {self.peak_lr:.3g})"
        inside = ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.params.items()
            if not isinstance(value, list)
        )
        return f"{self.family}({inside})"

    def to_json(self) -> str:
        """A JSON document with every LR as Python's shortest ``repr``, which reads back to the same bits anywhere."""
        document = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "family": self.family,
            "params": dict(self.params),
            "steps": self.steps,
            "fingerprint": self.fingerprint,
            "lrs": self.lrs.tolist(),
        }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Read what :meth:`to_json` wrote; bit-exact.

        Raises:
            ScheduleError: no JSON, another format or version, a key that does not fit, or an array that does not match
                its length or fingerprint.
        """
        from autosched.schedules.schedule_file import schedule_from_json

        return schedule_from_json(text)
