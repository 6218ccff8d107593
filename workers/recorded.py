"""A trainer that trains nothing: it shows the losses of runs that were made and logged before.

For trying a controller on real curves without a GPU, and for the replay benchmark. It knows the runs of one group of a
``runs.csv`` (see :mod:`autosched.curves.recorded_runs`) by their LRs, as this package's families write them. While the
LRs so far are those of several runs (a shared prefix), it shows the first of them in the table, so its losses depend on
the LRs alone::

    trainer:
      use: workers.recorded:RecordedTrainer
      with: {folder: curves, group: llama124m}

There is one recording of each run, so the seed changes nothing: confirming on fresh seeds has no meaning here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Annotated, Any, BinaryIO

import numpy as np

from autosched.curves.recorded_runs import RecordedRun, full_minus_logged, read_runs
from autosched.errors import CheckpointError, UsageError, WorkError
from autosched.schedules.schedule import FloatArray
from autosched.trainer import read_options, text

_FORMAT = "autosched.recorded/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOptions:
    """Which recordings.

    Attributes:
        folder: where ``runs.csv`` lies.
        group: the value of its column ``group``.
    """

    folder: Annotated[str | None, text()] = None
    group: Annotated[str | None, text()] = None


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """The runs of a group, and how far their full validation loss lies above the one that is logged, nats."""

    runs: tuple[RecordedRun, ...]
    full_minus_logged: float

    def loss(self, possible: Sequence[int], step: int) -> float:
        """Loss after `step` updates, nats, on the scale of the log.

        A run's end, where it was measured, is ``full_val_loss - full_minus_logged``, so that a curve has one scale and
        its end the order of the full validation set; a run that ends there goes first, else the first that has losses
        on both sides. Between two losses it is their line.

        Args:
            possible: numbers of the runs that have the LRs so far.

        Raises:
            WorkError: none of them was logged before and after `step`.
        """
        runs = [self.runs[number] for number in possible]
        for run in sorted(runs, key=lambda run: run.horizon != step or run.full_val_loss is None):
            steps, losses = self._losses(run)
            if steps[0] <= step <= steps[-1]:
                return float(np.interp(step, steps, losses))
        first, last = runs[0].curve.steps[[0, -1]]
        raise WorkError(f"{runs[0].name} has losses from update {first:g} to {last:g}, none at {step}.")

    def _losses(self, run: RecordedRun) -> tuple[FloatArray, FloatArray]:
        """Steps and losses of a run, the measured end among them."""
        if run.full_val_loss is None:
            return run.curve.steps, run.curve.losses
        logged = run.curve.steps < run.horizon
        end = run.full_val_loss - self.full_minus_logged
        return np.append(run.curve.steps[logged], run.horizon), np.append(run.curve.losses[logged], end)


@lru_cache(maxsize=4)
def recordings(folder: str, group: str) -> Recordings:
    """The recordings of a group; kept, since a study makes a trainer many times.

    Raises:
        CurveError: the table or a curve has a fault.
    """
    runs = read_runs(folder, group)
    return Recordings(runs=runs, full_minus_logged=full_minus_logged(runs))


class RecordedTrainer:
    """A `Trainer` (see ``autosched.trainer``) that goes through recorded runs.

    Args:
        options: fields of :class:`RecordedOptions` by name, both needed.
        seed: changes nothing.
        horizon: total updates of the run; the LRs tell.

    Raises:
        UsageError: an option that is missing, unknown or no text.
        CurveError: the table or a curve has a fault.
    """

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self._options = _read(options)
        self._recordings = recordings(str(self._options.folder), str(self._options.group))
        self.horizon = horizon
        self.start()

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raise UsageError for options that will not do."""
        read = _read(options)
        recordings(str(read.folder), str(read.group))

    @property
    def step(self) -> int:
        """Updates done."""
        return self._step

    def start(self) -> None:
        """At update 0 every run is possible."""
        self._step, self._possible = 0, tuple(range(len(self._recordings.runs)))

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Go on by ``len(lrs)`` updates; `train_loss` is the loss that :meth:`evaluate` gives there.

        Raises:
            WorkError: no run of the group has these LRs after those before, or nothing was logged there.
        """
        stop = self._step + len(lrs)
        possible = tuple(number for number in self._possible if self._agrees(number, stop, lrs))
        if not possible:
            group = self._options.group
            raise WorkError(
                f"no run of {group} has these LRs at updates {self._step} to {stop} after those before; "
                "only recorded schedules can be replayed."
            )
        loss = self._recordings.loss(possible, stop)
        self._step, self._possible = stop, possible
        return {"train_loss": loss}

    def evaluate(self) -> float:
        """The recorded validation loss, nats; see :meth:`Recordings.loss`."""
        return self._recordings.loss(self._possible, self._step)

    def save(self, file: BinaryIO) -> None:
        """One line of JSON."""
        state = {**self._identity(), "step": self._step, "possible": list(self._possible)}
        file.write(json.dumps({**state, "checksum": _checksum(state)}).encode() + b"\n")

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is damaged, or of other recordings.
        """
        try:
            state = json.loads(file.readline())
            whole = state.pop("checksum") == _checksum(state)
            step, possible = int(state["step"]), tuple(int(number) for number in state["possible"])
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise CheckpointError("the checkpoint is damaged, or not one of the recorded trainer.")
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise CheckpointError(f"the checkpoint is of other recordings: its {name} is not {value!r}.")
        self._step, self._possible = step, possible

    def _agrees(self, number: int, stop: int, lrs: FloatArray) -> bool:
        schedule = self._recordings.runs[number].schedule
        return stop <= schedule.steps and np.array_equal(schedule.part(self._step, stop), lrs)

    def _identity(self) -> dict[str, Any]:
        names = "\n".join(run.name for run in self._recordings.runs)
        return {"format": _FORMAT, "options": asdict(self._options), "runs": zlib.crc32(names.encode())}


def _read(options: Mapping[str, Any]) -> RecordedOptions:
    read = read_options(RecordedOptions, options, trainer="recorded")
    for name in ("folder", "group"):
        if getattr(read, name) is None:
            raise UsageError(f"recorded trainer: {name} is missing; it must be a text.")
    return read


def _checksum(state: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(state, sort_keys=True).encode())
