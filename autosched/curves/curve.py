"""`Curve`: logged steps and losses with the schedule that produced them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autosched.errors import CurveError
from autosched.schedules.schedule import FloatArray, Schedule


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Curve:
    """A training run, whole or partial.

    Attributes:
        schedule: LRs of the whole planned run.
        steps: updates done at each logged loss, increasing, shape (n,), within 0..schedule.steps.
        losses: nats per token, shape (n,), finite.
        name: where it came from.
        sds: relative standard deviation of each loss about the law's mean, where it is known to be larger than what a
            law's fit allows for, shape (n,); None when it is not known.
        merged: what losses of means of the run's last weights say: a curve of one point for each, of a schedule that
            nobody trained (:func:`autosched.laws.merged_losses.as_cooled`).
    """

    schedule: Schedule
    steps: FloatArray
    losses: FloatArray
    name: str = ""
    sds: FloatArray | None = None
    merged: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        steps = np.array(self.steps, dtype=np.float64)
        losses = np.array(self.losses, dtype=np.float64)
        if steps.shape != losses.shape or steps.ndim != 1:
            raise CurveError(f"{self.name}: steps and losses must be vectors of one length.")
        if self.sds is not None and self.sds.shape != steps.shape:
            raise CurveError(f"{self.name}: sds must have the shape of steps.")
        if not np.all(np.isfinite(losses)):
            raise CurveError(f"{self.name}: losses must be finite.")
        if np.any(np.diff(steps) <= 0) or (steps.size and (steps[0] < 0 or steps[-1] > self.schedule.steps)):
            raise CurveError(f"{self.name}: steps must increase and lie in 0..{self.schedule.steps}.")
        for array, field in ((steps, "steps"), (losses, "losses")):
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def until(self, step: float) -> Curve:
        """The part that was logged at or before `step`; the schedule (its future too) stays whole."""
        return self.at(self.steps <= step)

    def at(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Curve:
        """Some of the points, in their order; the schedule stays whole."""
        sds = None if self.sds is None else self.sds[rows]
        return replace(self, steps=self.steps[rows], losses=self.losses[rows], sds=sds)
