"""Ray Tune with autosched's `LawScheduler`: SGD on a noisy quadratic, 16 schedules (docs/how-to/ray-tune.md)."""

from pathlib import Path

import numpy as np
from ray import tune

import autosched
from autosched.integrations.ray_tune import LawScheduler


def schedule_of(config):
    """The schedule that a trial of this config trains with."""
    return autosched.build("wsd", config, steps=1000)


def train(config):
    """Report the loss and the updates done."""
    curvature, weights, rng = np.geomspace(1, 3e-3, 64), np.ones(64), np.random.default_rng(0)
    for done, lr in enumerate(schedule_of(config).lrs, start=1):
        weights -= lr * (curvature * weights + 0.5 * rng.normal(size=64))
        if done % 40 == 0:
            tune.report({"loss": 1 + curvature @ weights**2 / 2, "step": done})  # step: updates done


if __name__ == "__main__":
    space = {"peak_lr": tune.loguniform(0.03, 1), "cooldown_fraction": tune.uniform(0.05, 1)}
    config = tune.TuneConfig(
        metric="loss", mode="min", num_samples=16, reuse_actors=True, scheduler=LawScheduler(schedule_of)
    )
    place = tune.RunConfig(storage_path=str(Path("ray_results").absolute()))
    results = tune.Tuner(train, param_space=space, tune_config=config, run_config=place).fit()
    trained = sum(result.metrics["step"] for result in results)
    print(f"best {results.get_best_result().metrics['loss']:.4f}: trained {trained} of {16 * 1000} updates")
