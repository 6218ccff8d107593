"""From the outcomes of many seeds to one line of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosched.report.calibration import Calibration, by_stage
from searches.drive import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One method on one world.

    Attributes:
        median, p90: full-run equivalents until the target was found, over seeds, a missed one counting as infinite;
            None when that makes the figure infinite.
        missed: seeds that never found it.
        winner_killed: seeds in which the best run was stopped early.
        false_kill_rate: false kills over kills, over all seeds; 0 when nothing was killed, which `killed` says.
        coverage90: share of the forecasts whose 90% interval held the end; None without forecasts.
        calibration: by what the study had seen (:mod:`autosched.report.calibration`); empty without forecasts.
        killed, forecasts: how many of them these two figures rest on.
    """

    method: str
    pruner: str
    prefix_reuse: bool
    median: float | None
    p90: float | None
    missed: int
    winner_killed: int
    false_kill_rate: float
    coverage90: float | None
    killed: int
    forecasts: int
    seconds: float
    calibration: dict[str, Calibration]


def figures(method: str, pruner: str, outcomes: Sequence[Outcome], *, horizon: int, seconds: float) -> list[Figures]:
    """A line for paying every update, and one for paying shared updates once where the method can share."""
    kills = sum(outcome.kills for outcome in outcomes)
    forecasts = [forecast for outcome in outcomes for forecast in outcome.forecasts]
    lines = []
    for reuse in (False, True) if any(outcome.shares for outcome in outcomes) else (False,):
        spent = [outcome.spent_sharing if reuse else outcome.spent for outcome in outcomes]
        lines.append(
            Figures(
                method=method,
                pruner=pruner,
                prefix_reuse=reuse,
                median=quantile(spent, 0.5, horizon),
                p90=quantile(spent, 0.9, horizon),
                missed=sum(steps is None for steps in spent),
                winner_killed=sum(outcome.winner_killed for outcome in outcomes),
                false_kill_rate=sum(outcome.false_kills for outcome in outcomes) / max(kills, 1),
                coverage90=Calibration.of(forecasts).coverage90 if forecasts else None,
                killed=kills,
                forecasts=len(forecasts),
                seconds=seconds,
                calibration=by_stage(forecasts),
            )
        )
    return lines


def quantile(spent: Sequence[int | None], share: float, horizon: int) -> float | None:
    """The smallest figure that at least `share` of the seeds do not exceed, over the horizon; None when infinite.

    Example:
        >>> quantile([100, 300, None], 0.5, 100), quantile([100, 300, None], 0.9, 100)
        (3.0, None)
    """
    values = [math.inf if steps is None else steps / horizon for steps in spent]
    found = float(np.quantile(values, share, method="inverted_cdf"))
    return found if math.isfinite(found) else None
