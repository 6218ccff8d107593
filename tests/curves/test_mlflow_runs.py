"""Curves from a real MLflow store on SQLite."""

import numpy as np
import pytest

from autosched.curves import MlflowSource, read_mlflow_curves
from autosched.errors import CurveError
from autosched.schedules.registry import build

SCHEDULE = build("wsd", {"peak_lr": 0.01, "warmup_steps": 2, "cooldown_fraction": 0.5}, steps=10)


@pytest.fixture(scope="module")
def store(tmp_path_factory, new_store):
    """An experiment with an exact run, a foreign one without a schedule, a resumed one, and a parent without a loss."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    uri = new_store(folder)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("runs", artifact_location=(folder / "artifacts").as_uri())

    def run(name, points, *, schedule=None, params=None):
        created = client.create_run(experiment, run_name=name)
        for time, (step, lr, loss) in enumerate(points):
            client.log_metric(created.info.run_id, "loss", loss, timestamp=1_000 + time, step=step)
            client.log_metric(created.info.run_id, "lr", lr, timestamp=1_000 + time, step=step)
        for key, value in (params or {}).items():
            client.log_param(created.info.run_id, key, value)
        if schedule is not None:
            client.log_text(created.info.run_id, schedule.to_json(), "schedule.json")

    run("parent", [])
    run("exact", [(2, 0.01, 4.0), (4, 0.01, 3.5), (6, 0.01, 3.2)], schedule=SCHEDULE, params={"size": "small"})
    run("foreign", [(2, 0.1, 4.0), (4, 0.1, 3.5), (6, 0.05, 3.0)])
    run("resumed", [(2, 0.1, 4.0), (4, 0.1, 3.9), (6, 0.1, 3.8), (4, 0.1, 3.7), (6, 0.1, 3.6), (8, 0.1, 3.5)])
    return uri


@pytest.mark.slow
def test_runs_with_a_loss_become_curves_in_order_of_start(store):
    exact, foreign, resumed = read_mlflow_curves(MlflowSource(uri=store, experiment="runs"))
    assert exact.schedule == SCHEDULE
    assert exact.steps.tolist() == [2, 4, 6]
    np.testing.assert_allclose(foreign.schedule.lrs, [0.05, 0.1, 0.1, 0.1, 0.075, 0.05])
    assert resumed.losses.tolist() == [4.0, 3.7, 3.6, 3.5]
    assert exact.name.endswith("#exact")


@pytest.mark.slow
def test_a_filter_chooses_runs(store):
    curves = read_mlflow_curves(MlflowSource(uri=store, experiment="runs", filter="params.size = 'small'"))
    assert [curve.name.split("#")[1] for curve in curves] == ["exact"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"experiment": "none"}, "no experiment 'none'"),
        ({"filter": "size is small"}, "filter 'size is small'"),
        ({"loss": "perplexity"}, "no run of 'runs' has a metric 'perplexity'"),
        ({"lr": "rate"}, "neither a metric 'rate' nor schedule.json shows its schedule"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(store, change, text):
    with pytest.raises(CurveError, match=text):
        read_mlflow_curves(MlflowSource(**{"uri": store, "experiment": "runs", **change}))


def test_a_database_that_is_not_there_is_not_created(tmp_path):
    file = tmp_path / "mlflow.db"
    with pytest.raises(CurveError, match="no such MLflow database"):
        read_mlflow_curves(MlflowSource(uri=f"sqlite:///{file}", experiment="runs"))
    assert not file.exists()
