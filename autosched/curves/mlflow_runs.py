"""Read loss curves from MLflow runs, autosched's own or anybody's who logs a loss and an LR with steps."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.gradient_norms import GradientNorms, norms_of
from autosched.curves.logged_series import Series, curve_of
from autosched.errors import CurveError, ScheduleError, TrackingError
from autosched.schedules.schedule import Schedule
from autosched.urls import database_url, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SCHEDULE_FILE = "schedule.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowSource:
    """Where the runs are and what their metrics are called.

    Attributes:
        uri: tracking URI, e.g. ``sqlite:///mlflow.db``.
        experiment: its name.
        filter: MLflow's search text, e.g. ``params.trainer = 'gpt' and metrics.loss < 3``; empty for all runs.
        loss, lr: names of the metrics, logged with updates done as their step.
    """

    uri: str
    experiment: str
    filter: str = ""
    loss: str = "loss"
    lr: str = "lr"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """What one run logged of a metric and of its LR, and its exact schedule when it is known."""

    name: str
    metric: str
    values: Series
    lrs: Series
    schedule: Schedule | None


def read_mlflow_curves(source: MlflowSource) -> tuple[Curve, ...]:
    """A curve per run that logged a loss, oldest first; runs without one (a study's parent) are left out.

    Raises:
        CurveError, TrackingError: as for :func:`logged_runs`, and a fault in a curve.
    """
    runs = logged_runs(source, (source.loss,))
    return tuple(curve_of(run.values, run.lrs, source=run.name, schedule=run.schedule) for run in runs)


def read_mlflow_norms(source: MlflowSource, metrics: Sequence[str] = ("grad_norm",)) -> tuple[GradientNorms, ...]:
    """The gradient norms of every run that logged the first of `metrics` that any of them logged, oldest first.

    Raises:
        CurveError, TrackingError: as for :func:`logged_runs`, and what
            :func:`~autosched.curves.gradient_norms.norms_of` refuses.
    """
    runs = logged_runs(source, metrics)
    return tuple(
        norms_of(run.values, run.lrs, source=run.name, schedule=run.schedule, metric=run.metric) for run in runs
    )


def logged_runs(source: MlflowSource, metrics: Sequence[str]) -> tuple[LoggedRun, ...]:
    """Every run that logged the first of `metrics` that any of them logged, oldest first.

    The schedule is exact when the run has an artifact ``schedule.json``; otherwise the LR metric must show it.

    Raises:
        CurveError: no such database file or experiment, a filter that MLflow refuses, no run with this metric, or a
            run that shows no schedule.
        TrackingError: the store cannot be reached.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    _check_file(source.uri)
    client = MlflowClient(tracking_uri=source.uri)
    try:
        experiment = client.get_experiment_by_name(source.experiment)
    except MlflowException as error:
        raise TrackingError(f"cannot read {source.uri}: {error.message}") from None
    if experiment is None:
        raise CurveError(f"no experiment {source.experiment!r}.", file=source.uri)
    try:
        runs = _all_runs(client, experiment.experiment_id, source.filter)
    except MlflowException as error:
        raise CurveError(f"filter {source.filter!r}: {error.message}", file=source.uri) from None
    metric = next((name for name in metrics if any(name in run.data.metrics for run in runs)), None)
    if metric is None:
        text = " or ".join(map(repr, metrics))
        raise CurveError(f"no run of {source.experiment!r} has a metric {text}.", file=source.uri)
    return tuple(_logged(client, run, source, metric) for run in runs if metric in run.data.metrics)


def _check_file(uri: str) -> None:
    """A database file that is not there is said at once: MLflow would create an empty one, or try for minutes."""
    if uri.startswith("sqlite:"):
        file = sqlite_file(database_url(uri, "the tracking uri", ("sqlite",)))
        if file is not None and not file.is_file():
            raise CurveError("no such MLflow database.", file=uri)


def _all_runs(client: MlflowClient, experiment: str, text: str) -> list[Run]:
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], text, order_by=["attributes.start_time ASC"], page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def _logged(client: MlflowClient, run: Run, source: MlflowSource, metric: str) -> LoggedRun:
    name = f"{source.uri}#{run.info.run_name or run.info.run_id}"
    values, lrs = (_history(client, run.info.run_id, key) for key in (metric, source.lr))
    schedule = _schedule(client, run.info.run_id, name)
    if schedule is None and not len(lrs):
        raise CurveError(f"neither a metric {source.lr!r} nor {SCHEDULE_FILE} shows its schedule.", file=name)
    return LoggedRun(name=name, metric=metric, values=values, lrs=lrs, schedule=schedule)


def _history(client: MlflowClient, run_id: str, metric: str) -> Series:
    """A metric's points in the order of logging; of equal times, by step."""
    points = sorted(client.get_metric_history(run_id, metric), key=lambda point: (point.timestamp, point.step))
    return Series(
        steps=np.array([point.step for point in points], dtype=np.float64),
        values=np.array([point.value for point in points], dtype=np.float64),
    )


def _schedule(client: MlflowClient, run_id: str, name: str) -> Schedule | None:
    if not any(item.path == SCHEDULE_FILE for item in client.list_artifacts(run_id)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(run_id, SCHEDULE_FILE, folder)).read_text(encoding="utf-8")
    try:
        return Schedule.from_json(text)
    except ScheduleError as error:
        raise CurveError(str(error), file=name) from None
