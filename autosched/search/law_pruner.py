"""Stops a trial whose forecast at the horizon cannot beat the best trial.

At-equal-step pruners throw away the schedules that decay late, which are the best ones. This one asks what each
running trial's loss will be at the horizon, given its own future LRs (:mod:`autosched.laws.forecast`), and stops it
only when even the low end of that forecast is worse than the best complete trial. Trials share one training seed, so
comparing them carries no seed noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import t as student

from autosched.curves.curve import Curve
from autosched.errors import SpaceError
from autosched.laws.forecast import HorizonForecast, forecast_horizon, thinned
from autosched.ledger.records import Decision, Forecast
from autosched.ledger.state import StudyState, TrialState
from autosched.randomness import uniform
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule
from autosched.search.protocols import Thaw
from autosched.space.records import Space

LAW = "functional"
_RECENT_TRIALS = 512
_MOST_RECONSIDERED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LawPrunerOptions:
    """Options of ``pruner: {law: …}``.

    Attributes:
        min_fraction: share of the horizon before which no trial is stopped.
        min_complete: complete trials before any trial is stopped.
        min_points: evaluations of the trial's own, start-up left out.
        audit_share: share of trials that are kept although condemned, to count false kills.
        interval: central probability of the forecast's interval.
        sd_floor: smallest standard deviation of a forecast, relative to the loss.
        worst_fit: largest relative misfit of the law (root mean square) at which its forecasts still count.
        max_curves: trials used for one forecast, the nearest in peak LR; bounds the cost.
        points_per_curve: evaluations used per trial.
    """

    min_fraction: float = 0.25
    min_complete: int = 3
    min_points: int = 4
    audit_share: float = 0.1
    interval: float = 0.9
    sd_floor: float = 0.003
    worst_fit: float = 0.15
    max_curves: int = 20
    points_per_curve: int = 10

    def __post_init__(self) -> None:
        for name in ("min_fraction", "audit_share", "interval"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpaceError(f"pruner law: {name} must be in [0, 1], but got {getattr(self, name)!r}.")
        for name in ("min_complete", "min_points", "max_curves", "points_per_curve"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) >= 1):
                raise SpaceError(f"pruner law: {name} must be a whole number >= 1, but got {getattr(self, name)!r}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> LawPrunerOptions:
        """From a space file's mapping.

        Raises:
            SpaceError: an unknown name, or a value that is no number or out of range.
        """
        allowed = {field.name for field in fields(cls)}
        for name, value in options.items():
            if name not in allowed:
                raise SpaceError(f"pruner law has no option {name!r}; it has {', '.join(sorted(allowed))}.")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SpaceError(f"pruner law: {name} must be a number, but got {value!r}.")
        return cls(**options)


class LawPruner:
    """The default pruner. A function of the study's state alone; its only cache holds schedules by trial.

    Args:
        space: gives the horizon and the seed of the audit draw.
        options: see :class:`LawPrunerOptions`.
    """

    def __init__(self, space: Space, options: Mapping[str, Any]) -> None:
        self._horizon = space.horizon_steps
        self._seed = space.seed
        self._options = LawPrunerOptions.of(options)
        self._schedules: dict[int, Schedule] = {}
        self._second_looks: dict[tuple[int, int, int, int | None], str | None] = {}

    def decide(self, state: StudyState, trial: int) -> Decision:
        """Stop when even the low end of the forecast cannot beat the best complete trial."""
        judged, best = state.trial(trial), state.best_trial()
        curve = thinned(self._curve(judged), most=self._options.points_per_curve)
        doubt = self._too_early(judged, curve, best)
        if doubt is not None or best is None or best.value is None:
            return Decision(action="keep", reason=doubt or "no complete trial to compare with")
        others = self._relevant(state, judged)
        complete = sum(other.steps[-1] == self._horizon for other in others)
        if complete < self._options.min_complete:
            return _keep(f"only {complete} of {self._options.min_complete} complete trials to learn from")
        found = forecast_horizon(curve, others, sd_floor=self._options.sd_floor)
        if not (math.isfinite(found.log_mean) and found.law_sd <= self._options.worst_fit):
            return _keep(f"the law misses the curves by {found.law_sd:.1%}, more than {self._options.worst_fit:.0%}")
        return self._judge(self._record(found, judged), best.value, trial)

    def thaw(self, state: StudyState) -> Thaw | None:
        """A stopped trial that could win after all: runs that ended since have changed the law's mind."""
        stopped = [t for t in state.trials if t.status == "pruned" and t.forecast is not None]
        stopped.sort(key=lambda trial: (trial.forecast.mean if trial.forecast else math.inf, trial.number))
        for trial in stopped[:_MOST_RECONSIDERED]:
            decision = self._reconsidered(state, trial)
            if decision is not None:
                return Thaw(trial=trial.number, reason=decision)
        return None

    def _reconsidered(self, state: StudyState, trial: TrialState) -> str | None:
        """Why a stopped trial should go on; asked once per complete trial, as only these change much."""
        complete = sum(other.status == "complete" for other in state.trials[-_RECENT_TRIALS:])
        asked = (trial.number, trial.step, complete, state.best)
        if asked not in self._second_looks:
            self._second_looks[asked] = self._second_look(state, trial)
        return self._second_looks[asked]

    def _second_look(self, state: StudyState, trial: TrialState) -> str | None:
        best = state.best_trial()
        decision = self._weigh(state, trial)
        if decision is None or best is None or best.value is None or trial.forecast is None:
            return None
        # Half-way from the interval's end to its middle: a trial that may just beat the best would come and go.
        hopeful = math.sqrt(decision.low * decision.mean)
        if hopeful > best.value:
            return None
        return f"its forecast is {decision.low:.4f} to {decision.high:.4f} now, and may beat {best.value:.4f}"

    def _weigh(self, state: StudyState, judged: TrialState) -> Forecast | None:
        """The forecast of a trial's end; None when there is too little to make one that counts."""
        curve = thinned(self._curve(judged), most=self._options.points_per_curve)
        others = self._relevant(state, judged)
        complete = sum(other.steps[-1] == self._horizon for other in others)
        if self._too_early(judged, curve, state.best_trial()) or complete < self._options.min_complete:
            return None
        found = forecast_horizon(curve, others, sd_floor=self._options.sd_floor)
        sound = math.isfinite(found.log_mean) and found.law_sd <= self._options.worst_fit
        return self._record(found, judged) if sound else None

    def _too_early(self, judged: TrialState, curve: Curve, best: TrialState | None) -> str | None:
        start = self._options.min_fraction * self._horizon
        if judged.step < start:
            return f"update {judged.step} is before {start:g}, where forecasts begin"
        if curve.steps.size < self._options.min_points:
            return f"only {curve.steps.size} of {self._options.min_points} points to forecast from"
        return "no complete trial to compare with" if best is None else None

    def _record(self, found: HorizonForecast, judged: TrialState) -> Forecast:
        half = found.log_sd * _quantile(0.5 + self._options.interval / 2, found.degrees)
        return Forecast(
            mean=found.mean,
            low=math.exp(found.log_mean - half),
            high=math.exp(found.log_mean + half),
            law=LAW,
            step=judged.step,
        )

    def _judge(self, forecast: Forecast, best: float, trial: int) -> Decision:
        range_ = f"forecast {forecast.low:.4f} to {forecast.high:.4f}"
        if forecast.low <= best:
            return Decision(action="keep", reason=f"{range_} may beat {best:.4f}", forecast=forecast)
        if uniform(self._seed, trial, "audit") < self._options.audit_share:
            reason = f"{range_} cannot beat {best:.4f}, but the trial is kept as an audit"
            return Decision(action="keep", reason=reason, forecast=forecast, audit=True)
        return Decision(action="stop", reason=f"{range_} cannot beat {best:.4f}", forecast=forecast)

    def _relevant(self, state: StudyState, judged: TrialState) -> list[Curve]:
        """Thinned curves of the other trials that tell most: complete ones first, then the nearest in peak LR."""
        recent = state.trials[-_RECENT_TRIALS:]
        best = state.best_trial()
        if best is not None and best.number < recent[0].number:
            recent = [best, *recent]
        usable = [
            other
            for other in recent
            if other.number != judged.number
            and other.kind != "confirm"
            and other.status not in {"diverged", "failed"}
            and other.step >= self._options.min_fraction * self._horizon
        ]
        peak = self._log_peak(judged)
        usable.sort(key=lambda t: (t.status != "complete", round(abs(self._log_peak(t) - peak), 9), -t.number))
        complete = [t for t in usable if t.status == "complete"]
        partial = usable[len(complete) :]
        room = max(self._options.max_curves // 4, self._options.max_curves - len(complete))
        chosen = complete[: self._options.max_curves - min(room, len(partial))] + partial[:room]
        curves = (thinned(self._curve(t), most=self._options.points_per_curve) for t in chosen)
        return [curve for curve in curves if curve.steps.size]

    def _log_peak(self, trial: TrialState) -> float:
        return math.log(max(self._schedule(trial).peak_lr, 1e-300))

    def _schedule(self, trial: TrialState) -> Schedule:
        found = self._schedules.get(trial.number)
        if found is None:
            found = build(trial.family, trial.params, steps=self._horizon)
            self._schedules[trial.number] = found
        return found

    def _curve(self, trial: TrialState) -> Curve:
        seen = [point for point in trial.points if math.isfinite(point.loss) and point.loss > 0]
        return Curve(
            schedule=self._schedule(trial),
            steps=np.array([point.step for point in seen], dtype=np.float64),
            losses=np.array([point.loss for point in seen], dtype=np.float64),
            name=f"trial {trial.number}",
        )


def _keep(reason: str) -> Decision:
    return Decision(action="keep", reason=reason)


@lru_cache(maxsize=256)
def _quantile(probability: float, degrees: float) -> float:
    return float(student.ppf(probability, degrees))
