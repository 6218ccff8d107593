"""Which columns of a log are the update, the LR and the loss: by the names that programs give them, or as told.

A validation loss is preferred, where it was logged often enough, because it is what schedules are judged by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.logged_series import Series, curve_of
from autosched.curves.logs import Column, Log, read_log
from autosched.errors import CurveError, UsageError
from autosched.schedules.schedule import Schedule

ROLES = ("step", "lr", "loss")
STEPS = (r"((.*/)?global_)?step", "_step", "iteration", "iter", "updates?")
LRS = (r"learning[_ ]rate|lr", r".*/(lr|learning_rate)", r"lr[-/].*")
VALIDATION = (
    r"(val|valid|validation|eval|test)[/_ -]?(loss|lm loss|ce|cross_entropy)",
    r"(.*/)?(val|valid|validation|eval)[/_]loss",
    r"lm loss value",
    r"tel",
)
TRAINING = ("loss", "lm loss", r"(train|training)[/_ -]?loss", r"(.*/)?(train[/_])?loss", "trl")
FEWEST_VALIDATIONS = 4
"""Validation losses below which the training loss is taken. Source: three unknowns of a power law, and one to spare."""
EPOCHS = ("epoch", "epochs")
SPREAD = re.compile(r"__(MIN|MAX)$")
"""Columns that W&B's export adds: what lies between two points of its chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What a person says of their logs.

    Attributes:
        columns: names by role (step, lr, loss), for those that are not found by themselves.
        updates_per_epoch: for logs that count epochs.
        schedule: the LRs, where they were not logged.
    """

    columns: Mapping[str, str] | None = None
    updates_per_epoch: int | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A run of a log: which columns it is made of.

    Attributes:
        lr: None where the schedule is told.
        epoch: updates in one, where `step` counts epochs that are over; None where it counts updates.
    """

    name: str
    step: str
    lr: str | None
    loss: str
    log: Log
    epoch: int | None = None

    def curve(self, schedule: Schedule | None) -> Curve:
        """The run's curve; see :func:`autosched.curves.logged_series.curve_of`.

        Raises:
            CurveError: what that function refuses.
        """
        losses = self._series(self.loss)
        lrs = losses if self.lr is None else self._series(self.lr)
        return curve_of(losses, lrs, source=self.name, schedule=schedule)

    def _series(self, name: str) -> Series:
        steps, column = self.log.columns[self.step], self.log.columns[name]
        _, here, there = np.intersect1d(steps.rows, column.rows, assume_unique=True, return_indices=True)
        lines = None if self.log.lines is None else self.log.lines[column.rows[there]]
        counts = steps.values[here]
        if self.epoch is not None:  # a row is written when its epoch is over, and the first may be called 0
            counts = (counts + float(steps.values.min() == 0)) * self.epoch
        return Series(steps=counts, values=column.values[there], lines=lines)


def read_runs(file: Path, options: LogOptions) -> list[Curve]:
    """The runs of one log.

    Raises:
        CurveError: the file cannot be read, or something that a law needs is not in it; the text says how to tell it.
    """
    return [run.curve(options.schedule) for run in understood(read_log(file), options)]


def understood(log: Log, options: LogOptions) -> list[Understood]:
    """What a log is taken to say; one entry a run.

    Raises:
        CurveError: no column tells the update, the LR or the loss.
    """
    return [_understood(part, options) for part in _runs(log)]


def _runs(log: Log) -> list[Log]:
    """W&B exports a chart with a column for each run, ``NAME - METRIC``: one log for each NAME."""
    names = [name for name in log.columns if not SPREAD.search(name)]
    split = {name: name.rpartition(" - ") for name in names if " - " in name}
    if not split:
        return [replace(log, columns={name: log.columns[name] for name in names})]
    shared = {name: log.columns[name] for name in names if name not in split}
    found = []
    for run in dict.fromkeys(run for run, _, _ in split.values()):
        own = {metric: log.columns[name] for name, (of, _, metric) in split.items() if of == run}
        found.append(replace(log, columns={**shared, **own}, file=Path(f"{log.file} ({run})")))
    return found


def _understood(log: Log, options: LogOptions) -> Understood:
    told = dict(options.columns or {})
    for role, name in told.items():
        if name not in log.columns:
            raise CurveError(f"has no column {name!r} for {role}: it has {_listed(log)}.", file=log.file)
    step = told.get("step") or _first(log, STEPS) or _first(log, EPOCHS)
    if step is None:
        text = f"no column tells the update: it has {_listed(log)}. Say which with --columns step=NAME."
        raise CurveError(text, file=log.file)
    epoch = options.updates_per_epoch if step.lower() in EPOCHS else None
    if step.lower() in EPOCHS and epoch is None:
        text = f"{step!r} counts epochs, and laws need updates: give --updates-per-epoch."
        raise CurveError(text, file=log.file)
    lr = None if options.schedule is not None else told.get("lr") or _first(log, LRS)
    if lr is None and options.schedule is None:
        raise CurveError(
            f"no column tells the LR: it has {_listed(log)}. Say which with --columns lr=NAME, or give the schedule "
            "with --schedule.",
            file=log.file,
        )
    loss = told.get("loss") or _loss(log)
    if loss is None:
        raise CurveError(
            f"no column tells the loss: it has {_listed(log)}. Say which with --columns loss=NAME.", file=log.file
        )
    return Understood(name=str(log.file), step=step, lr=lr, loss=loss, log=log, epoch=epoch)


def _loss(log: Log) -> str | None:
    often = {name: column for name, column in log.columns.items() if column.rows.size >= FEWEST_VALIDATIONS}
    return _first(replace(log, columns=often), VALIDATION) or _first(log, TRAINING) or _first(log, VALIDATION)


def _first(log: Log, patterns: Sequence[str]) -> str | None:
    """The column that the earliest pattern fits, of several the one with most numbers."""
    for pattern in patterns:
        fitting = [name for name in log.columns if re.fullmatch(pattern, name.strip().lower())]
        if fitting:
            return max(fitting, key=lambda name: log.columns[name].rows.size)
    return None


def _listed(log: Log, most: int = 12) -> str:
    names = list(log.columns)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """``step=NAME,lr=NAME`` as a mapping.

    Raises:
        UsageError: another role, or no name.
    """
    found = {}
    for part in (part for text in texts for part in text.split(",")):
        role, equals, name = part.partition("=")
        if role not in ROLES or not equals or not name:
            raise UsageError(f"--columns must be ROLE=NAME with a ROLE of {', '.join(ROLES)}, but got {part!r}.")
        found[role] = name
    return found


def described(column: Column) -> str:
    """Its count and range, for a person."""
    finite = column.values[np.isfinite(column.values)]
    if not finite.size:
        return f"{column.values.size} values, none of them finite"
    return f"{column.values.size} values, {finite.min():.6g} to {finite.max():.6g}"
