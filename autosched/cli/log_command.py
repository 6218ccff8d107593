"""`inspect`: what logs are understood as, before a law is fitted to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autosched.cli.law_input import ColumnsOption, EpochOption, LoggedScheduleOption, PathsArgument, log_options
from autosched.cli.options import JsonOption, show
from autosched.curves.csv_files import curve_files
from autosched.curves.curve import Curve
from autosched.curves.log_columns import LogOptions, described, understood
from autosched.curves.logs import Log, read_log
from autosched.errors import CurveError, UsageError


def inspect_logs(
    paths: PathsArgument,
    columns: ColumnsOption = None,
    updates_per_epoch: EpochOption = None,
    schedule: LoggedScheduleOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what logs are understood as, before a law is fitted to them.

    Exit code 2 when one lacks something. Example: autosched inspect trainer_state.json
    """
    options = log_options(columns, updates_per_epoch, schedule)
    documents = []
    for path in map(Path, paths):
        if not path.exists():
            raise CurveError("no such file or folder.", file=path)
        documents += [log_document(read_log(file), options) for file in curve_files(path)]
    show(as_json, documents, [line for document in documents for line in log_lines(document)])
    faults = [document["fault"] for document in documents if document["fault"]]
    if faults:
        raise UsageError(faults[0])
    return 0


def log_document(log: Log, options: LogOptions) -> dict[str, Any]:
    """A log's columns, its runs as they are understood, or what it lacks."""
    document: dict[str, Any] = {"file": str(log.file), "kind": log.kind, "runs": [], "fault": None}
    document["columns"] = {name: described(column) for name, column in log.columns.items()}
    try:
        for run in understood(log, options):
            curve = run.curve(options.schedule)
            document["runs"].append({"step": run.step, "lr": run.lr, "loss": run.loss, **_curve_document(curve)})
    except CurveError as error:
        document["fault"] = str(error)
    return document


def _curve_document(curve: Curve) -> dict[str, Any]:
    lrs = curve.schedule.lrs
    return {
        "name": curve.name,
        "updates": curve.schedule.steps,
        "losses": int(curve.steps.size),
        "first_loss": float(curve.losses[0]),
        "last_loss": float(curve.losses[-1]),
        "peak_lr": curve.schedule.peak_lr,
        "last_lr": float(lrs[-1]),
    }


def log_lines(document: dict[str, Any]) -> list[str]:
    """For a person: what each column holds, and what was made of them."""
    lines = [f"{document['file']}: {document['kind']}"]
    lines += [f"  {name:<24} {text}" for name, text in document["columns"].items()]
    for run in document["runs"]:
        lr = f"lr from {run['lr']!r}" if run["lr"] else "lr from --schedule"
        lines.append(f"  understood: step from {run['step']!r}, {lr}, loss from {run['loss']!r}")
        lines.append(
            f"  run: {run['updates']} updates, peak LR {run['peak_lr']:.4g}, last LR {run['last_lr']:.4g}; "
            f"{run['losses']} losses, {run['first_loss']:.4f} to {run['last_loss']:.4f}"
        )
    return lines
