"""Stops a trial of a study whose chance of beating the best trial is too small: :mod:`autosched.search.law_rule`.

Trials share one training seed, so comparing them carries no seed noise. A share of the condemned trials is trained to
the end all the same, as a holdout of the rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from autosched.curves.curve import Curve
from autosched.errors import SpaceError, UsageError
from autosched.laws.forecaster_fit import FAST
from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState, TrialState
from autosched.randomness import uniform
from autosched.search.law_options import check_numbers
from autosched.search.law_rule import LawRule, OtherRun, recorded
from autosched.search.policy import Resume
from autosched.search.priors import FAIR_CHANCE, MOST_CURVES, REMEMBERED
from autosched.space.records import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class LawPrunerOptions:
    """Options of ``pruner: {law: …}``: those of :class:`~autosched.search.law_rule.LawRule`, and

    Attributes:
        holdout_share: share of trials that are kept although condemned, to count false kills.
        interval: central probability of the interval that is recorded with a forecast.
    """

    rule: LawRule
    holdout_share: float = 0.1
    interval: float = 0.9

    def __post_init__(self) -> None:
        for name in ("holdout_share", "interval"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpaceError(f"pruner law: {name} must be in [0, 1], but got {getattr(self, name)!r}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> LawPrunerOptions:
        """From a space file's mapping.

        Raises:
            SpaceError: an unknown name, or a value that is no number or out of range.
        """
        own = {field.name for field in fields(cls)} - {"rule"}
        check_numbers("pruner law", options, own | {field.name for field in fields(LawRule)})
        try:
            rule = LawRule(**{name: value for name, value in options.items() if name not in own})
        except UsageError as error:
            raise SpaceError(f"pruner law: {error}") from None
        return cls(rule=rule, **{name: value for name, value in options.items() if name in own})


class LawPruner:
    """The default pruner. A function of the study's state alone; it remembers what it reconsidered.

    Args:
        space: gives the horizon and the seed of the holdout draw.
        options: see :class:`LawPrunerOptions`.
    """

    def __init__(self, space: Space, options: Mapping[str, Any]) -> None:
        self._horizon = space.horizon_steps
        self._seed = space.seed
        self._options = LawPrunerOptions.of(options)
        self._looks: dict[tuple[int, int, int, int | None], str | None] = {}

    def judge(self, state: StudyState, trial: int) -> Decision:
        """Stop when the chance of beating the best complete trial is under the threshold."""
        judged, best = state.trial(trial), state.best_trial()
        verdict = self._options.rule.judge(
            self._curve(judged), self._others(state, judged), None if best is None else best.value
        )
        if verdict.forecast is None:
            return Decision(action="keep", reason=verdict.reason)
        interval = self._options.interval
        forecast = recorded(verdict.forecast, law=FAST.name, step=judged.step, probability=interval)
        if verdict.stop and uniform(self._seed, trial, "holdout") < self._options.holdout_share:
            reason = f"{verdict.reason}, but the trial is kept as a holdout"
            return Decision(action="keep", reason=reason, forecast=forecast, holdout=True)
        return Decision(action="stop" if verdict.stop else "keep", reason=verdict.reason, forecast=forecast)

    def resume(self, state: StudyState) -> Resume | None:
        """A stopped trial that has a fair chance after all: trials that ended since have changed the law's mind."""
        stopped = [trial for trial in state.trials if trial.status == "pruned" and trial.forecast is not None]
        stopped.sort(key=lambda trial: (trial.forecast.mean if trial.forecast else math.inf, trial.number))
        for trial in stopped[:MOST_CURVES]:
            reason = self._reconsidered(state, trial)
            if reason is not None:
                return Resume(trial=trial.number, until=self._horizon, reason=reason)
        return None

    def _reconsidered(self, state: StudyState, trial: TrialState) -> str | None:
        """Why a stopped trial should go on; looked at once per complete trial, as only these change much."""
        complete = sum(other.status == "complete" for other in state.trials[-REMEMBERED:])
        look = (trial.number, trial.step, complete, state.best)
        if look not in self._looks:
            best = state.best_trial()
            value = None if best is None else best.value
            verdict = self._options.rule.judge(self._curve(trial), self._others(state, trial), value)
            # A trial that is just above the threshold would come and go.
            fair = verdict.chance is not None and verdict.chance > FAIR_CHANCE * self._options.rule.threshold
            self._looks[look] = verdict.reason if fair else None
        return self._looks[look]

    def _others(self, state: StudyState, judged: TrialState) -> Iterator[OtherRun]:
        """The trials to learn from; confirming runs have other seeds, and of a lost model there is nothing to learn."""
        recent = state.trials[-REMEMBERED:]
        best = state.best_trial()
        if best is not None and best.number < recent[0].number:
            recent = [best, *recent]
        for other in recent:
            if other.number != judged.number and other.role != "confirm" and other.status not in {"diverged", "failed"}:
                yield OtherRun(
                    number=other.number,
                    peak_lr=other.schedule.peak_lr,
                    share=other.step / self._horizon,
                    complete=other.status == "complete",
                    curve=partial(self._curve, other),
                )

    def _curve(self, trial: TrialState) -> Curve:
        seen = [point for point in trial.points if math.isfinite(point.loss)]
        return Curve(
            schedule=trial.schedule,
            steps=np.array([point.step for point in seen], dtype=np.float64),
            losses=np.array([point.loss for point in seen], dtype=np.float64),
            name=f"trial {trial.number}",
        )
