"""What the observation of an LR range test's sweep says."""

from __future__ import annotations

import numpy as np

from autosched.curves.range_test import FEWEST_PER_DECADE, RangeTest, RangeTestFailure, Sweep, analyse
from autosched.ledger.records import Observation


def read_sweep(sweep: Sweep, seen: Observation) -> RangeTest | RangeTestFailure:
    """Read a sweep; the loss of an update that diverged counts as infinite.

    Args:
        seen: of a segment that trained the whole sweep from update 0, a point after every update.
    """
    losses = np.full(max(len(seen.points) + 1, FEWEST_PER_DECADE), np.inf)
    losses[: len(seen.points)] = [point.loss for point in seen.points]
    lrs = sweep.schedule().lrs[: losses.size]
    return analyse(lrs, losses[: lrs.size])
