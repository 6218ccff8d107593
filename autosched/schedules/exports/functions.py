"""The plainest ways out of a `Schedule`: a function of the step, and a CSV. Both keep every bit of the LRs."""

from __future__ import annotations

from collections.abc import Callable

from autosched.errors import ScheduleError
from autosched.schedules.schedule import Schedule


def to_function(schedule: Schedule) -> Callable[[int], float]:
    """The schedule as a plain function: step -> LR.

    It knows the steps 0 to `steps` and no others: a torch scheduler asks once more after the last update, which gets
    the last LR and trains nothing; a training loop that goes on beyond that would run a schedule nobody chose.

    Raises:
        ScheduleError: (the returned function) a step outside 0..steps; step `steps` gives the last LR again.

    Example:
        >>> lr_at = to_function(Schedule([0.1, 0.1, 0.05]))
        >>> lr_at(0), lr_at(2), lr_at(3)
        (0.1, 0.05, 0.05)
        >>> lr_at(4)
        Traceback (most recent call last):
        autosched.errors.ScheduleError: the schedule has 3 steps, so the step must be in [0, 3], but got 4.
    """
    lrs, steps = schedule.lrs.tolist(), schedule.steps

    def lr_at(step: int) -> float:
        if not 0 <= step <= steps:
            raise ScheduleError(f"the schedule has {steps} steps, so the step must be in [0, {steps}], but got {step}.")
        return float(lrs[min(step, steps - 1)])

    return lr_at


def to_csv(schedule: Schedule) -> str:
    """``step,lr`` lines; every LR is Python's shortest ``repr``, which reads back to the same bits.

    `step` is the number of the update that uses the LR, from 0.

    Example:
        >>> print(to_csv(Schedule([0.1, 0.05])), end="")
        step,lr
        0,0.1
        1,0.05
    """
    return "".join(["step,lr\n", *(f"{step},{lr!r}\n" for step, lr in enumerate(schedule.lrs.tolist()))])
