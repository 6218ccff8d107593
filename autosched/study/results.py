"""`Study`: what a study found, read from its ledger; nothing here trains or changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autosched.curves.curve import Curve
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.errors import CheckpointError, StudyError, UsageError
from autosched.ledger.records import Forecast
from autosched.ledger.state import StudyState, TrialState
from autosched.ledger.store import Ledger
from autosched.report.canvas import png
from autosched.report.confirmation import default_trial
from autosched.report.curves import named_losses_of, points_of
from autosched.report.html import FIGURES
from autosched.report.standing import html_table
from autosched.report.summary import summarise, winner
from autosched.report.text import final_lines
from autosched.schedules.exports.targets import export_text
from autosched.schedules.schedule import Schedule
from autosched.space.records import Space
from autosched.study.run import report_folder, space_of
from autosched.study.start import ledger_url

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

FILES = {"schedule": "schedule.json", "report": "report.html", "law": "law.json", "target": "target.json"}
"""What a study leaves in its report's folder."""
LABEL = 12
"""Width of the labels before the lines about a study."""


class Study:
    """A study as it stands in its ledger when this is made; make another one to see what has happened since.

    Losses are nats per token or example (or the trainer's objective), steps are optimizer updates.

    Args:
        name: a study of the ledger, finished or not.
        ledger: URL; default: AUTOSCHED_LEDGER, else ``sqlite:///autosched.db``.

    Attributes:
        state: everything that was decided and seen, see :class:`autosched.StudyState`.
        figures: what :meth:`plot` draws.

    Raises:
        UsageError: there is no such ledger, or no such study (StudyError).
        LedgerError: the ledger is damaged or cannot be reached.
    """

    figures = tuple(FIGURES)

    def __init__(self, name: str, *, ledger: str | None = None) -> None:
        store = Ledger(ledger_url(ledger), create=False)
        self._folder = store.folder
        try:
            self.state = store.state(name)
            self._running = self.state.finished is None and store.lease(name).is_held()
        finally:
            store.close()

    @classmethod
    def of(
        cls, state: StudyState, *, folder: Path | None, summary: dict[str, Any] | None = None, running: bool = False
    ) -> Study:
        """A study whose state this process has: one that it has just run, or follows."""
        study = cls.__new__(cls)
        study.state, study._running, study._folder = state, running, folder
        if summary is not None:
            study.__dict__["summary"] = summary
        return study

    @property
    def name(self) -> str:
        """Its name in the ledger."""
        return self.state.name

    @cached_property
    def space(self) -> Space:
        """The space it was created with, with the bounds that its range test found and the places of its files."""
        return space_of(self.state, self._folder)

    @property
    def status(self) -> str:
        """``finished``, ``running`` (some process is at work on it) or ``interrupted`` (it can be resumed)."""
        return str(self.summary["state"])

    @property
    def trials(self) -> tuple[TrialState, ...]:
        """All trials by number: status, params, points, decisions and the final ``value``."""
        return tuple(self.state.trials)

    @property
    def best(self) -> TrialState | None:
        """The trial whose schedule to use, the best on fresh seeds if it was confirmed; None before one is complete."""
        return winner(self.state)

    def trial(self, number: int | None = None) -> TrialState:
        """A trial by number, or the winner.

        Raises:
            UsageError: there is no such trial.
            StudyError: no trial is complete yet, so that there is no winner.
        """
        if number is None:
            if self.best is None:
                known = f"see `autosched status {self.name}`."
                raise StudyError(f"the study {self.name!r} has no complete trial yet; {known}")
            return self.best
        if not 0 <= number < len(self.trials):
            known = f"0 to {len(self.trials) - 1}" if self.trials else "none yet"
            raise UsageError(f"trial must be one of study {self.name!r} ({known}), but got {number}.")
        return self.trials[number]

    @property
    def default(self) -> TrialState | None:
        """The trial of the user's own schedule, if the space names one."""
        return default_trial(self.state)

    @cached_property
    def curves(self) -> Mapping[int, Curve]:
        """By number of trial, the losses seen so far with the schedule that made them; no trial without a loss."""
        curves: dict[int, Curve] = {}
        for trial in self.state.trials:
            steps, losses = points_of(trial)
            if steps.size:
                name = f"{self.name}/{trial.number}"
                curves[trial.number] = Curve(schedule=trial.schedule, steps=steps, losses=losses, name=name)
        return MappingProxyType(curves)

    @cached_property
    def forecasts(self) -> Mapping[int, tuple[Forecast, ...]]:
        """By number of trial, the forecasts of its final loss in the order in which they were made."""
        made = {
            trial.number: tuple(decision.forecast for _, decision in trial.decisions if decision.forecast is not None)
            for trial in self.state.trials
        }
        return MappingProxyType({number: forecasts for number, forecasts in made.items() if forecasts})

    def curves_of(self, loss: str) -> Mapping[int, Curve]:
        """As :attr:`curves`, of one of the trainer's validation losses by its name.

        Raises:
            UsageError: no trial has such a loss.
        """
        found = {}
        for trial in self.state.trials:
            steps, losses = named_losses_of(trial, loss)
            if steps.size:
                name = f"{self.name}/{trial.number}"
                found[trial.number] = Curve(schedule=trial.schedule, steps=steps, losses=losses, name=name)
        if not found:
            points = (point for trial in self.state.trials for point in trial.points)
            names = ", ".join(dict.fromkeys(name for point in points for name in point.losses))
            there = f"one of {names}" if names else "left out, as there is but one without a name"
            raise UsageError(f"loss must be {there}, but got {loss!r}.")
        return MappingProxyType(found)

    def checkpoint(self, trial: int | None = None) -> bytes:
        """What the trainer saved at the winner's end, or of a trial where it stands: the model and its optimizer.

        The winner's is kept until other studies need the room (``storage.checkpoints_gib``), other trials' as long as
        something may be forked from them.

        Raises:
            UsageError, StudyError: as :meth:`trial`.
            CheckpointError: it is not there any more, or damaged; or the trainer keeps none.
        """
        chosen = self.trial(trial)
        uri = self.state.observations[chosen.segments[-1]].checkpoint if chosen.segments else None
        if uri is None:
            raise CheckpointError(f"trial {chosen.number} of study {self.name!r} has no checkpoint.")
        with CheckpointStore.open(uri) as file:
            return file.read()

    def schedule(self, trial: int | None = None) -> Schedule:
        """The winner's schedule, or a trial's; raises as :meth:`trial`."""
        return self.trial(trial).schedule

    def export(self, target: str, trial: int | None = None) -> str:
        """A schedule as text for a framework, see :func:`autosched.export_text`."""
        return export_text(self.schedule(trial), target)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The document of ``autosched tune --json``, see :func:`autosched.report.summary.summarise`."""
        there, tracking = self.files, self.space.tracking
        return summarise(
            self.state,
            self.space,
            artifacts=there,
            tracking={"uri": tracking.uri, "experiment": tracking.experiment, "run_id": None},
            running=self._running,
            notes=self._missing(set(there)),
        )

    @property
    def files(self) -> dict[str, str]:
        """Where the ``schedule``, the ``report``, the ``law`` and the ``target`` are, those that were written."""
        folder = report_folder(self.space)
        return {what: str(folder / file) for what, file in FILES.items() if (folder / file).exists()}

    def _missing(self, there: set[str]) -> list[str]:
        """What a finished study should have left and is not there; a law may rightly be missing."""
        due = [] if self.state.finished is None else ["report", *(["schedule"] if self.best is not None else [])]
        gone = [FILES[what] for what in due if what not in there]
        where = f"{' and '.join(gone)} missing in {report_folder(self.space)}"
        return [f"{where}: `autosched resume {self.name}` writes the study's files again."] if gone else []

    @property
    def report(self) -> Path | None:
        """The HTML report, if it was written."""
        path = self.summary["artifacts"]["report"]
        return None if path is None else Path(path)

    def to_frame(self) -> DataFrame:
        """A pandas table with a row per trial: what it was for, how it ended, its parameters, its last forecast."""
        import pandas as pd

        rows = [_row(trial) for trial in self.state.trials]
        return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()

    def plot(self, figure: str = "loss_curves") -> Figure:
        """A figure of the report, for a notebook or ``savefig``.

        Args:
            figure: one of :attr:`figures`.

        Raises:
            UsageError: there is no such figure.
            StudyError: there is nothing to draw yet.
        """
        if figure not in FIGURES:
            raise UsageError(f"figure must be one of {', '.join(FIGURES)}, but got {figure!r}.")
        drawn = FIGURES[figure](self.state, self.space)
        if drawn is None:
            raise StudyError(f"the study {self.name!r} has nothing to draw for {figure}.")
        drawn._repr_png_ = partial(png, drawn)  # type: ignore[attr-defined] # seen in a notebook without pyplot, too
        return drawn

    def __repr__(self) -> str:
        best = "none" if self.best is None else f"trial {self.best.number} with loss {self.best.value:.4f}"
        return f"<Study {self.name!r}: {self.status}, {len(self.trials)} trials, best {best}>"

    def _repr_html_(self) -> str:
        return html_table((line[:LABEL].strip(), line[LABEL:]) for line in final_lines(self.summary))


def _row(trial: TrialState) -> dict[str, Any]:
    forecast = trial.last_forecast
    return {
        "trial": trial.number,
        "role": trial.role,
        "until": trial.until,
        "of": trial.of,
        "status": trial.status,
        "step": trial.step,
        "value": trial.value,
        "family": trial.family,
        **trial.params,
        "seed": trial.seed,
        "forecast": None if forecast is None else forecast.mean,
        "forecast_low": None if forecast is None else forecast.low,
        "forecast_high": None if forecast is None else forecast.high,
        "reason": trial.reason,
    }
