"""A plain Optuna study with autosched's `LawPruner`: SGD on a noisy quadratic, 24 schedules (docs/how-to/optuna.md)."""

import numpy as np
import optuna

import autosched
from autosched.integrations.optuna import LawPruner


def train(schedule):
    """Yield updates done and the loss."""
    curvature, weights, rng = np.geomspace(1, 3e-3, 64), np.ones(64), np.random.default_rng(0)
    for done, lr in enumerate(schedule.lrs, start=1):
        weights -= lr * (curvature * weights + 0.5 * rng.normal(size=64))
        if done % 20 == 0:
            yield done, 1 + curvature @ weights**2 / 2


def objective(trial):
    """Train with the proposed schedule; its final loss."""
    peak, cooldown = trial.suggest_float("peak_lr", 0.03, 1, log=True), trial.suggest_float("cooldown", 0.05, 1)
    schedule = autosched.build("wsd", {"peak_lr": peak, "cooldown_fraction": cooldown}, steps=1000)
    LawPruner.set_schedule(trial, schedule)  # once, before training
    for done, loss in train(schedule):
        trial.report(loss, step=done)  # step: updates done
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


if __name__ == "__main__":
    study = optuna.create_study(pruner=LawPruner(), sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=24)
    trained = sum(trial.last_step for trial in study.trials)
    print(f"best {study.best_value:.4f} with {study.best_params}: trained {trained} of {24 * 1000} updates")
