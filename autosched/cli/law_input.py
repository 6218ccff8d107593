"""Options and arguments of the commands that read logged runs and laws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        help="CSV files (step,lr,loss), folders of them, or mlflow:EXPERIMENT for its runs.", metavar="PATH…"
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
