"""`status`, `show`, `best`: look at studies; they read the ledger only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from autosched.cli.options import JsonOption, LedgerOption, StudyArgument, show
from autosched.errors import UsageError
from autosched.ledger.records import Decision, Point
from autosched.ledger.state import TrialState
from autosched.ledger.store import Ledger, StudyRow
from autosched.report.standing import standing
from autosched.report.text import final_lines, status_lines, trial_lines
from autosched.study.results import Study
from autosched.study.start import ledger_url


def status(
    study: Annotated[
        str | None, typer.Argument(help="A study; without one, all are listed.", metavar="[STUDY]")
    ] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the studies of a ledger, or tell how one stands.

    Example: autosched status wsd-demo
    """
    if study is None:
        rows = Ledger(ledger_url(ledger), create=False).studies()
        show(as_json, [_row(row) for row in rows], _table(rows))
        return
    found = Study(study, ledger=ledger)
    pace = "" if found.state.finished is not None else standing(found.state, found.space).pace()
    show(as_json, found.summary, status_lines(found.summary, found.state, found.space, pace))


def explain(
    study: StudyArgument,
    trial: Annotated[int, typer.Argument(help="Number of a trial.", metavar="TRIAL")],
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain one trial: its schedule, what was forecast, what was decided and why.

    Example: autosched show wsd-demo 7
    """
    found = Study(study, ledger=ledger)
    if not 0 <= trial < len(found.trials):
        raise UsageError(f"TRIAL must be 0 to {len(found.trials) - 1} for the study {study!r}, but got {trial}.")
    show(as_json, trial_document(found.trials[trial]), trial_lines(found.state, found.space, trial))


def best(study: StudyArgument, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Print the winner of a study and where its files are.

    Example: autosched best wsd-demo --json
    """
    found = Study(study, ledger=ledger)
    found.schedule()  # raises when there is no winner yet
    show(as_json, found.summary, final_lines(found.summary))


def trial_document(trial: TrialState) -> dict[str, Any]:
    """A trial as JSON data."""
    return {
        "trial": trial.number,
        "role": trial.role,
        "until": trial.until,
        "of": trial.of,
        "status": trial.status,
        "step": trial.step,
        "value": trial.value,
        "reason": trial.reason,
        "schedule": {
            "family": trial.family,
            "params": dict(trial.schedule_params),
            "fingerprint": trial.fingerprint,
            **({"hyperparameters": dict(beside)} if (beside := trial.schedule.hyperparameters) else {}),
        },
        "seed": trial.seed,
        "points": [_point(point) for point in trial.points],
        "decisions": [_decision(step, decision) for step, decision in trial.decisions],
    }


def _point(point: Point) -> dict[str, Any]:
    merged = {"merged": {str(window): loss for window, loss in point.merged.items()}} if point.merged else {}
    losses = {"losses": dict(point.losses)} if point.losses else {}
    return {"step": point.step, "loss": point.loss, **losses, **point.metrics, **merged}


def _decision(step: int, decision: Decision) -> dict[str, Any]:
    forecast = decision.forecast
    interval = None if forecast is None else {"mean": forecast.mean, "low": forecast.low, "high": forecast.high}
    return {
        "step": step,
        "action": decision.action,
        "holdout": decision.holdout,
        "reason": decision.reason,
        "forecast": interval,
    }


def _row(row: StudyRow) -> dict[str, Any]:
    return {
        "study": row.name,
        "state": "finished" if row.finished else "unfinished",
        "events": row.events,
        "created": row.created,
        "updated": row.updated,
    }


def _table(rows: Sequence[StudyRow]) -> list[str]:
    if not rows:
        return ["no studies yet; start one with `autosched tune --space FILE`"]
    width = max(len(row.name) for row in rows)
    return [
        f"{row.name:<{width}}  {'finished' if row.finished else 'unfinished':<10}  {row.events:>6} events  "
        f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(row.created))}"
        for row in rows
    ]
