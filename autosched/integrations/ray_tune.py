"""`LawScheduler` for Ray Tune: stops a trial when the loss law gives it too small a chance to be the best.

The scheduler is told how a trial's config becomes its schedule; the trainable reports its loss with the updates done::

    def schedule_of(config):
        return autosched.build("wsd", {"peak_lr": config["peak_lr"]}, steps=1000)

    tuner = tune.Tuner(
        train,                                        # calls tune.report({"loss": …, "step": updates done})
        param_space={"peak_lr": tune.loguniform(1e-3, 1e-1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=30, scheduler=LawScheduler(schedule_of)),
    )

A trial is complete when it has reported after its schedule's last update. Tune does not store a scheduler's state with
an experiment, so ``Tuner.restore`` starts with an empty one; this one then reads what trials reported from the
``result.json`` that Tune keeps for each.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from autosched.errors import LocatedError, ScheduleError, UsageError
from autosched.integrations.reported import (
    LawlessWarning,
    ReportedRun,
    check_checks,
    first_in_cell,
    judge_reported,
)
from autosched.integrations.schedule_text import schedule_to_text, steps_and_peak
from autosched.json_documents import JsonFault, read_record
from autosched.schedules.schedule import Schedule
from autosched.search.law_rule import LawRule, Verdict
from autosched.text_files import read_document
from autosched.whole_files import write_whole

__all__ = ["LawRule", "LawScheduler"]

_FORMAT = "autosched.law_scheduler/1"
_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class _Reports:
    """What a trial reported so far; `number` counts trials in the order in which they were added."""

    number: int
    schedule: str
    losses: dict[int, float] = field(default_factory=dict)
    stopped: bool = False

    def plain(self) -> dict[str, Any]:
        """As JSON data, in which a loss that is not finite is null."""
        losses = {step: loss if math.isfinite(loss) else None for step, loss in self.losses.items()}
        return {"number": self.number, "schedule": self.schedule, "losses": losses, "stopped": self.stopped}

    @classmethod
    def of(cls, saved: _SavedReports) -> _Reports:
        """What :meth:`plain` gave."""
        losses = {int(step): math.nan if loss is None else loss for step, loss in saved.losses.items()}
        return cls(number=saved.number, schedule=saved.schedule, losses=losses, stopped=saved.stopped)


class SavedFault(LocatedError):
    """A file of what trials reported that cannot be read."""


class _SavedReports(BaseModel):
    """What :meth:`_Reports.plain` writes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    number: int = Field(ge=0)
    schedule: str
    losses: dict[Annotated[str, Field(pattern=r"^\d{1,9}$")], float | None]
    stopped: bool


class _Saved(BaseModel):
    """The schema of a file that :meth:`LawScheduler.save` writes."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["autosched.law_scheduler/1"]
    trials: dict[str, _SavedReports]


class LawScheduler(FIFOScheduler):
    """First in, first out, but for trials that the law rule stops.

    Args:
        schedule_of: from a trial's config to the schedule it trains with.
        metric: name of the reported loss; default: that of ``TuneConfig``.
        mode: ``"min"``; default: that of ``TuneConfig``.
        time_attr: name under which the number of updates done is reported.
        rule: when a trial is stopped; default: ``LawRule()``.
        checks: how many times in a whole run a trial is judged, at most.

    Raises:
        UsageError: a mode other than ``"min"``, or `checks` is no whole number >= 1.
    """

    def __init__(
        self,
        schedule_of: Callable[[dict[str, Any]], Schedule],
        *,
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "step",
        rule: LawRule | None = None,
        checks: int = 25,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_checks(checks)
        self._schedule_of, self._time_attr, self._checks = schedule_of, time_attr, checks
        self._rule = rule or LawRule()
        self._metric, self._mode = metric, _checked_mode(mode)
        self._trials: dict[str, _Reports] = {}
        self._lawless = LawlessWarning()

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take metric and mode from ``TuneConfig``; False when they were given here already, as Tune expects."""
        if (self._metric and metric) or (self._mode and mode):
            return False
        self._metric, self._mode = metric or self._metric, _checked_mode(mode) or self._mode
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Note a new trial's schedule; of a restored one also what it had reported.

        Raises:
            UsageError: neither here nor in ``TuneConfig`` is a metric or a mode, or `schedule_of` returned no schedule.
        """
        if not (self._metric and self._mode):
            raise UsageError('LawScheduler needs metric and mode="min", its own or in tune.TuneConfig.')
        if trial.trial_id in self._trials:
            return
        schedule = self._schedule_of(trial.config)
        if not isinstance(schedule, Schedule):
            raise ScheduleError(f"schedule_of must return an autosched Schedule, not {type(schedule).__name__}.")
        reports = _Reports(number=len(self._trials), schedule=schedule_to_text(schedule))
        self._trials[trial.trial_id] = reports
        if trial.has_reported_at_least_once:
            for result in _stored_results(trial):
                self._note(reports, result)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP when the law says so.

        Raises:
            UsageError: a result without the number of updates done or with more than the schedule has, or a loss that
                is not > 0.
        """
        reports = self._trials[trial.trial_id]
        if self._metric not in result:
            return str(TrialScheduler.CONTINUE)
        if self._time_attr not in result:
            raise UsageError(
                f"results must have {self._time_attr!r}, the number of updates done, but trial {trial.trial_id} has "
                "none; if it has another name: LawScheduler(…, time_attr=name)."
            )
        self._note(reports, result)
        steps = steps_and_peak(reports.schedule)[0]
        if max(reports.losses) == steps or not first_in_cell(reports.losses, steps, self._checks):
            return str(TrialScheduler.CONTINUE)
        verdict = self.judge(trial)
        self._lawless.hear(verdict)
        reports.stopped |= verdict.stop
        if verdict.stop:
            _LOGGER.info("trial %s is stopped: %s", trial.trial_id, verdict.reason)
        return str(TrialScheduler.STOP if verdict.stop else TrialScheduler.CONTINUE)

    def judge(self, trial: Trial) -> Verdict:
        """Whether a trial should be stopped, with the forecast of its end and the reason.

        Raises:
            UsageError: it reported a loss after more updates than its schedule has, or one that is not > 0.
        """
        return judge_reported(self._rule, self._run(trial.trial_id), self._others(trial.trial_id))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Say so when a trial ended without having reported its schedule's end."""
        reports = self._trials[trial.trial_id]
        if self._metric in result and self._time_attr in result:
            self._note(reports, result)
        steps, last = steps_and_peak(reports.schedule)[0], max(reports.losses, default=0)
        if last < steps and not reports.stopped:
            _LOGGER.warning(
                "trial %s ended after it reported %d of %d updates: no trial is stopped for its sake. Report the loss "
                "after the schedule's last update too.",
                *(trial.trial_id, last, steps),
            )

    def debug_string(self) -> str:
        """One line for Tune's console."""
        stopped = sum(reports.stopped for reports in self._trials.values())
        return f"Using LawScheduler: {stopped} of {len(self._trials)} trials stopped."

    def save(self, checkpoint_path: str) -> None:
        """Write what trials reported to a file, as JSON."""
        trials = {trial: reports.plain() for trial, reports in self._trials.items()}
        write_whole(Path(checkpoint_path), json.dumps({"format": _FORMAT, "trials": trials}, allow_nan=False))

    def restore(self, checkpoint_path: str) -> None:
        """Read what :meth:`save` wrote, instead of what is known.

        Raises:
            UsageError: the file is something else.
        """
        file = Path(checkpoint_path)
        try:
            document = read_record(read_document(file, "a JSON file", SavedFault), _Saved)
        except JsonFault as fault:
            text = f"was not written by LawScheduler.save: {fault.message}."
            raise SavedFault(text, file=file, line=fault.line) from None
        self._trials = {trial: _Reports.of(stored) for trial, stored in document.trials.items()}

    def _note(self, reports: _Reports, result: Mapping[str, Any]) -> None:
        """Add a result; a trial that was sent back to a checkpoint tells again what came after it."""
        if self._metric not in result or self._time_attr not in result:
            return
        step = int(result[self._time_attr])
        reports.losses = {seen: loss for seen, loss in reports.losses.items() if seen < step}
        reports.losses[step] = float(result[str(self._metric)])

    def _run(self, trial: str) -> ReportedRun:
        reports = self._trials[trial]
        return ReportedRun(
            name=f"trial {trial}",
            number=reports.number,
            schedule=reports.schedule,
            losses=reports.losses,
            value=reports.losses.get(steps_and_peak(reports.schedule)[0]),
        )

    def _others(self, judged: str) -> list[ReportedRun]:
        return [self._run(trial) for trial in self._trials if trial != judged]


def _stored_results(trial: Trial) -> list[dict[str, Any]]:
    """What Tune has written down of a trial, result by result; its last result alone when there is no such file."""
    storage = trial.storage
    if storage is None:
        return [dict(trial.last_result)]
    path = Path(storage.trial_fs_path, "result.json").as_posix()
    try:
        with storage.storage_filesystem.open_input_stream(path) as stream:
            lines = stream.readall().decode("utf-8").splitlines()
    except FileNotFoundError:
        _LOGGER.warning("trial %s has no %s: of what it reported only the last result is known.", trial.trial_id, path)
        return [dict(trial.last_result)]
    return [json.loads(line) for line in lines if line.strip()]


def _checked_mode(mode: str | None) -> str | None:
    if mode not in (None, "min"):
        raise UsageError(f'LawScheduler forecasts a loss: mode must be "min", but got {mode!r}.')
    return mode
