"""What a loss law, fitted to the run so far and to its probes, says of each probe's LR: at the stage's and run's end.

The law sees the committed run, the probes of the present stage and of some before it, each with its own LRs. What is
forecast for a probe is the run that goes on with its LR: to the end of the stage, and, because an LR that is best for
a stage need not be best for the run, to the end of the run, the cooldown included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure
from autosched.laws.forecast import Forecast, Query
from autosched.laws.forecaster_fit import STAGES, fit_forecaster
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.search.autolrs.priors import FIRST_PROBE_START, PROBE_POINTS, STAGES_REMEMBERED
from autosched.search.autolrs.records import Expectation, Numbers, State, Tried, Work, thinned
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs.stages import Stage, stages


@dataclass(frozen=True, slots=True, kw_only=True)
class LawEnds:
    """What the law says, each by number of the probe; empty where no law could be fitted.

    Attributes:
        stage_end: loss at the end of the stage; its sd is that of the loss.
        run_end: loss at the end of the run; its sd is that of the difference to the other probes.
        later: change of the loss from the stage's end to the run's; sd as in `run_end`.
        stage_difference_sd: sd of the difference to the other probes at the end of the stage, nats.
        reason: why it is empty.
    """

    stage_end: Mapping[int, Expectation] = field(default_factory=dict)
    run_end: Mapping[int, Expectation] = field(default_factory=dict)
    later: Mapping[int, Expectation] = field(default_factory=dict)
    stage_difference_sd: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""


def law_ends(settings: Settings, state: State, stage: Stage) -> LawEnds:
    """Forecasts for the present stage's probes that did not diverge."""
    tried = [one for one in state.tried if one.end is not None]
    curves = [_curve(settings, state, stage.checkpoint, one) for one in tried]
    if not all(curve.steps.size for curve in curves):
        return LawEnds(reason="a probe is too short to leave its start-up.")
    past = [curve for curve in _past(settings, state, stage) if curve.steps.size]
    end = settings.steps
    assert end is not None, "settings check it"  # noqa: S101 - a law is only asked about a run with an end
    plans = [curve.schedule for curve in curves]
    asked = [(plan, np.array([float(step)])) for step in (stage.stop, end) for plan in plans]
    law = fit_forecaster([*curves, *past], STAGES)
    if isinstance(law, FitFailure):
        return LawEnds(reason=law.reason)
    found = law.forecast(Query.of(asked), 2 * list(range(len(plans))), observation_noise=False)
    return _ends([one.number for one in tried], found)


def _ends(numbers: Sequence[int], found: Forecast) -> LawEnds:
    count = len(numbers)
    means, sds = found.mean, found.sd
    stage, run = slice(0, count), slice(count, 2 * count)
    at_stage, at_run = _difference_sd(found.covariance[stage, stage]), _difference_sd(found.covariance[run, run])
    change = np.hstack([-np.eye(count), np.eye(count)])
    later = _difference_sd(change @ found.covariance @ change.T)

    def table(mean: FloatArray, sd: FloatArray) -> dict[int, Expectation]:
        return {
            number: Expectation(name="law", mean=float(m), sd=float(s))
            for number, m, s in zip(numbers, mean, sd, strict=True)
        }

    return LawEnds(
        stage_end=table(means[stage], sds[stage] * means[stage]),
        run_end=table(means[run], at_run * means[run]),
        later=table(means[run] - means[stage], later * means[run]),
        stage_difference_sd=dict(zip(numbers, (at_stage * means[stage]).tolist(), strict=True)),
    )


def _difference_sd(covariance: FloatArray) -> FloatArray:
    """Standard deviation of each value less the mean of all, shape (n,)."""
    count = covariance.shape[0]
    centre = np.eye(count) - 1.0 / count
    return np.sqrt(np.maximum(np.diag(centre @ covariance @ centre), 0.0))


def _past(settings: Settings, state: State, stage: Stage) -> list[Curve]:
    """The committed run, and the losing probes of the last stages; scored as the present one."""
    passed = [one for one in state.passed if one.by_validation == stage.by_validation]
    steps = tuple(step for one in passed for step in one.steps)
    losses = tuple(loss for one in passed for loss in one.losses)
    run = _seen(settings, _plan(settings, state, state.position, state.lr), steps, losses)
    losers = [
        _curve(settings, state, one.checkpoint, tried)
        for one in passed[-STAGES_REMEMBERED:]
        for tried in one.tried
        if tried.end is not None and tried.lr != one.lr
    ]
    return [run, *losers]


def _curve(settings: Settings, state: State, checkpoint: int, tried: Tried) -> Curve:
    """A probe, as the beginning of the run that goes on with its LR."""
    steps, losses = thinned(tried.steps, tried.losses, PROBE_POINTS)
    return _seen(settings, _plan(settings, state, checkpoint, tried.lr), steps, losses)


def _seen(settings: Settings, plan: Schedule, steps: Numbers, losses: Numbers) -> Curve:
    """What was seen of a run after its warmup and start-up."""
    first = next(stages(settings))
    at = np.asarray(steps, dtype=np.float64)
    kept = at >= max(first.start + FIRST_PROBE_START * first.probe, 1.0)
    return Curve(schedule=plan, steps=at[kept], losses=np.asarray(losses, dtype=np.float64)[kept])


def _plan(settings: Settings, state: State, start: int, lr: float) -> Schedule:
    """The committed run up to `start`, then one LR, then the cooldown from it."""
    assert settings.steps is not None, "settings check it"  # noqa: S101 - as above
    lrs = np.full(settings.steps, lr)
    for work in state.done:
        part = work.lrs[: max(start - work.start, 0)]
        lrs[work.start : work.start + part.size] = part
    if settings.cooldown_steps:
        begin = settings.steps - settings.cooldown_steps
        lrs[begin:] = Work(kind="cooldown", start=begin, stop=settings.steps, lr=lr, stage=0).lrs
    return Schedule(lrs)
