"""A schedule as a short text that fits into a trial's attributes, whatever its number of updates.

Two forms, both JSON::

    {"steps": 25000, "family": "wsd", "params": {"peak_lr": 0.001, …}}   a family of this package: exact
    {"steps": 25000, "knots": [[0, 1e-05], [99, 0.001], …]}              [update, LR], straight lines between them

Knots reproduce every LR to within 1e-4 of the peak LR, which is far less than any loss law can tell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from autosched.errors import ScheduleError
from autosched.json_documents import JsonFault, read_record
from autosched.schedules.registry import build, family_names
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.schedules.schedule_file import PlainParameter

TOLERANCE = 1e-4
LONGEST_TEXT = 60_000
"""Characters; MySQL keeps 65,535 bytes of an Optuna attribute."""


def schedule_to_text(schedule: Schedule) -> str:
    """The schedule's family if it makes the same LRs again, else its knots.

    Raises:
        ScheduleError: it changes so often that its knots would be longer than 60,000 characters.

    Example:
        >>> from autosched.schedules import build
        >>> schedule_to_text(build("constant", {"peak_lr": 0.1}, steps=100))
        '{"steps": 100, "family": "constant", "params": {"peak_lr": 0.1, "warmup_steps": 0}}'
        >>> schedule_to_text(Schedule([0.1] * 80 + [0.01] * 20))
        '{"steps": 100, "knots": [[0, 0.1], [79, 0.1], [80, 0.01], [99, 0.01]]}'
    """
    if _is_of_its_family(schedule):
        document: dict[str, Any] = {"family": schedule.family, "params": dict(schedule.params)}
    else:
        knots = straight_knots(schedule.lrs, TOLERANCE * schedule.peak_lr)
        document = {"knots": [list(pair) for pair in zip(knots, schedule.lr_at(knots).tolist(), strict=True)]}
    text = json.dumps({"steps": schedule.steps, **document})
    if len(text) > LONGEST_TEXT:
        raise ScheduleError(
            f"schedule changes too often to be kept with a trial: {len(text)} characters, at most {LONGEST_TEXT}."
        )
    return text


def schedule_from_text(text: str) -> Schedule:
    """Read either form.

    Raises:
        ScheduleError: no JSON, neither form, or parameters the family does not allow.

    Example:
        >>> schedule_from_text('{"steps": 3, "knots": [[0, 0.1], [2, 0.0]]}').lrs.tolist()
        [0.1, 0.05, 0.0]
    """
    try:
        document = read_record(text, TrialSchedule)
    except JsonFault as fault:
        raise ScheduleError(f"a trial's schedule {_shown(text)} cannot be read: {fault.message}.") from None
    if document.family is not None:
        return build(document.family, document.params, steps=document.steps)
    return Schedule(_between_knots(document.knots, document.steps))


class TrialSchedule(BaseModel):
    """The schema of both forms: a family with its parameters, or knots."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    steps: int = Field(ge=1)
    family: str | None = None
    params: dict[str, PlainParameter] = Field(default_factory=dict)
    knots: list[list[float]] = Field(default_factory=list)


@lru_cache(maxsize=64)
def cached_schedule(text: str) -> Schedule:
    """:func:`schedule_from_text`, kept for the texts that were asked for last."""
    return schedule_from_text(text)


@lru_cache(maxsize=8192)
def steps_and_peak(text: str) -> tuple[int, float]:
    """Updates and peak LR of a schedule; all that is kept of the many that are not asked for whole."""
    schedule = cached_schedule(text)
    return schedule.steps, schedule.peak_lr


def straight_knots(lrs: FloatArray, tolerance: float) -> list[int]:
    """Updates between which straight lines stay within `tolerance` of every LR (Ramer 1972, Douglas & Peucker 1973)."""
    knots, open_ = {0, lrs.size - 1}, [(0, lrs.size - 1)]
    while open_:
        first, last = open_.pop()
        line = np.linspace(lrs[first], lrs[last], last - first + 1)
        gaps = np.abs(lrs[first : last + 1] - line)
        worst = int(gaps.argmax())
        if gaps[worst] > tolerance:
            knots.add(first + worst)
            open_ += [(first, first + worst), (first + worst, last)]
    return sorted(knots)


def _is_of_its_family(schedule: Schedule) -> bool:
    if schedule.family == "table" or schedule.family not in family_names():
        return False
    try:
        return build(schedule.family, schedule.params, steps=schedule.steps).bare == schedule.bare
    except ScheduleError:  # a name and parameters of someone else's
        return False


def _between_knots(knots_of: Sequence[Sequence[float]], steps: int) -> FloatArray:
    rule = f'"knots" must be [[update, LR], …] with updates rising from 0 to {steps - 1}'
    if not knots_of or any(len(knot) != 2 for knot in knots_of):
        raise ScheduleError(f"{rule}, but got {_shown(knots_of)}.")
    at, lrs = np.array(knots_of).T
    if at[0] != 0 or at[-1] != steps - 1 or np.any(np.diff(at) <= 0):
        raise ScheduleError(f"{rule}, but got {_shown(knots_of)}.")
    found: FloatArray = np.interp(np.arange(steps), at, lrs)
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
