"""The `Schedule` value: the learning rate of every update.

name   meaning                                shape      unit
lrs    LR used by update i, i = 0..steps-1    (steps,)   LR (dimensionless, per update)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autosched.errors import ScheduleError
from autosched.schedules.batch_ramp import DOUBLE_BATCH_AT, serial_updates
from autosched.schedules.outline import EveryUpdate, Outline, few_updates
from autosched.schedules.pieces import Pieces, Updates

FloatArray = NDArray[np.float64]
ParameterValue = float | int | str | bool | list[float]
_Params = Mapping[str, ParameterValue]
_NONE: _Params = MappingProxyType({})
FORMAT = "autosched.schedule"
FORMAT_VERSION = 1
MADE_VERSION = 2
"""Of a file without LRs, those of a long schedule of a family."""
KEPT = 65_536
"""Most updates of a family's schedule whose LRs are kept in memory (half a megabyte) and listed in a file."""
SAMPLED = 64
"""LRs that tell most schedules apart."""
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
    _checked(array, None)
    array += 0.0  # -0.0 becomes 0.0, so that equal curves have equal bytes
    array.setflags(write=False)
    return array


def _checked(lrs: FloatArray, updates: Updates | None, *, first: int = 0) -> None:
    """Raise ScheduleError for LRs that are negative or not finite; of some updates, or of those from `first` on."""
    if lrs.size and lrs.min() >= 0 and lrs.max() < np.inf:
        return
    bad = np.flatnonzero(~np.isfinite(lrs) | (lrs < 0))
    if bad.size:
        step = int(bad[0]) + first if updates is None else int(updates[bad[0]])
        raise ScheduleError(f"lrs must be finite and >= 0, but update {step} has {float(lrs[bad[0]])!r}.")


def check_updates(steps: object, name: str = "steps") -> int:
    """A number of updates that a schedule may have.

    Raises:
        ScheduleError: no whole number from 1 to 10,000,000.
    """
    if type(steps) is int and 1 <= steps <= MOST_UPDATES:
        return steps
    rule = f"<= {MOST_UPDATES}" if isinstance(steps, int | float) and steps > MOST_UPDATES else ">= 1"
    raise ScheduleError(f"{name} must be a whole number {rule}, but got {steps!r:.60}.")


class Coordinates(NamedTuple):
    """Where the hyperparameters of a run lie in the space that is searched.

    Attributes:
        places: 0 to 1 for a number; see :func:`autosched.space.hyperparameters.coordinates`.
        log_decay: ln of the weight decay, where it is searched; with the LRs it makes AdamW's timescale.
    """

    places: tuple[float, ...] = ()
    log_decay: float | None = None


NOWHERE = Coordinates()


class Schedule:
    """An immutable learning-rate schedule; compares, hashes and is fingerprinted by its LRs alone.

    Where other hyperparameters of the trainer were tuned beside it, it carries those that it was tuned with, and they
    belong to its identity (:meth:`beside`).

    A family's schedule of more than :data:`KEPT` updates keeps its pieces: its LRs are computed where they are asked
    for, and checked there.

    Args:
        lrs: LR of every update, finite and >= 0; copied to read-only float64 of shape ``(steps,)``.
        family: the family that made it (``"table"`` for a bare array); a description, not part of the identity.
        params: the family's parameters; a description too.

    Attributes:
        steps: number of updates.
        hyperparameters: options of the trainer that this schedule is tuned with, by name.
        coordinates: where these lie in the space that is searched; a description, not part of the identity.

    Raises:
        ScheduleError: empty, not a vector, a negative or a non-finite LR.

    Example:
        >>> s = Schedule([0.1, 0.1, 0.05])
        >>> s.steps, s.peak_lr, s == Schedule.from_json(s.to_json())
        (3, 0.1, True)
    """

    __slots__ = ("_array", "_known", "_pieces", "coordinates", "family", "hyperparameters", "params", "steps")
    family: str
    params: Mapping[str, ParameterValue]
    steps: int
    hyperparameters: Mapping[str, ParameterValue]
    coordinates: Coordinates
    _array: FloatArray | None
    _pieces: Pieces | None
    _known: dict[str, Any]  # what was computed of the LRs before

    def __init__(self, lrs: ArrayLike, family: str = "table", params: _Params = _NONE) -> None:
        self._fill(_canonical(lrs), None, family, params)

    @classmethod
    def of_pieces(cls, pieces: Pieces, family: str = "table", params: _Params = _NONE) -> Self:
        """The schedule that pieces make; raises ScheduleError for a negative or a non-finite LR where it is seen."""
        if check_updates(pieces.steps) <= KEPT:
            return cls(pieces.part(0, pieces.steps), family, params)
        schedule = cls.__new__(cls)
        schedule._fill(None, pieces, family, params)
        _checked(schedule.outline.lrs, schedule.outline.updates)
        return schedule

    def _fill(self, array: FloatArray | None, pieces: Pieces | None, family: str, params: _Params) -> None:
        steps = array.size if array is not None else pieces.steps if pieces is not None else 0
        made: dict[str, Any] = {"_array": array, "_pieces": pieces, "_known": {}, "family": family, "steps": int(steps)}
        beside = {"hyperparameters": _NONE, "coordinates": NOWHERE}
        for name, value in {**made, **beside, "params": MappingProxyType(dict(params))}.items():
            object.__setattr__(self, name, value)

    def beside(self, hyperparameters: _Params, coordinates: Coordinates = NOWHERE) -> Schedule:
        """The same LRs, trained with these hyperparameters over its own; itself when there are none."""
        if not hyperparameters:
            return self
        together = {**self.hyperparameters, **hyperparameters}
        found = self.bare
        object.__setattr__(found, "hyperparameters", MappingProxyType(together))
        object.__setattr__(found, "coordinates", coordinates)
        return found

    @property
    def bare(self) -> Schedule:
        """The same LRs without hyperparameters."""
        found = Schedule.__new__(Schedule)
        found._fill(self._array, self._pieces, self.family, self.params)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a schedule cannot be changed, but {name!r} was to be set.")

    @property
    def lrs(self) -> FloatArray:
        """LR of every update, read-only float64 of shape ``(steps,)``; of a long family's schedule made anew each time.

        Raises:
            ScheduleError: an LR of the family is negative or not finite.
        """
        return self.part(0, self.steps)

    def part(self, start: int, stop: int) -> FloatArray:
        """LR of the updates `start` to `stop` - 1, read-only float64 of shape ``(stop - start,)``; raises as `lrs`."""
        if self._pieces is None:
            return self.lr_array[start:stop]
        lrs = self._pieces.part(start, stop)
        lrs += 0.0  # as in _canonical
        _checked(lrs, None, first=start)
        lrs.setflags(write=False)
        return lrs

    @property
    def lr_array(self) -> FloatArray:
        """The LRs of a schedule that keeps them."""
        assert self._array is not None  # noqa: S101 - it has one of the two
        return self._array

    def lr_at(self, updates: ArrayLike) -> FloatArray:
        """LR of some updates (each 0..steps-1), shape of `updates`."""
        places = np.asarray(updates, dtype=np.intp)
        return self.lr_array[places] if self._pieces is None else self._pieces.at(places)

    @property
    def is_made(self) -> bool:
        """Whether it keeps its family's pieces and no LRs."""
        return self._pieces is not None

    @property
    def outline(self) -> Outline:
        """Its LRs as a law looks at them: every update, or those it takes to draw straight lines between."""
        found: Outline = self._once("outline", self._outlined)
        return found

    def _outlined(self) -> Outline:
        pieces = self._pieces
        if pieces is None:
            return EveryUpdate(self.lr_array)
        return few_updates(pieces.at, pieces.steps, pieces.ends)

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    @property
    def peak_lr(self) -> float:
        """The largest LR of any update."""
        found: float = self._once("peak_lr", lambda: self.outline.peak_lr)
        return found

    @property
    def log_peak_lr(self) -> float:
        """``ln peak_lr``; of a schedule of zeros a number too, the logarithm of `LEAST_PEAK_LR`."""
        return math.log(max(self.peak_lr, LEAST_PEAK_LR))

    @property
    def final_lr(self) -> float:
        """LR of the last update."""
        return float(self.lr_at([self.steps - 1])[0])

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the whole array, and of the hyperparameters where there are any.

        Equal curves have equal fingerprints whatever made them.
        """
        found: str = self._once("fingerprint", lambda: self.prefix_fingerprint(self.steps))
        return found

    def prefix_fingerprint(self, steps: int) -> str:
        """SHA-256 (hex) of the first `steps` LRs; two schedules agree that far exactly when these are equal."""
        self._check_prefix(steps)
        digest = hashlib.sha256(self._beside)
        self.add_to(digest, 0, steps)
        return digest.hexdigest()

    @property
    def _beside(self) -> bytes:
        """The hyperparameters as canonical text; empty without any."""
        return json.dumps(dict(self.hyperparameters), sort_keys=True).encode() if self.hyperparameters else b""

    def add_to(self, digest: hashlib._Hash, start: int, stop: int) -> None:
        """Feed the bytes of the updates `start` to `stop` - 1 to a hash."""
        for first in range(start, stop, KEPT):
            digest.update(self.part(first, min(first + KEPT, stop)).data)

    def prefix(self, steps: int) -> Schedule:
        """The first `steps` updates as a schedule of its own (a table)."""
        self._check_prefix(steps)
        first = self.part(0, steps) if self._pieces is None else self._pieces.first(steps)
        cut = Schedule.of_pieces(first) if isinstance(first, Pieces) else Schedule(first)
        return cut.beside(self.hyperparameters, self.coordinates)

    def common_steps(self, other: Schedule) -> int:
        """How many first updates the two schedules share exactly."""
        length = min(self.steps, other.steps) if self._beside == other._beside else 0
        for first in range(0, length, KEPT):
            end = min(first + KEPT, length)
            differs = np.flatnonzero(self.part(first, end) != other.part(first, end))
            if differs.size:
                return first + int(differs[0])
        return length

    def _check_prefix(self, steps: int) -> None:
        if not 1 <= steps <= self.steps:
            raise ScheduleError(f"a prefix must have 1 to {self.steps} steps, but got {steps}.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        if self is other or self._sample != other._sample:
            return self is other
        if self.is_made and other.is_made and self.outline == other.outline:
            return True  # at thousands of uneven updates, the ends of the pieces among them
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self._sample)

    @property
    def _sample(self) -> tuple[int, bytes, bytes]:
        """The number of updates, a few LRs and the hyperparameters, which differ in most schedules that differ."""

        def taken() -> tuple[int, bytes, bytes]:
            updates = np.linspace(0, self.steps - 1, min(self.steps, SAMPLED)).astype(np.intp)
            return self.steps, self.lr_at(updates).tobytes(), self._beside

        found: tuple[int, bytes, bytes] = self._once("sample", taken)
        return found

    def __len__(self) -> int:
        return self.steps

    def __reduce__(self) -> tuple[Any, ...]:
        bare: tuple[Any, ...] = (Schedule, (np.asarray(self.lrs), self.family, dict(self.params)))
        if self._pieces is not None and self.family != "table":
            bare = (_built, (self.family, dict(self.params), self.steps))
        return (_beside, (*bare, dict(self.hyperparameters), self.coordinates)) if self.hyperparameters else bare

    def __repr__(self) -> str:
        return f"<Schedule {self.describe()}>"

    def describe(self) -> str:
        """One line for a person, e.g. ``wsd(peak_lr=0.01, warmup_steps=30)``."""
        listed, ramp = _listed(self.hyperparameters), self.hyperparameters.get(DOUBLE_BATCH_AT)
        beside = f" with {listed}" if listed else ""
        if isinstance(ramp, list):
            beside = f" in {serial_updates(self.steps, ramp)} updates of the weights{beside}"
        if not self.params:
            return f"{self.family}({self.steps} steps, peak {self.peak_lr:.3g}){beside}"
        return f"{self.family}({_listed(self.params)}){beside}"

    def to_json(self) -> str:
        """A JSON document with every LR as Python's shortest ``repr``, which reads back to the same bits anywhere.

        A schedule that keeps its family's pieces is written without its LRs: family and parameters say them, and the
        fingerprint tells whether the reader's are the same.
        """
        made = self.is_made and self.family != "table"
        document = {
            "format": FORMAT,
            "version": MADE_VERSION if made else FORMAT_VERSION,
            "family": self.family,
            "params": dict(self.params),
            "steps": self.steps,
            "fingerprint": self.fingerprint,
            **({"hyperparameters": dict(self.hyperparameters)} if self.hyperparameters else {}),
        }
        return json.dumps(document if made else {**document, "lrs": self.lrs.tolist()})

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Read what :meth:`to_json` wrote; bit-exact.

        Raises:
            ScheduleError: no JSON, another format or version, a key that does not fit, or an array that does not match
                its length or fingerprint.
        """
        from autosched.schedules.schedule_file import schedule_from_json

        return schedule_from_json(text)


def _built(family: str, params: Mapping[str, ParameterValue], steps: int) -> Schedule:
    """What a pickled schedule of a family becomes."""
    from autosched.schedules.registry import build

    return build(family, params, steps=steps)


def _beside(
    make: Callable[..., Schedule], given: tuple[Any, ...], hyperparameters: _Params, coordinates: Coordinates
) -> Schedule:
    """What a pickled schedule with hyperparameters becomes."""
    return make(*given).beside(hyperparameters, coordinates)


def _listed(values: _Params) -> str:
    """``peak_lr=0.01, warmup_steps=30``; without lists."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
        if not isinstance(value, list)
    )
