"""The law's final loss over two parameters at a time, to lie under the trials of a study."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from autosched.errors import ScheduleError
from autosched.laws.files import SavedLaw
from autosched.laws.fit import FitFailure
from autosched.laws.forecaster import forecast_ends
from autosched.ledger.state import TrialState
from autosched.report.law_fit import misfit
from autosched.report.plain import json_safe, rounded
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.space import build_schedule
from autosched.space.records import Range, ScheduleSpec, Space

GRID = 11
"""Values of each parameter. Judgement: a contour is smooth, and all pairs cost about a second."""
MOST = 4
"""Parameters whose pairs are drawn, the first ones of the space."""


def law_record(law: SavedLaw | FitFailure, space: Space, best: TrialState | None) -> dict[str, Any]:
    """The law at this place of a study, for its page.

    Args:
        best: whose family, and whose other parameters, the schedules of all surfaces have; None for no surfaces.

    Returns:
        ``misfit`` (root mean square of the log residuals) and ``surfaces``: a list of ``family``, ``x``, ``y`` (names),
        ``xs``, ``ys`` (values) and ``z`` (nats, one row per y); or ``why`` there is no law.
    """
    if isinstance(law, FitFailure):
        return {"why": law.reason}
    ranges = [] if best is None else _ranges(space, best)
    found = [] if best is None else [_surface(law, space, best, *pair) for pair in itertools.combinations(ranges, 2)]
    record: dict[str, Any] = json_safe({"misfit": misfit(law), "surfaces": found})
    return record


def _ranges(space: Space, best: TrialState) -> list[tuple[str, Range]]:
    """The numbers that were searched for a trial's family; none where no family is, as by AutoLRS."""
    searched = space.family(best.family).parameters
    found = [(name, one.domain) for name, one in searched.items() if isinstance(one.domain, Range)]
    return [(name, domain) for name, domain in found if name in best.schedule_params][:MOST]


def _surface(
    law: SavedLaw, space: Space, best: TrialState, across: tuple[str, Range], up: tuple[str, Range]
) -> dict[str, Any]:
    (x, of_x), (y, of_y) = across, up
    xs, ys = values_of(of_x), values_of(of_y)
    points = [{**best.params, x: _value(of_x, at_x), y: _value(of_y, at_y)} for at_y in ys for at_x in xs]
    schedules = [_schedule(space, best, point) for point in points]
    losses = np.full(len(points), np.nan)
    there = [place for place, schedule in enumerate(schedules) if schedule is not None]
    losses[there] = forecast_ends(law.law, [schedule for schedule in schedules if schedule is not None]).mean
    return {
        "family": best.family,
        "x": x,
        "y": y,
        "xs": [rounded(float(value), 5) for value in xs],
        "ys": [rounded(float(value), 5) for value in ys],
        "z": [[rounded(float(loss), 5) for loss in row] for row in losses.reshape(ys.size, xs.size)],
    }


def _schedule(space: Space, best: TrialState, point: Mapping[str, Any]) -> Schedule | None:
    """The schedule of a point; None where the family's rules allow none, as for cooldowns that begin in the warmup."""
    try:
        return build_schedule(space, ScheduleSpec(family=best.family, params=point))
    except ScheduleError:
        return None


def values_of(domain: Range) -> FloatArray:
    """Values of a parameter's axis, evenly as it is searched."""
    spread = np.geomspace if domain.log else np.linspace
    values = np.clip(spread(domain.low, domain.high, GRID), domain.low, domain.high)
    return np.unique(values.round()) if domain.integer else values


def _value(domain: Range, value: float) -> float | int:
    return int(value) if domain.integer else float(value)
