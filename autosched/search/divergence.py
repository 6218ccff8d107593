"""Which schedules will diverge: a boundary in (peak LR, warmup), learned from the study's own failures.

    P(survives) = 1 / (1 + exp(-(c - a ln peak_lr + b ln(1 + warmup_steps)))),   a, b >= 0

A logistic regression (scikit-learn, L2) over the trials that diverged and those that did not; a trial counts as a
survivor once it has got through a fifth of its run. A higher peak is never safer and a longer warmup never more
dangerous: a feature whose sign comes out otherwise is left out. A penalty value in the loss would bend the law near the
boundary; a constraint leaves it alone. Without a failure nothing is known to diverge, and everything survives.

A run may train to its end and have learned nothing: no loss is infinite, and none is below where runs begin. A
classifier whose LR was too high ends at ln(classes), a little above the first losses of other runs, which have learned
something by then. Such a *lost* run is no point on any law's curve, and tells the same as one that diverged. Runs begin
at the median over trials of the first loss that was logged. Where all are so, it is no run's fault, and none is lost.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosched.laws.drops import warmup_of
from autosched.ledger.state import TrialState
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.search.priors import BOUNDARY_STRENGTH

_SIGNS = np.array([-1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Boundary:
    """The fitted boundary.

    Attributes:
        intercept, slopes: of the log odds to survive; slopes by (ln peak LR, ln(1 + warmup)), shape (2,).
    """

    intercept: float
    slopes: FloatArray

    def survival(self, schedules: Sequence[Schedule]) -> FloatArray:
        """Probability that each schedule does not diverge, shape (n,)."""
        odds = self.intercept + features(schedules) @ self.slopes
        survival: FloatArray = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        return survival


def features(schedules: Sequence[Schedule]) -> FloatArray:
    """``ln peak LR`` and ``ln(1 + warmup updates)``, shape (n, 2)."""
    rows = [(s.log_peak_lr, np.log1p(warmup_of(s.outline))) for s in schedules]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def boundary(survived: Sequence[Schedule], diverged: Sequence[Schedule]) -> Boundary | None:
    """The boundary between the two; None while nothing diverged.

    With failures alone every schedule is as likely to fail as not, until one survives.
    """
    if not diverged:
        return None
    seen = features([*survived, *diverged])
    alive = np.array([True] * len(survived) + [False] * len(diverged))
    if not survived:
        return Boundary(intercept=0.0, slopes=np.zeros(2))
    usable = np.ptp(seen, axis=0) > 1e-9
    while True:
        intercept, slopes = _regression(seen, alive, usable)
        wrong = usable & (slopes * _SIGNS < 0)
        if not wrong.any():
            return Boundary(intercept=intercept, slopes=slopes)
        usable &= ~wrong


def _regression(seen: FloatArray, alive: NDArray[np.bool_], usable: NDArray[np.bool_]) -> tuple[float, FloatArray]:
    """Intercept and slopes (2,) in the features' own units, from the usable ones."""
    slopes = np.zeros(2)
    if not usable.any():
        share = float(alive.mean())
        return float(np.log(share / (1 - share))), slopes
    from sklearn.linear_model import LogisticRegression

    chosen = seen[:, usable]
    centre, spread = chosen.mean(axis=0), chosen.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = LogisticRegression(C=BOUNDARY_STRENGTH).fit((chosen - centre) / spread, alive)
    slopes[usable] = found.coef_[0] / spread
    return float(found.intercept_[0] - (found.coef_[0] / spread) @ centre), slopes


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
