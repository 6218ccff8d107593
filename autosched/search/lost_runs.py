"""Runs that train to their end and have learned nothing: no loss is infinite, and none is below where runs begin.

A classifier whose LR was too high ends at ln(classes), a little above the first losses of other runs, which have
learned something by then. Such a run is no point on any law's curve, and tells the same as one that diverged: this LR
is too high. Runs begin at the median over trials of the first loss that was logged. Where all runs are so, it is no
run's fault, and none counts as lost.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from autosched.ledger.state import TrialState


def lost(reaches: Mapping[int, int], trials: Sequence[TrialState]) -> frozenset[int]:
    """Numbers of the trials that have come half-way and were never below the beginning in the later half of that.

    Args:
        reaches: trial -> updates that count, of those that have any.
    """
    begun = {number: trials[number].points for number in reaches if trials[number].points}
    if not begun:
        return frozenset()
    start = statistics.median([points[0].loss for points in begun.values()])
    halves = {
        number: [point.loss for point in points if reaches[number] < 2 * point.step <= 2 * reaches[number]]
        for number, points in begun.items()
        if 2 * reaches[number] >= trials[number].horizon
    }
    gone = frozenset(number for number, losses in halves.items() if losses and min(losses) > start)
    return gone if len(gone) < len(halves) else frozenset()
