"""`LawPruner` for a plain Optuna study: stops a trial when the loss law gives it too small a chance to be the best.

The objective says once which LRs the trial will train with, and then reports its loss as for any pruner::

    def objective(trial):
        schedule = autosched.build("wsd", {"peak_lr": trial.suggest_float("peak_lr", 1e-3, 1e-1, log=True)}, steps=1000)
        LawPruner.set_schedule(trial, schedule)
        for done in train(schedule):                  # `done` updates so far
            trial.report(validation_loss(), step=done)
            if trial.should_prune():
                raise optuna.TrialPruned()
        return validation_loss()

    study = optuna.create_study(pruner=LawPruner())

It reads all it knows from the study, so it works with every sampler, storage and number of jobs, and after a restart.
"""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Mapping

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autosched.errors import ScheduleError, UsageError
from autosched.integrations.reported import (
    LawlessWarning,
    ReportedRun,
    check_checks,
    first_in_cell,
    judge_reported,
)
from autosched.integrations.schedule_text import schedule_to_text, steps_and_peak
from autosched.schedules.schedule import Schedule
from autosched.search.law_rule import LawRule, Verdict

__all__ = ["SCHEDULE", "LawPruner", "LawRule"]

SCHEDULE = "autosched_schedule"
"""The user attribute that holds a trial's schedule, as :mod:`autosched.integrations.schedule_text` writes it."""

_TEACHING = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
_LOGGER = logging.getLogger(__name__)


class LawPruner(BasePruner):
    """A pruner that is a function of the study.

    Args:
        rule: when a trial is stopped; default: ``LawRule()``.
        checks: how many times in a whole run a trial is judged, at most; between them `should_prune` costs nothing.

    Raises:
        UsageError: `checks` is no whole number >= 1.
    """

    def __init__(self, rule: LawRule | None = None, *, checks: int = 25) -> None:
        check_checks(checks)
        self._rule, self._checks = rule or LawRule(), checks
        self._lawless = LawlessWarning()

    @staticmethod
    def set_schedule(trial: optuna.Trial, schedule: Schedule) -> None:
        """Say which LRs a trial trains with; call it once, before the first `should_prune`.

        Raises:
            ScheduleError: no schedule, or one that changes too often to be kept with a trial.
        """
        if not isinstance(schedule, Schedule):
            raise ScheduleError(f"schedule must be an autosched Schedule, but got {type(schedule).__name__}.")
        trial.set_user_attr(SCHEDULE, schedule_to_text(schedule))

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """What ``trial.should_prune()`` asks.

        Raises:
            UsageError: see :meth:`judge`.
        """
        text, reports = _schedule_text(trial), trial.intermediate_values
        if text and reports and not first_in_cell(reports, steps_and_peak(text)[0], self._checks):
            return False
        verdict = self.judge(study, trial)
        self._lawless.hear(verdict)
        if verdict.stop:
            _LOGGER.info("trial %d is stopped: %s", trial.number, verdict.reason)
        return verdict.stop

    def judge(self, study: optuna.Study, trial: FrozenTrial) -> Verdict:
        """Whether a trial should be stopped, with the forecast of its end and the reason.

        Raises:
            UsageError: the study maximises; the trial has no schedule; it reported a loss after more updates than its
                schedule has, or one that is not > 0.
            ScheduleError: its attribute is no schedule.
        """
        if study.direction != StudyDirection.MINIMIZE:
            raise UsageError("LawPruner forecasts a loss: create the study with direction='minimize'.")
        run = _reported(trial)
        if run is None:
            raise UsageError(
                f"trial {trial.number} has no schedule: call LawPruner.set_schedule(trial, schedule) in the objective, "
                "before the first trial.should_prune()."
            )
        trials = study.get_trials(deepcopy=False, states=_TEACHING)
        others = (_reported(other) for other in trials if other.number != trial.number)
        return judge_reported(self._rule, run, [other for other in others if other is not None])


def _reported(trial: FrozenTrial) -> ReportedRun | None:
    """The trial as the law sees it; None when it has no schedule."""
    text = _schedule_text(trial)
    if text is None:
        return None
    return ReportedRun(
        name=f"trial {trial.number}",
        number=trial.number,
        schedule=text,
        losses=trial.intermediate_values,
        value=_final(trial, steps_and_peak(text)[0]),
    )


def _final(trial: FrozenTrial, steps: int) -> float | None:
    """The value of a complete trial; None when its reports say that it did not train its schedule to the end."""
    if trial.state != TrialState.COMPLETE or trial.value is None or not math.isfinite(trial.value):
        return None
    last = trial.last_step
    if last is not None and last < steps / 2:
        warnings.warn(
            f"trial {trial.number} is complete, but its last report was after {last} of {steps} updates: no trial is "
            "stopped for its sake. Report with step = the number of updates done.",
            stacklevel=2,
        )
        return None
    return trial.value


def _schedule_text(trial: FrozenTrial) -> str | None:
    stored = trial.user_attrs.get(SCHEDULE)
    if isinstance(stored, Mapping):
        return json.dumps(stored)
    if stored is not None and not isinstance(stored, str):
        raise ScheduleError(f"trial {trial.number}: {SCHEDULE} must be what LawPruner.set_schedule writes.")
    return stored
