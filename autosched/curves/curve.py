"""`Curve`: logged steps and losses with the schedule that produced them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """

    schedule: Schedule
    steps: FloatArray
    losses: FloatArray
    name: str = ""

    def __post_init__(self) -> None:
        steps = np.array(self.steps, dtype=np.float64)
        losses = np.array(self.losses, dtype=np.float64)
        if steps.shape != losses.shape or steps.ndim != 1:
            raise CurveError(f"{self.name}: steps and losses must be vectors of one length.")
        if not np.all(np.isfinite(losses)):
            raise CurveError(f"{self.name}: losses must be finite.")
        if np.any(np.diff(steps) <= 0) or (steps.size and (steps[0] < 0 or steps[-1] > self.schedule.steps)):
            raise CurveError(f"{self.name}: steps must increase and lie in 0..{self.schedule.steps}.")
        for array, field in ((steps, "steps"), (losses, "losses")):
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def until(self, step: float) -> Curve:
        """The part that was logged at or before `step`; the schedule (its future too) stays whole."""
        seen = self.steps <= step
        return Curve(schedule=self.schedule, steps=self.steps[seen], losses=self.losses[seen], name=self.name)
