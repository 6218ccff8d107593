"""Gradients of several batches make one update."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

import autosched
from autosched.errors import SpaceError, UsageError
from autosched.report.text import describe
from autosched.schedules import build
from autosched.space.document import Document
from autosched.space.yaml_file import checked_space
from autosched.study.start import CHECKS
from workers.registry import check_trainer, make_trainer

SMALL = {
    "layers": 1,
    "width": 16,
    "heads": 2,
    "context": 8,
    "batch": 2,
    "eval_batches": 1,
    "clip": 0.0,
    "device": "cpu",
}
LRS = np.full(7, 0.01)
SPACE = {
    "study": "ramp",
    "trainer": {"use": "gpt", "with": SMALL},
    "horizon_steps": 40,
    "schedule": {"seesaw": {"peak_lr": [0.01, 0.02], "doublings": 2}},
    "controller": "random",
    "pruner": "none",
    "tracking": "none",
}


def trained(double_at, lrs=LRS, cuts=()):
    """A run; at each cut it goes on from a checkpoint in another trainer."""
    trainer = make_trainer("gpt", {**SMALL, "double_batch_at": double_at}, 0, 7)
    trainer.start()
    for first, last in zip((0, *cuts), (*cuts, len(lrs)), strict=True):
        file = io.BytesIO()
        trainer.save(file)
        file.seek(0)
        trainer = make_trainer("gpt", {**SMALL, "double_batch_at": double_at}, 0, 7)
        trainer.load(file)
        trainer.train(lrs[first:last])
    return trainer


def gradients(trainer):
    return [weight.grad.clone() for weight in trainer._run._weights]


def test_an_update_has_the_mean_gradient_of_its_batches_and_the_lr_of_the_last_one() -> None:
    whole, single = trained([0], LRS[:2]), [trained([3], LRS[:0]) for _ in range(2)]
    for trainer, skipped in zip(single, (0, 1), strict=True):
        trainer._run.step = skipped
        trainer.train(np.zeros(1))
    for found, *parts in zip(gradients(whole), *map(gradients, single), strict=True):
        torch.testing.assert_close(found, sum(parts) / 2)
    assert trained([0], np.array([0.01, 0.0])).evaluate() == trained([0], LRS[:0]).evaluate()
    assert trained([0], np.array([0.0, 0.01])).evaluate() == whole.evaluate()


def test_a_run_may_be_cut_within_an_update() -> None:
    assert trained([1, 3], cuts=(2, 4, 5)).evaluate() == trained([1, 3]).evaluate()
    assert trained([1, 3]).evaluate() == trained([1, 3], LRS[:7]).evaluate() != trained([]).evaluate()
    assert trained([5, 5]).evaluate() == trained([], LRS[:5]).evaluate()  # the last update is not full


@pytest.mark.parametrize("value", [[3, 1], [-1], [1.5], 4, [True]])
def test_a_ramp_is_a_rising_list(value) -> None:
    with pytest.raises(UsageError, match=r"^gpt trainer: double_batch_at must be a list of whole numbers >= 0, none"):
        check_trainer("gpt", {**SMALL, "double_batch_at": value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"controller": "law"}, "controller law forecasts losses of LRs at one batch, but seesaw raises the batch"),
        ({"pruner": "law"}, "pruner law forecasts losses of LRs at one batch, but seesaw raises the batch"),
        ({"trainer": {"use": "simulated"}}, "seesaw raises the batch by the trainer's double_batch_at, but simulated"),
    ],
)
def test_what_cannot_go_with_a_ramp_is_refused(changes, message: str) -> None:
    checked_space(Document(data=SPACE, places={}), checks=CHECKS)
    with pytest.raises((SpaceError, UsageError), match=message):
        checked_space(Document(data={**SPACE, **changes}, places={}), checks=CHECKS)


def test_a_study_trains_it_and_gives_its_ramp_away(tmp_path: Path) -> None:
    storage = {"ledger": f"sqlite:///{tmp_path}/ledger.db"}
    study = autosched.tune({**SPACE, "storage": storage, "budget": {"trials": 2}}, backend="local", progress=False)
    assert [trial.status for trial in study.trials] == ["complete", "complete"]
    winner = study.schedule()
    assert winner == build(winner.family, winner.params, steps=40)
    assert winner.hyperparameters["double_batch_at"] == [20, 28]
    told = describe(study.summary["best"]["schedule"])
    assert told.endswith("in 27 updates of the weights with double_batch_at=[20, 28]")
    trainer = make_trainer("gpt", {**SMALL, **winner.hyperparameters}, 0, 40)
    trainer.start()
    trainer.train(winner.lrs)
    assert trainer.evaluate() == study.trial().points[-1].loss
