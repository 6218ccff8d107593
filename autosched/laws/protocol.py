"""What a loss law is: the loss curve that a learning-rate schedule will give."""

from __future__ import annotations

from typing import ClassVar, Protocol

from autosched.schedules.schedule import FloatArray, Schedule


class LossLaw(Protocol):
    """A frozen record of named positive parameters that predicts losses; steps are updates done, losses nats.

    A worked trace::

        law = MultiPowerLaw(floor=3.0, scale=0.5, ...)
        law.predict(schedule)[-1]              # mean loss after the last update
        law.predict_at(schedule, steps)        # the same at some counts of updates only
    """

    name: ClassVar[str]

    def predict(self, schedule: Schedule) -> FloatArray:
        """Mean loss after each update, shape ``(schedule.steps,)``."""

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates (each in 1..schedule.steps), shape of `steps`."""
