"""Options and arguments of the commands that read logged runs and laws."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.schedule_commands import load_schedule
from autosched.curves.log_columns import LogOptions, parse_columns
from autosched.errors import UsageError
from autosched.printed import tell
from autosched.study.curve_sources import notes_on
from autosched.tracking.translation import NAMED_LOSS

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Logs (CSV, JSON, text, TensorBoard), folders of them, or mlflow:EXPERIMENT for its runs.", metavar="PATH…"
    ),
]
LawArgument = Annotated[Path, typer.Argument(help="A law file written by `autosched fit --out`.", metavar="LAW")]
FilterOption = Annotated[
    str, typer.Option("--filter", help="For mlflow:EXPERIMENT: MLflow's search text, e.g. \"params.size = '124M'\".")
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        help="For mlflow:EXPERIMENT: MLflow's address; default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.",
        metavar="URI",
    ),
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Columns that are not found by their names.", metavar="step=NAME,lr=NAME,loss=NAME"),
]
EpochOption = Annotated[
    int | None, typer.Option("--updates-per-epoch", min=1, help="For logs that count epochs, one row each.")
]
LoggedScheduleOption = Annotated[
    Path | None,
    typer.Option("--schedule", help="For logs without LRs: the schedule they were made with (JSON).", metavar="FILE"),
]
LossOption = Annotated[
    str | None,
    typer.Option("--loss", help="Of several validation losses of a study, logged as loss_NAME, one.", metavar="NAME"),
]


def tell_notes(paths: list[str]) -> None:
    """Say on stderr what a person should know of the logs beside what is in them."""
    for note in notes_on(paths):
        tell(f"autosched: {note}", sys.stderr)


def log_options(
    columns: list[str] | None, updates_per_epoch: int | None, schedule: Path | None, loss: str | None = None
) -> LogOptions:
    """What the options say of the logs.

    Raises:
        UsageError: columns that are none, a schedule file with a fault (ScheduleError), or two losses.
    """
    told = parse_columns(columns) if columns else {}
    if loss is not None and "loss" in told:
        raise UsageError(
            f"--loss {loss} and --columns loss={told['loss']} both say which loss is meant: give one of them."
        )
    if loss is not None:
        told["loss"] = f"{NAMED_LOSS}{loss}"
    return LogOptions(
        columns=told or None,
        updates_per_epoch=updates_per_epoch,
        schedule=None if schedule is None else load_schedule(schedule),
    )
