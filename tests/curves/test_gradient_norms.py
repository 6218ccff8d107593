"""Gradient norms of pilot runs, from CSV and MLflow, whole and broken."""

import numpy as np
import pytest

from autosched.curves.csv_files import read_norms
from autosched.curves.gradient_norms import GradientNorms
from autosched.curves.mlflow_runs import MlflowSource, read_mlflow_norms
from autosched.errors import CurveError
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule

HEADER = "step,lr,loss,grad_norm"


def write(path, rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def rows(norms, every=1):
    return [f"{every * (i + 1)},0.1,3.0,{norm}" for i, norm in enumerate(norms)]


def norms_of(steps, norms, horizon):
    return GradientNorms(schedule=Schedule(np.full(horizon, 0.1)), steps=steps, norms=norms, name="a.csv")


def test_a_file_gives_steps_norms_and_the_schedule_they_were_seen_with(tmp_path):
    found = read_norms(write(tmp_path / "a.csv", rows(range(1, 13), every=10)))
    assert found.norms.tolist() == list(range(1, 13))
    assert found.steps[-1] == found.schedule.steps == 120
    assert found.schedule.peak_lr == 0.1


def test_another_column_may_hold_the_norms_and_the_loss_may_be_missing(tmp_path):
    file = write(tmp_path / "a.csv", [f"{i},0.1,{i / 2}" for i in range(1, 11)], header="step,lr,grad_norm_l1")
    found = read_norms(file, ("grad_norm_l1", "grad_norm"))
    assert (found.metric, found.norms[-1]) == ("grad_norm_l1", 5.0)


def test_of_two_columns_the_first_that_is_there_counts(tmp_path):
    found = read_norms(write(tmp_path / "a.csv", rows(range(1, 11))), ("grad_norm_l1", "grad_norm"))
    assert found.metric == "grad_norm"


def test_norms_of_every_update_stay_as_they_are():
    norms = np.random.default_rng(0).uniform(1, 2, 50)
    np.testing.assert_allclose(norms_of(np.arange(1, 51), norms, 50).on_every_update(50), norms, rtol=1e-12)


def test_a_mean_stands_at_the_middle_of_the_updates_it_covers():
    """Norms that are a line: means over ten updates give the line back, but for half a window at both ends."""
    line = np.linspace(1, 2, 200)
    means = line.reshape(20, 10).mean(axis=1)
    found = norms_of(np.arange(10, 201, 10), means, 200).on_every_update(200)
    np.testing.assert_allclose(found[5:-5], line[5:-5], rtol=1e-12)
    assert np.all(found[:5] == means[0])


def test_another_horizon_has_the_norms_at_the_same_shares_of_the_run():
    norms = np.linspace(1, 2, 100)
    found = norms_of(np.arange(1, 101), norms, 100).on_every_update(1_000)
    assert found.shape == (1_000,)
    np.testing.assert_allclose(found[4::10], norms, rtol=1e-3)


def test_steps_may_be_counted_from_zero():
    norms = np.linspace(1, 2, 20)
    found = norms_of(np.arange(20), norms, 20).on_every_update(20)
    np.testing.assert_allclose(found[:-1], norms[1:], rtol=1e-12)


def test_a_resumed_runs_later_norms_count(tmp_path):
    logged = [*rows(range(1, 9)), *[f"{step},0.1,3.0,{step * 10}" for step in range(6, 13)]]
    assert read_norms(write(tmp_path / "a.csv", logged)).norms[4:7].tolist() == [5, 60, 70]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({3: "4,0.1,3.0,nan"}, r"a\.csv:5: a gradient norm must be finite and > 0, but got nan at update 4\."),
        ({0: "1,0.1,3.0,0"}, r"a\.csv:2: a gradient norm must be finite and > 0, but got 0\.0 at update 1\."),
        ({9: "10,0.1,3.0,inf"}, r"a\.csv:11: .* but got inf at update 10"),
        ({2: "3,0.1,3.0,-1"}, r"a\.csv:4: .* but got -1\.0 at update 3"),
        ({5: "6,0.1,3.0"}, r"a\.csv:7: the row ends before its grad_norm"),
        ({4: "5,0.1,3.0,big"}, r"a\.csv:6: grad_norm must be a number, but got 'big'"),
    ],
)
def test_a_norm_that_says_nothing_is_refused_with_its_line(tmp_path, change, says):
    logged = rows(range(1, 11))
    for position, row in change.items():
        logged[position] = row
    with pytest.raises(CurveError, match=says):
        read_norms(write(tmp_path / "a.csv", logged))


def test_a_file_without_norms_is_refused(tmp_path):
    file = write(tmp_path / "a.csv", ["1,0.1,3.0"], header="step,lr,loss")
    with pytest.raises(CurveError, match=r"a\.csv:1: the header must have step,lr,grad_norm, but has step,lr,loss\."):
        read_norms(file)


def test_too_few_norms_are_refused(tmp_path):
    with pytest.raises(CurveError, match="must have at least 10 gradient norms to be refined, but has 9"):
        read_norms(write(tmp_path / "a.csv", rows(range(1, 10))))


def test_a_pilot_run_that_did_not_finish_is_refused(tmp_path):
    columns = "file,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio"
    write(tmp_path / "runs.csv", ["a.csv,constant,0.1,0,20,,,1"], header=columns)
    with pytest.raises(CurveError, match="the gradient norms end at update 12 of 20: let the run finish"):
        read_norms(write(tmp_path / "a.csv", rows(range(1, 13))))


@pytest.mark.slow
def test_runs_that_logged_norms_are_read_from_mlflow(tmp_path, new_store):
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    uri = new_store(tmp_path)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("runs", artifact_location=(tmp_path / "artifacts").as_uri())
    schedule = build("wsd", {"peak_lr": 0.01, "warmup_steps": 2}, steps=120)
    for name, key in (("with", "grad_norm"), ("without", "loss")):
        run = client.create_run(experiment, run_name=name)
        logged = [Metric(key, 1.0 + step, 1_000 + step, step) for step in range(10, 121, 10)]
        client.log_batch(run.info.run_id, metrics=logged)
        client.log_text(run.info.run_id, schedule.to_json(), "schedule.json")
    source = MlflowSource(uri=uri, experiment="runs")
    (found,) = read_mlflow_norms(source, ("grad_norm_l1", "grad_norm"))
    assert found.name.endswith("#with")
    assert found.schedule == schedule
    assert found.norms.tolist() == [1.0 + step for step in range(10, 121, 10)]
    with pytest.raises(CurveError, match="no run of 'runs' has a metric 'grad_norm_l1'"):
        read_mlflow_norms(source, ("grad_norm_l1",))
