"""A `Schedule` in torch: a ``LambdaLR``, and source code that makes one without autosched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosched.errors import ScheduleError
from autosched.schedules.exports.functions import to_function
from autosched.schedules.exports.source_text import python_source
from autosched.schedules.schedule import Schedule

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


def to_lambda_lr(schedule: Schedule, optimizer: Optimizer) -> LambdaLR:
    """A torch ``LambdaLR`` that gives the optimizer exactly the schedule's LRs; call its ``step`` after every update.

    The LR the optimizer was made with (``optimizer.defaults["lr"]``) is the reference: a parameter group with that LR
    gets ``lrs[t]`` whatever the reference is, a group with another one ``lrs[t]`` times its LR over the reference.

    To go on from a checkpoint, make the optimizer and this scheduler anew and load the states of both.

    Args:
        schedule: the LRs.
        optimizer: a fresh torch optimizer; its groups' ``initial_lr`` become their LRs over the reference.

    Raises:
        ScheduleError: the optimizer's LR is not > 0, or a scheduler or a loaded state has already changed it.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> optimizer = torch.optim.SGD([weight], lr=0.3)
        >>> scheduler = to_lambda_lr(Schedule([0.1, 0.05]), optimizer)
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """
    from torch.optim.lr_scheduler import LambdaLR

    reference = float(optimizer.defaults["lr"])
    if not reference > 0:
        raise ScheduleError(f"the optimizer's lr is the reference and must be > 0, but got {reference!r}.")
    if any("initial_lr" in group for group in optimizer.param_groups):
        raise ScheduleError(
            "the optimizer already has a scheduler or a loaded state; "
            "make a new one, give it this scheduler, then load the states of both."
        )
    for group in optimizer.param_groups:
        # LambdaLR multiplies this base with the schedule's LR: a base of exactly 1 keeps every bit of it.
        group["initial_lr"] = float(group["lr"]) / reference
    return LambdaLR(optimizer, to_function(schedule))


def to_torch_source(schedule: Schedule) -> str:
    """Python source that needs torch alone: the LRs, ``lr_at(step)`` and ``make_scheduler(optimizer)``.

    The two functions do what :func:`~autosched.schedules.exports.functions.to_function` and :func:`to_lambda_lr` do.
    Equal LRs in a row are written once, with their count, so the source stays short where the schedule is flat.
    """
    return python_source(schedule, usage=_USAGE, imports=TORCH_IMPORTS, code=TORCH_FUNCTIONS)


TORCH_IMPORTS = "from torch.optim.lr_scheduler import LambdaLR"
TORCH_FUNCTIONS = '''
def lr_at(step):
    """LR of update `step`, 0 to STEPS - 1; STEPS itself, asked for after the last update, gives the last LR."""
    if not 0 <= step <= STEPS:
        raise ValueError(f"the schedule has {STEPS} steps, so the step must be in [0, {STEPS}], but got {step}.")
    return LRS[min(step, STEPS - 1)]


def make_scheduler(optimizer):
    """A LambdaLR that sets these LRs; groups whose lr differs from the optimizer's own keep their ratio to it."""
    reference = float(optimizer.defaults["lr"])
    if not reference > 0:
        raise ValueError(f"the optimizer's lr is the reference and must be > 0, but got {reference!r}.")
    if any("initial_lr" in group for group in optimizer.param_groups):
        raise ValueError("the optimizer already has a scheduler or a loaded state; make a new one, then load both.")
    for group in optimizer.param_groups:
        group["initial_lr"] = float(group["lr"]) / reference
    return LambdaLR(optimizer, lr_at)
'''
_USAGE = """
Learning-rate schedule, written by autosched; needs nothing but torch.

    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    scheduler = make_scheduler(optimizer)
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()
"""
