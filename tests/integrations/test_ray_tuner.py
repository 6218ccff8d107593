"""Real experiments of Ray Tune on this machine."""

from __future__ import annotations

import re
import runpy
import signal
from pathlib import Path

import numpy as np
import pytest
from ray import tune

from autosched.integrations.ray_tune import LawRule, LawScheduler
from autosched.schedules import build
from workers.ray_cluster import connect

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_tuner.py"
STEPS = 400
GOOD = [
    {"peak_lr": peak, "cooldown_fraction": share} for peak, share in [(0.1, 0.8), (0.15, 0.9), (0.2, 0.5), (0.08, 1.0)]
]
HOPELESS = [{"peak_lr": peak, "cooldown_fraction": 0.1} for peak in (0.7, 0.9)]


@pytest.fixture(scope="module", autouse=True)
def _own_ray():
    ray, _ = connect(None, cores=2)
    yield
    ray.shutdown()


def schedule_of(config):
    return build("wsd", config["schedule"], steps=STEPS)


def make_trainable():
    """SGD on a noisy quadratic; made inside a function so that it travels to the workers by value."""

    def train(config):
        from autosched.schedules import build

        curvature, weights, rng = np.geomspace(1, 3e-3, 64), np.ones(64), np.random.default_rng(0)
        for done, lr in enumerate(build("wsd", config["schedule"], steps=400).lrs, start=1):
            weights -= lr * (curvature * weights + 0.5 * rng.normal(size=64))
            if done % 20 == 0:
                tune.report({"loss": 1 + curvature @ weights**2 / 2, "step": done})

    return train


class CtrlC(tune.Callback):
    """Interrupts the experiment as a person would, after some complete trials."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_trial_complete(self, iteration, trials, trial, **info):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def test_the_example_trains_less_than_all_and_finds_a_good_schedule(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.random.seed(0)  # what Tune draws from
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    found = re.search(r"best ([\d.]+): trained (\d+) of 16000 updates", capfd.readouterr().out)
    assert float(found[1]) < 1.16
    assert 16 * 250 <= int(found[2]) < 0.9 * 16_000


def test_a_restored_experiment_judges_by_what_its_trials_reported_before(tmp_path):
    rule = LawRule(min_complete=4)
    trainable = make_trainable()
    tuner = tune.Tuner(
        trainable,
        param_space={"schedule": tune.grid_search(GOOD + HOPELESS)},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            max_concurrent_trials=1,
            reuse_actors=True,
            scheduler=LawScheduler(schedule_of, rule=rule),
        ),
        run_config=tune.RunConfig(name="law", storage_path=str(tmp_path), callbacks=[CtrlC(after=4)], verbose=0),
    )
    first = tuner.fit()
    ended = [result.metrics["step"] for result in first if result.metrics and "step" in result.metrics]
    assert ended[:4] == [STEPS] * 4
    assert len(ended) < 6
    whole = tune.Tuner.restore(str(tmp_path / "law"), trainable=trainable).fit()
    steps = {result.config["schedule"]["peak_lr"]: result.metrics["step"] for result in whole}
    assert len(steps) == 6
    assert all(steps[spec["peak_lr"]] == STEPS for spec in GOOD)
    assert all(steps[spec["peak_lr"]] < STEPS for spec in HOPELESS)  # only with the four, none of which ran again
