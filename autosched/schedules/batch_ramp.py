"""A batch that doubles during the run, by accumulated gradients, and how many updates that leaves.

A ramp is a list of updates of the schedule, ``double_batch_at``: from each of them on, twice as many batches make one
update of the weights (a number that stands there twice makes it four times as many). A schedule's LRs are counted in
batches of the trainer's own size, so a horizon is the same number of tokens with any ramp; the weights move once per
group of batches, by the mean gradient of the group and the LR of its last batch::

    batch     0  1  2  3  4  5  6  7       double_batch_at: [2, 4]
    group     0  1  2  2  3  3  3  3
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

DOUBLE_BATCH_AT = "double_batch_at"
"""The hyperparameter of a schedule, and the option of a trainer."""


def group_at(step: int, double_at: Sequence[float]) -> tuple[int, int]:
    """The first batch of the update that batch `step` belongs to, and the batch after its last one.

    A group that a doubling interrupts ends there.

    Args:
        double_at: not decreasing.

    Example:
        >>> [group_at(step, [2, 4]) for step in (0, 2, 3, 4, 7)]
        [(0, 1), (2, 4), (2, 4), (4, 8), (4, 8)]
    """
    passed = [int(at) for at in double_at if at <= step]
    begin, size = passed[-1] if passed else 0, 2 ** len(passed)
    first = begin + (step - begin) // size * size
    return first, min([first + size, *(int(at) for at in double_at if at > step)])


def serial_updates(steps: int, double_at: Sequence[float]) -> int:
    """Updates of the weights in the first `steps` batches; a group that is not full by then makes none.

    Example:
        >>> serial_updates(8, [2, 4]), serial_updates(7, [2, 4]), serial_updates(8, [])
        (4, 3, 8)
    """
    edges = [0, *(int(at) for at in double_at if at < steps), steps]
    stages = [(end - first, 1 << k) for k, (first, end) in enumerate(pairwise(edges))]
    *cut, (batches, size) = stages
    return sum(-(-length // group) for length, group in cut) + batches // size
