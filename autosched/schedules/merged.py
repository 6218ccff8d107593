"""The schedule whose end the mean of the last weights is like.

    name    meaning                                     unit
    t       updates done                                updates
    w       window: updates whose weights are averaged  updates

The mean of the weights after each of the last w updates is the weights before them plus each of their w moves, the
i-th times ``1 - i / w`` (i = 0 .. w - 1): as if the LR had fallen linearly over the window, as far as the moves do not
depend on each other (Tian et al. 2025, arXiv:2507.17634).
"""

from __future__ import annotations

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.schedule import FloatArray, Schedule


def merged_factors(window: int) -> FloatArray:
    """What the mean multiplies the LRs of its window with, shape ``(window,)``: from 1 down to ``1 / window``."""
    return 1.0 - np.arange(window) / window


def merged_schedule(schedule: Schedule, *, step: int, window: int) -> Schedule:
    """The first `step` updates of `schedule`, the last `window` of them falling linearly; a window of 1 changes none.

    Raises:
        ScheduleError: not ``1 <= window <= step <= schedule.steps``.

    Example:
        >>> merged_schedule(Schedule([0.4, 0.4, 0.4, 0.4, 0.4]), step=4, window=2).lrs.tolist()
        [0.4, 0.4, 0.4, 0.2]
    """
    if not 1 <= window <= step:
        raise ScheduleError(f"window must be a whole number from 1 to {step}, but got {window}.")
    lrs = np.array(schedule.prefix(step).lrs)
    lrs[step - window :] *= merged_factors(window)
    return Schedule(lrs)
