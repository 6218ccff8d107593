"""The schedule that a torch scheduler would give, found by stepping a copy of it."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.schedule import Schedule

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler


def from_torch(scheduler: LRScheduler, steps: int, *, group: int = 0) -> Schedule:
    """The LRs that the next `steps` updates would use with this scheduler, as a table.

    The scheduler and its optimizer are not touched: a copy is stepped, and of the optimizer only the parameter groups
    are copied, not the weights and not the optimizer's state.

    Args:
        scheduler: any torch scheduler that is stepped after every update and needs no loss; from its present state on,
            so a fresh one gives the whole schedule.
        steps: number of updates, >= 1.
        group: which parameter group's LR.

    Raises:
        ScheduleError: `steps` or `group` is not allowed, the scheduler needs the loss or cannot be copied or ends
            earlier, or an LR that no schedule can have.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        >>> halving = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> from_torch(halving, 5).lrs.tolist()
        [0.1, 0.1, 0.05, 0.05, 0.025]
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    if steps < 1:
        raise ScheduleError(f"steps must be >= 1, but got {steps}.")
    groups = len(scheduler.optimizer.param_groups)
    if not 0 <= group < groups:
        raise ScheduleError(f"group must be 0 to {groups - 1}, but got {group}.")
    if isinstance(scheduler, ReduceLROnPlateau):
        raise ScheduleError("ReduceLROnPlateau follows the loss: it has no schedule before the run.")
    twin = _copied(scheduler)
    lrs = np.empty(steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that the copy's optimizer makes no updates
        for step in range(steps):
            if step:
                _step(twin, step)
            lrs[step] = float(twin.optimizer.param_groups[group]["lr"])
    return Schedule(lrs)


def _copied(scheduler: LRScheduler) -> Any:
    """A scheduler of its own with an optimizer of its own, but for the weights and the optimizer's state."""
    optimizer = scheduler.optimizer
    # What deepcopy finds here it takes as copied already.
    known: dict[int, Any] = {id(weight): weight for group in optimizer.param_groups for weight in group["params"]}
    known[id(optimizer.state)] = defaultdict(dict)
    try:
        return copy.deepcopy(scheduler, known)
    except Exception as error:  # a caller's function may hold anything
        raise ScheduleError(f"the scheduler cannot be copied: {error}.") from error


def _step(scheduler: Any, done: int) -> None:
    try:
        scheduler.step()
    except TypeError as error:
        raise ScheduleError(f"the scheduler's step needs more than the update: {error}.") from error
    except Exception as error:  # schedulers say in many ways that they are over
        raise ScheduleError(f"the scheduler ends after {done} updates: {' '.join(str(error).split())}") from error
