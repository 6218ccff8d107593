"""Whether a study's forecasts hold what they claim, apart for what it had seen when they were made.

    score z = (ln end - ln mean) / sd,   sd = ln(high / low) / 3.29      of the 90% interval low to high
    a central interval of probability p holds the end where |z| <= Phi**-1((1 + p) / 2)

What a cooldown gives cannot be known before one was seen, so forecasts are counted in three stages:

    stage         until
    no_cooldown   a run (of this study, or an old one of the same model) was seen at half of its peak LR or less
    cooling       a run was complete
    complete      the study's end
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from autosched.ledger.records import Forecast
from autosched.ledger.state import StudyState, TrialState
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.search.old_runs import comparable
from autosched.space.records import Space

STAGES = ("no_cooldown", "cooling", "complete")
PROBABILITIES = (0.5, 0.8, 0.9)
COOLED = 0.5
"""[share of the peak LR] From which on a run counts as cooled: linear cooldowns have given most of their gain there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A forecast of a run's end, and how it ended.

    Attributes:
        stage: one of `STAGES`.
        mean, low, high: of the forecast, with its central 90% interval, nats.
        end: how the run ended, nats.
    """

    stage: str
    mean: float
    low: float
    high: float
    end: float

    @property
    def score(self) -> float:
        """Distance of the end from the forecast, in its standard deviations; infinite where it claims to be sure."""
        sd = math.log(self.high / self.low) / (2 * float(ndtri(0.95)))
        gap = math.log(self.end / self.mean)
        return gap / sd if sd > 0 else math.copysign(math.inf, gap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Of some forecasts.

    Attributes:
        forecasts: how many.
        coverage50, coverage80, coverage90: share of the ends inside the central intervals of these probabilities.
        width: mean width of the 90% intervals (sharpness), nats.
        bias: mean of forecast minus end, nats; above 0 where forecasts are too high.
    """

    forecasts: int
    coverage50: float
    coverage80: float
    coverage90: float
    width: float
    bias: float

    @classmethod
    def of(cls, told: Sequence[Told]) -> Calibration:
        """Of at least one forecast."""
        held = dict(zip(PROBABILITIES, shares_held(told, np.array(PROBABILITIES)).tolist(), strict=True))
        return cls(
            forecasts=len(told),
            coverage50=held[0.5],
            coverage80=held[0.8],
            coverage90=held[0.9],
            width=float(np.mean([one.high - one.low for one in told])),
            bias=float(np.mean([one.mean - one.end for one in told])),
        )


def by_stage(told: Sequence[Told]) -> dict[str, Calibration]:
    """The calibration of every stage that has forecasts, in the order of `STAGES`."""
    groups = {stage: [one for one in told if one.stage == stage] for stage in STAGES}
    return {stage: Calibration.of(group) for stage, group in groups.items() if group}


def shares_held(told: Sequence[Told], probabilities: FloatArray) -> FloatArray:
    """Share of the ends inside the central interval of each probability, shape (p,)."""
    scores = np.abs([one.score for one in told])
    return np.asarray(np.mean(scores[None, :] <= ndtri((1 + probabilities) / 2)[:, None], axis=1))


def told_ends(
    state: StudyState, space: Space, end_of: Callable[[TrialState], float | None] | None = None
) -> list[Told]:
    """What was said of trials while they ran and how they ended, in order; pilots and confirming runs left out.

    Args:
        end_of: how a trial ends, or would have ended; None for trials that do not count. By default the losses of the
            trials that were trained to their end.
    """
    end_of = end_of or (lambda trial: trial.value if trial.status == "complete" else None)
    ends = {
        trial.number: end for trial in state.searched if trial.role != "pilot" and (end := end_of(trial)) is not None
    }
    made = {
        (number, step): decision.forecast
        for number in ends
        for step, decision in state.trials[number].decisions
        if decision.forecast is not None
    }
    return [
        Told(stage=stage, mean=forecast.mean, low=forecast.low, high=forecast.high, end=ends[place[0]])
        for place, stage in stages(state, space).items()
        if (forecast := made.get(place)) is not None and _usable(forecast, ends[place[0]])
    ]


def stages(state: StudyState, space: Space) -> Mapping[tuple[int, int], str]:
    """What the study had seen when each trial had got to each step: (trial, step) -> stage, in order."""
    stage = 0
    for curve in comparable(space):
        stage = max(stage, _stage_after(curve.schedule, int(curve.steps[-1])))
    found = {}
    for transition in state.log:
        if transition.kind == "advanced":
            if stage < len(STAGES) - 1:
                stage = max(stage, _seen_by(state.trials[transition.trial], transition.step))
            found[transition.trial, transition.step] = STAGES[stage]
    return found


def _seen_by(trial: TrialState, step: int) -> int:
    """The stage when a trial was seen up to a step; a pilot is no complete run."""
    if trial.role == "pilot":
        return min(_stage_after(trial.schedule.prefix(trial.until), step), 1)
    return _stage_after(trial.schedule, step)


def _stage_after(schedule: Schedule, step: int) -> int:
    """The stage when a run of this schedule was seen up to a step."""
    if step >= schedule.steps:
        return 2
    outline = schedule.outline
    top = float(outline.updates[outline.lrs.argmax()])
    return int(step > top and float(outline.read(np.array([step - 1.0]))[0]) <= COOLED * schedule.peak_lr)


def _usable(forecast: Forecast, end: float) -> bool:
    """Whether all are losses whose logarithms can be compared."""
    return all(0 < loss < math.inf for loss in (forecast.mean, forecast.low, forecast.high, end))
