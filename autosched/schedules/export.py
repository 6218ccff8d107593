"""Ways out of a `Schedule`: a function of the step, a torch scheduler, torch source code, CSV (JSON is its own method).

Every one gives the LRs of the array itself, to the last bit of float64. The functions know steps 0 to `steps` and no
others: a torch scheduler asks once more after the last update, which gets the last LR and trains nothing; a training
loop that goes on beyond that would run a schedule nobody chose, so it gets an error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from autosched.errors import ScheduleError
from autosched.schedules.schedule import Schedule

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

SOURCE_WIDTH = 100


def to_function(schedule: Schedule) -> Callable[[int], float]:
    """The schedule as a plain function: step -> LR.

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

    The two functions do what :func:`to_function` and :func:`to_lambda_lr` do. Equal LRs in a row are written once, with
    their count, so the source stays short where the schedule is flat.
    """
    runs = [f"({lr!r}, {len(list(group))})," for lr, group in itertools.groupby(schedule.lrs.tolist())]
    # ascii() keeps a line break in a schedule file's texts from becoming a line of the program.
    return _TORCH_SOURCE.format(
        description=ascii(schedule.describe())[1:-1],
        steps=schedule.steps,
        peak=schedule.peak_lr,
        last=schedule.final_lr,
        fingerprint=schedule.fingerprint,
        runs="\n".join(f"    {line}" for line in _wrapped(runs)),
    )


def to_csv(schedule: Schedule) -> str:
    """``step,lr`` lines; every LR is Python's shortest ``repr``, which reads back to the same bits.

    Example:
        >>> print(to_csv(Schedule([0.1, 0.05])), end="")
        step,lr
        0,0.1
        1,0.05
    """
    return "".join(["step,lr\n", *(f"{step},{lr!r}\n" for step, lr in enumerate(schedule.lrs.tolist()))])


def _wrapped(words: list[str]) -> list[str]:
    """The words in lines of at most `SOURCE_WIDTH` characters."""
    lines: list[str] = []
    line = ""
    for word in words:
        if line and len(line) + len(word) >= SOURCE_WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [*lines, line]


_TORCH_SOURCE = '''\
"""Learning-rate schedule, written by autosched; needs nothing but torch.

    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    scheduler = make_scheduler(optimizer)
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()
"""

from torch.optim.lr_scheduler import LambdaLR

# {description}
# peak LR {peak!r}, last LR {last!r}
# SHA-256 of the LRs (float64, little endian): {fingerprint}
STEPS = {steps}
RUNS = [  # (LR, number of updates in a row that use it)
{runs}
]
LRS = [lr for lr, count in RUNS for _ in range(count)]


def lr_at(step):
    """LR of update `step`, 0 to STEPS - 1; STEPS itself, asked for after the last update, gives the last LR."""
    if not 0 <= step <= STEPS:
        raise ValueError(f"the schedule has {{STEPS}} steps, so the step must be in [0, {{STEPS}}], but got {{step}}.")
    return LRS[min(step, STEPS - 1)]


def make_scheduler(optimizer):
    """A LambdaLR that sets these LRs; groups whose lr differs from the optimizer's own keep their ratio to it."""
    reference = float(optimizer.defaults["lr"])
    if not reference > 0:
        raise ValueError(f"the optimizer's lr is the reference and must be > 0, but got {{reference!r}}.")
    if any("initial_lr" in group for group in optimizer.param_groups):
        raise ValueError("the optimizer already has a scheduler or a loaded state; make a new one, then load both.")
    for group in optimizer.param_groups:
        group["initial_lr"] = float(group["lr"]) / reference
    return LambdaLR(optimizer, lr_at)
'''
