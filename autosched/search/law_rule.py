"""When a run under way is stopped: the law gives it too small a chance of beating the best one.

At-equal-step rules throw away the schedules that decay late, which are the best ones. This one forecasts what a run's
loss will be at the end of its schedule, given its own future LRs and the curves of other runs
(:func:`autosched.laws.forecaster_fit.forecast_run`), as a Student t in log loss::

    chance = P( ln end < ln best ) = T_degrees( (ln best - mean) / sd )

and stops the run when the chance is under a threshold. The rule is the same in a study of this package and in plug-ins
for other libraries; it knows curves and nothing of where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.laws.fit import FitFailure, thinned
from autosched.laws.forecast import Forecast
from autosched.laws.forecaster_fit import forecast_run
from autosched.laws.priors import LEAST_SD, WORST_FORECAST_MISFIT
from autosched.ledger.records import Forecast as Recorded
from autosched.schedules.schedule import LEAST_PEAK_LR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherRun:
    """A run that the rule may learn from.

    Attributes:
        number: the later, the larger; among equals the later one is preferred.
        peak_lr: of its schedule.
        share: of its schedule that is done, 0 to 1.
        complete: whether its curve reaches its schedule's end.
        curve: makes its curve; asked only when the rule uses it.
    """

    number: int
    peak_lr: float
    share: float
    complete: bool
    curve: Callable[[], Curve]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rule says of a run.

    Attributes:
        stop: whether it should be stopped.
        reason: one line for a person.
        forecast: of its loss at the end of its schedule; None while little is known.
        chance: of beating the best run; None without a forecast.
        lawless: whether there was enough to fit, and no law described it.
    """

    stop: bool
    reason: str
    forecast: Forecast | None = None
    chance: float | None = None
    lawless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LawRule:
    """The rule with its settings.

    Attributes:
        threshold: a run whose chance of beating the best is lower is stopped.
        min_fraction: share of a schedule before which no run is stopped.
        min_complete: complete runs before any run is stopped.
        min_points: evaluations of the run's own, start-up left out.
        sd_floor: smallest standard deviation of a forecast, relative to the loss.
        worst_fit: largest relative misfit of the law (root mean square) at which its forecasts still count.
        max_curves: runs used for one forecast, the nearest in peak LR; bounds the cost.
        points_per_curve: evaluations used per run.

    Raises:
        UsageError: a setting that is out of range.
    """

    interval: ClassVar[float] = 0.9
    """Central probability of the range that reasons show."""

    threshold: float = 0.05
    min_fraction: float = 0.25
    min_complete: int = 3
    min_points: int = 4
    sd_floor: float = LEAST_SD
    worst_fit: float = WORST_FORECAST_MISFIT
    max_curves: int = 20
    points_per_curve: int = 10

    def __post_init__(self) -> None:
        for name in ("threshold", "min_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be in [0, 1], but got {getattr(self, name)!r}.")
        for name in ("min_complete", "min_points", "max_curves", "points_per_curve"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) >= 1):
                raise UsageError(f"{name} must be a whole number >= 1, but got {getattr(self, name)!r}.")

    def judge(self, run: Curve, others: Iterable[OtherRun], best: float | None, *, best_sd: float = 0.0) -> Verdict:
        """Whether a run should be stopped.

        Args:
            run: what was seen of it; its schedule covers all its planned updates.
            others: other runs of the same model and data, of any horizon; asked for only when they are needed.
            best: loss at its end of the best complete run, on the scale of the curves, nats; None when there is none.
            best_sd: how well `best` is known, relative.
        """
        if best is not None and best <= 0:
            return Verdict(stop=False, reason=f"the best loss is {best:g}, and laws describe losses above 0 only")
        if best is None:
            return Verdict(stop=False, reason="no complete trial to compare with")
        found = self.forecast(run, others)
        if isinstance(found, FitFailure):
            return Verdict(stop=False, reason=found.reason, lawless=found.tried)
        chance = float(found.chance_below(best, loss_sd=best_sd)[0])
        (low,), (high,) = found.interval(self.interval)
        stop = chance < self.threshold
        reason = f"forecast {low:.4f} to {high:.4f} {'cannot' if stop else 'may'} beat {best:.4f} (chance {chance:.1%})"
        return Verdict(stop=stop, reason=reason, forecast=found, chance=chance)

    def forecast(self, run: Curve, others: Iterable[OtherRun]) -> Forecast | FitFailure:
        """Loss at the end of a run's schedule, or why there is no forecast that counts."""
        curve = thinned(run, most=self.points_per_curve)
        done, start = float(run.steps[-1]) if run.steps.size else 0.0, self.min_fraction * run.schedule.steps
        if done < start:
            return FitFailure(reason=f"update {done:g} is before {start:g}, where forecasts begin")
        if curve.steps.size < self.min_points:
            return FitFailure(reason=f"only {curve.steps.size} of {self.min_points} points to forecast from")
        teachers = self._teachers(run, others)
        complete = sum(other.steps[-1] == other.schedule.steps for other in teachers)
        if complete < self.min_complete:
            return FitFailure(reason=f"only {complete} of {self.min_complete} complete trials to learn from")
        found = forecast_run(curve, teachers, least_sd=self.sd_floor, worst_misfit=self.worst_fit)
        if isinstance(found, FitFailure) or found.sound[0]:
            return found
        return FitFailure(reason="the law has no finite forecast", tried=True)

    def _teachers(self, run: Curve, others: Iterable[OtherRun]) -> list[Curve]:
        """Thinned curves of the other runs that tell most: complete ones first, then the nearest in peak LR."""
        peak = _log(run.schedule.peak_lr)
        usable = [other for other in others if other.share >= self.min_fraction]
        usable.sort(key=lambda r: (not r.complete, round(abs(_log(r.peak_lr) - peak), 9), -r.number))
        complete = [other for other in usable if other.complete]
        partial = usable[len(complete) :]
        room = max(self.max_curves // 4, self.max_curves - len(complete))
        chosen = complete[: self.max_curves - min(room, len(partial))] + partial[:room]
        curves = (thinned(other.curve(), most=self.points_per_curve) for other in chosen)
        return [curve for curve in curves if curve.steps.size]


def recorded(forecast: Forecast, *, law: str, step: int, probability: float = 0.9) -> Recorded | None:
    """A forecast of one loss as the ledger keeps it; None where it has no finite interval.

    Args:
        law: the law that made it.
        step: updates of the trial that it knew.
        probability: of the central interval.
    """
    (low,), (high,) = forecast.interval(probability)
    if not (math.isfinite(high) and low > 0):
        return None
    return Recorded(mean=float(forecast.mean[0]), low=float(low), high=float(high), law=law, step=step)


def _log(lr: float) -> float:
    return math.log(max(lr, LEAST_PEAK_LR))
