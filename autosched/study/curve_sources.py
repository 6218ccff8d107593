"""Curves that a person names: files, folders of them, and the runs of an MLflow experiment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autosched.curves.csv_files import SUFFIXES, column_names, curve_files, read_curve
from autosched.curves.curve import Curve
from autosched.curves.log_columns import LogOptions, read_runs
from autosched.curves.mlflow_runs import MlflowSource, read_mlflow_curves
from autosched.curves.runs_table import absent_files
from autosched.errors import CurveError, UsageError
from autosched.tracking.mlflow_store import SETTINGS, parse_address

MLFLOW = "mlflow:"
AS_LOGGED = LogOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCurve:
    """A curve and what the caller calls it: its path as given, or its own name behind the folder's or experiment's."""

    name: str
    curve: Curve


def named_curves(
    paths: Sequence[str], *, text: str = "", uri: str | None = None, options: LogOptions = AS_LOGGED
) -> list[NamedCurve]:
    """All curves of the paths, in the order given.

    Args:
        text: MLflow's filter; empty for all runs.
        uri: MLflow's address; None for the environment's or the default.
        options: what a person says of files that are no tables of step, lr and loss.

    Raises:
        CurveError: a path that does not exist, a file given twice, a folder or experiment without curves, or a fault
            in a curve.
        TrackingError: MLflow cannot be reached.
    """
    found: list[NamedCurve] = []
    given: dict[Path, str] = {}
    for path in paths:
        if path.startswith(MLFLOW):
            source = mlflow_source(path, text=text, uri=uri)
            metrics = {role: name for role, name in (options.columns or {}).items() if role in ("loss", "lr")}
            found += _mlflow_curves(path, replace(source, **metrics))
        elif Path(path).exists():
            found += _file_curves(path, given, options)
        else:
            raise CurveError("no such file or folder.", file=path)
    return found


def notes_on(paths: Sequence[str]) -> list[str]:
    """What a person should know of these paths beside their curves; they have been read."""
    folders = [Path(path) for path in paths if not path.startswith(MLFLOW)]
    return absent_files(file for folder in folders for file in curve_files(folder))


def _file_curves(path: str, given: dict[Path, str], options: LogOptions) -> list[NamedCurve]:
    """The curves of a file or folder; `given` are the files so far, by what they were called."""
    found = []
    for file in curve_files(Path(path)):
        name = f"{path.rstrip('/')}/{file.name}" if Path(path).is_dir() else path
        if file.resolve() in given:
            raise CurveError(f"this file was given before, as {given[file.resolve()]}: a run counts once.", file=name)
        given[file.resolve()] = name
        runs = _curves_of(file, options)
        found += [NamedCurve(name=run.name.replace(str(file), name, 1), curve=run) for run in runs]
    return found


def _curves_of(file: Path, options: LogOptions) -> list[Curve]:
    """That of a table of step, lr and loss, with what ``runs.csv`` says of it; else those a log is understood as."""
    if options == AS_LOGGED and is_curve_file(file):
        return [read_curve(file)]
    return read_runs(file, options)


def is_curve_file(file: Path) -> bool:
    """Whether a file is a CSV table with the columns step, lr and loss."""
    return file.name.endswith(SUFFIXES) and {"step", "lr", "loss"} <= {name.lower() for name in column_names(file)}


def mlflow_source(path: str, *, text: str = "", uri: str | None = None) -> MlflowSource:
    """The runs that ``mlflow:EXPERIMENT`` means; see :func:`named_curves`.

    Raises:
        CurveError: no experiment's name, an address that is none, or a database file that is not there.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    experiment = path.removeprefix(MLFLOW)
    if not experiment:
        raise CurveError("an experiment's name must follow, as in mlflow:wsd-demo.", file=path)
    try:
        address = parse_address(uri)
    except UsageError as error:
        raise CurveError(str(error), file=path) from None
    if address.file is not None and not address.file.is_file():
        raise CurveError(f"no MLflow database {address.file}: give --tracking-uri.", file=path)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    return MlflowSource(uri=address.uri, experiment=experiment, filter=text)


def _mlflow_curves(path: str, source: MlflowSource) -> list[NamedCurve]:
    curves = read_mlflow_curves(source)
    named: dict[str, Curve] = {}
    for curve in curves:
        name, number = f"{path}/{curve.name.rpartition('#')[2]}", 1
        while (unique := name if number == 1 else f"{name} ({number})") in named:  # MLflow's run names may repeat
            number += 1
        named[unique] = curve
    return [NamedCurve(name=name, curve=curve) for name, curve in named.items()]
