"""Reads back what a study looks like in MLflow, so that tests can compare it with what it should look like."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autosched.tracking.memory_tracker import RunPicture
from autosched.tracking.mlflow_store import connect, parse_address
from autosched.tracking.tracker import STUDY

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000


def mlflow_picture(uri: str, experiment: str, identity: str) -> dict[int, RunPicture]:
    """All runs of the study with this identity, by run key, read through MLflow's own client.

    Raises:
        AssertionError: two runs have one key.
    """
    client = connect(parse_address(uri))
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return {}
    runs: dict[int, RunPicture] = {}
    for run in _runs(client, str(found.experiment_id)):
        study, _, trial = run.data.tags.get("autosched.run", "").partition("/")
        if study == identity:
            key = int(trial) if trial else STUDY
            if key in runs:
                raise AssertionError(f"run {key} of study {identity} is there twice.")
            runs[key] = _picture(client, run)
    return dict(sorted(runs.items()))


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _picture(client: MlflowClient, run: Run) -> RunPicture:
    run_id = run.info.run_id
    return RunPicture(
        name=str(run.info.run_name),
        status=str(run.info.status),
        started=int(run.info.start_time),
        ended=run.info.end_time,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        metrics={
            key: tuple(sorted((m.step, m.timestamp, m.value) for m in client.get_metric_history(run_id, key)))
            for key in run.data.metrics
        },
        artifacts=dict(_artifacts(client, run_id)),
    )


def _artifacts(client: MlflowClient, run_id: str, folder: str | None = None) -> Iterator[tuple[str, bytes]]:
    for entry in client.list_artifacts(run_id, folder):
        if entry.is_dir:
            yield from _artifacts(client, run_id, entry.path)
        else:
            with tempfile.TemporaryDirectory() as place:
                yield entry.path, Path(client.download_artifacts(run_id, entry.path, place)).read_bytes()
