"""From what to what a peak LR is carried over: `Setting` and `Change`.

name      meaning                                                                     unit
steps     updates of a run, its horizon                                               updates
batch     what one update sees; the same unit (examples, sequences, tokens) in both   per update
tokens    steps x batch; when no batch is given it is the same in both                -
width     width of the hidden layers                                                  -
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from autosched.errors import ScheduleError, UsageError
from autosched.schedules.schedule import Schedule

Quantity = Literal["steps", "tokens", "batch", "width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a peak LR is tuned for.

    Attributes:
        schedule: the schedule; only its shape counts here, not the peak LR it was written with.
        batch: what one update sees; None when it is not known.
        width: width of the hidden layers; None when it is not known.

    Raises:
        ScheduleError: a schedule of zeros.
        UsageError: a batch or a width that is not finite or not > 0.
    """

    schedule: Schedule
    batch: float | None = None
    width: float | None = None

    def __post_init__(self) -> None:
        if self.schedule.peak_lr == 0:
            raise ScheduleError("a schedule of zeros has no peak LR to carry over.")
        for name, value in (("batch", self.batch), ("width", self.width)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be finite and > 0, but got {value:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The setting a peak LR was tuned in, and the one it is wanted for.

    Raises:
        UsageError: a batch or a width that only one of the two has.

    Example:
        >>> short, long = Schedule([0.1] * 100), Schedule([0.1] * 400)
        >>> Change(old=Setting(schedule=short, batch=8), new=Setting(schedule=long, batch=16)).ratio("tokens")
        8.0
    """

    old: Setting
    new: Setting

    def __post_init__(self) -> None:
        for name, old, new in (
            ("batch", self.old.batch, self.new.batch),
            ("width", self.old.width, self.new.width),
        ):
            if (old is None) != (new is None):
                known = f"{old:g} and unknown" if new is None else f"unknown and {new:g}"
                raise UsageError(f"{name} must be given for both runs or for none, but got {known}.")

    def ratio(self, quantity: Quantity) -> float | None:
        """New over old; None when it is not known. Without a batch, tokens count as updates."""
        if quantity == "steps":
            return self.new.schedule.steps / self.old.schedule.steps
        if quantity == "tokens":
            batch = self.ratio("batch")
            return self.new.schedule.steps / self.old.schedule.steps * (1.0 if batch is None else batch)
        old, new = (self.old.batch, self.new.batch) if quantity == "batch" else (self.old.width, self.new.width)
        return None if old is None or new is None else new / old
