from pathlib import Path

import pytest

import autosched
from tests.workers.command.commands import TRAIN, options

TALKS = f'{TRAIN}\nprint("the end of", sys.argv[2])'


@pytest.mark.slow
def test_what_every_trial_of_a_command_printed_is_with_its_run_in_mlflow(tmp_path, monkeypatch, new_store):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = new_store(tmp_path)
    space = {
        "study": "logs",
        "trainer": {
            "use": "command",
            "with": options(f'{TRAIN}\nprint("the end of", sys.argv[2])', "{lrs}", "{trial}"),
        },
        "horizon_steps": 40,
        "eval_every": 10,
        "schedule": {"wsd": {"peak_lr": {"low": 0.01, "high": 0.1}}},
        "controller": "random",
        "pruner": "none",
        "budget": {"trials": 2},
        "confirm": {"seeds": 0},
        "tracking": {"uri": uri, "experiment": "logs"},
    }
    study = autosched.tune(space, backend="local", progress=False)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("logs")
    found = {}
    for run in client.search_runs([experiment.experiment_id]):
        for artifact in client.list_artifacts(run.info.run_id):
            if artifact.path.endswith(".log"):
                found[artifact.path] = client.download_artifacts(run.info.run_id, artifact.path, str(tmp_path))
    assert sorted(found) == [f"trial-{trial.number}.log" for trial in study.trials]
    for number in range(2):
        assert Path(found[f"trial-{number}.log"]).read_text().splitlines()[-1] == f"the end of {number}"
