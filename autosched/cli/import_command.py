"""`import`: a schedule file from LRs that somebody else's run logged."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from autosched.cli.law_input import FilterOption, TrackingOption
from autosched.cli.options import JsonOption, show, write_file
from autosched.curves.logged_lrs import ends_like_next_lrs, read_lrs, read_mlflow_lrs
from autosched.errors import UsageError
from autosched.printed import tell
from autosched.schedules.schedule import Schedule
from autosched.study.curve_sources import MLFLOW, mlflow_source


def import_schedule(
    source: Annotated[
        str, typer.Argument(help="A CSV file (step,lr), or mlflow:EXPERIMENT with a --filter.", metavar="SOURCE")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file instead of stdout.")] = None,
    column: Annotated[str, typer.Option("--column", help="What the LR is called there.")] = "lr",
    first_update: Annotated[
        int | None,
        typer.Option(
            "--first-update",
            min=0,
            max=1,
            help="Step of the first update: 0, or 1 where steps count updates done; default: as the source shows.",
        ),
    ] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Draw lines where updates were not logged; else they are refused.")
    ] = False,
    next_update: Annotated[
        bool,
        typer.Option(
            "--next-update", help="Rows have the LR of the update after their step, as Hugging Face's logs of 2022."
        ),
    ] = False,
    filter_text: FilterOption = "",
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a schedule file from logged LRs, to plot, export, compare or predict.

    Example: autosched import lrs.csv --out schedule.json
    """
    if next_update and first_update is not None:
        raise UsageError("--next-update says how rows count: leave --first-update out.")
    counting = Counting(first_update=first_update, interpolate=interpolate, next_update=next_update)
    schedule = _read(source, column, counting, (filter_text, tracking_uri))
    warnings = [NEXT_UPDATE] if not next_update and ends_like_next_lrs(schedule) else []
    for warning in warnings:
        tell(f"autosched: warning: {warning}", sys.stderr)
    if out is not None:
        write_file(out, schedule.to_json().encode())
    document = {
        "source": source,
        "steps": schedule.steps,
        "peak_lr": schedule.peak_lr,
        "final_lr": schedule.final_lr,
        "fingerprint": schedule.fingerprint,
        "out": None if out is None else str(out),
        "warnings": warnings,
    }
    show(as_json, document, [schedule.to_json() if out is None else f"wrote {out}: {schedule.describe()}"])


class Counting(TypedDict):
    """How the rows of a log belong to updates."""

    first_update: int | None
    interpolate: bool
    next_update: bool


NEXT_UPDATE = (
    "the last update's LR is 0, so it trains nothing; logs that hold the next update's LR, as Hugging Face's of 2022, "
    "end like this: --next-update reads them."
)


def _read(source: str, column: str, counting: Counting, runs: tuple[str, str | None]) -> Schedule:
    if not source.startswith(MLFLOW):
        return read_lrs(source, column=column, **counting)
    named = dataclasses.replace(mlflow_source(source, text=runs[0], uri=runs[1]), lr=column)
    return read_mlflow_lrs(named, **counting)
