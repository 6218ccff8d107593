"""`import`: a schedule file from LRs that somebody else's run logged."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.law_input import FilterOption, TrackingOption
from autosched.cli.options import JsonOption, show, write_file
from autosched.curves.logged_lrs import read_lrs, read_mlflow_lrs
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
    filter_text: FilterOption = "",
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a schedule file from logged LRs, to plot, export, compare or predict.

    Example: autosched import lrs.csv --out schedule.json
    """
    schedule = _read(source, column, first_update, interpolate, (filter_text, tracking_uri))
    if out is not None:
        write_file(out, schedule.to_json().encode())
    document = {
        "source": source,
        "steps": schedule.steps,
        "peak_lr": schedule.peak_lr,
        "final_lr": schedule.final_lr,
        "fingerprint": schedule.fingerprint,
        "out": None if out is None else str(out),
    }
    show(as_json, document, [schedule.to_json() if out is None else f"wrote {out}: {schedule.describe()}"])


def _read(
    source: str, column: str, first_update: int | None, interpolate: bool, runs: tuple[str, str | None]
) -> Schedule:
    if not source.startswith(MLFLOW):
        return read_lrs(source, column=column, first_update=first_update, interpolate=interpolate)
    named = dataclasses.replace(mlflow_source(source, text=runs[0], uri=runs[1]), lr=column)
    return read_mlflow_lrs(named, first_update=first_update, interpolate=interpolate)
