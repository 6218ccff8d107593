"""Optimizers by name: options, what they learn, and files that do not fit them."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from pytorch_optimizer import get_supported_optimizers
from torch import nn

from autosched.errors import CheckpointError, UsageError
from autosched.testing.trainer_contract import saved
from workers.gpt import GptTrainer
from workers.optimizers.method import Method
from workers.optimizers.registry import METHODS, PACKAGED, REFUSED, packaged_names, read_choice
from workers.optimizers.updates import Usual
from workers.registry import check_trainer, make_trainer
from workers.vision import VisionTrainer

SMALL = {"width": 4, "batch": 8, "device": "cpu"}
NAMES = [*METHODS, *PACKAGED, "muon", "soap"]
LR = {"prodigy": 1.0, "dadaptation": 1.0, "dog": 1.0, "ldog": 1.0, "polyak": 1.0, "sgd": 0.1, "schedulefree": 0.1}


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_goes_down_a_quadratic(name):
    model = nn.ParameterList([torch.tensor([1.0, -2.0]), torch.tensor([[0.5]])])
    curvatures = [torch.tensor([1.0, 0.1]), torch.tensor([[3.0]])]
    options = {"adamod": {"beta3": 0.9}, "hypergradient": {"rate": 1e-4}, "muon": {"adamw_lr_ratio": 1}}.get(name, {})
    updates = read_choice({"use": name, "with": options}).make(model, Usual(weight_decay=0.0))

    def loss_now() -> torch.Tensor:
        return sum(0.5 * (h * w.square()).sum() for h, w in zip(curvatures, model, strict=True))

    first = loss_now().item()
    for _ in range(400):
        updates.optimizer.zero_grad()
        loss = loss_now()
        loss.backward()
        updates.update(LR.get(name, 0.03), loss.item())
    with updates.evaluating():
        assert loss_now().item() < 0.05 * first


@pytest.mark.parametrize("use", ["gpt", "vision"])
@pytest.mark.parametrize("name", NAMES)
def test_one_line_chooses_an_optimizer_on_both_trainers(use, name):
    check_trainer(use, {"optimizer": name})
    check_trainer(use, {"optimizer": {"use": name, "with": {}}})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such", "gpt trainer: optimizer must be one of adamw, sgd, radam, .*, but got 'no_such'"),
        (3, "gpt trainer: optimizer must be one of .*, but got 3"),
        ({"with": {}}, "gpt trainer: optimizer must be one of"),
        ({"use": "prodigy", "d_coef": 1}, "gpt trainer: optimizer must be one of"),
        ({"use": "prodigy", "with": 3}, "gpt trainer: optimizer must be one of"),
        ({"use": ["prodigy"]}, "gpt trainer: optimizer must be one of"),
        ({"use": "prodigy", "with": {"d_coef": 0}}, "optimizer prodigy: d_coef must be a finite number > 0, but got 0"),
        ({"use": "prodigy", "with": {"lr": 1}}, "optimizer prodigy: unknown option 'lr'; allowed are betas, beta3"),
        (
            {"use": "soap", "with": {"betas": [0.9]}},
            "optimizer soap: betas must be a list of two, each a finite number",
        ),
        ({"use": "soap", "with": {"betas": [0.9, 2]}}, "optimizer soap: beta2 must be in the range"),
        ({"use": "soap", "with": {"data_format": "x"}}, "optimizer soap: data_format must be one of channels_first"),
        ({"use": "muon", "with": {"adamw_lr": 1}}, "optimizer muon: unknown option 'adamw_lr'; allowed are momentum"),
        ({"use": "muon", "with": {"adamw_lr_ratio": 0}}, "optimizer muon: adamw_lr_ratio must be a finite number > 0"),
        ("lbfgs", "optimizer must be one of"),
        ("alig", "optimizer alig: not offered, because it evaluates the loss anew within an update"),
        ({"use": "adamw", "with": {"betas": [0, 0]}}, "optimizer adamw: unknown option 'betas'; allowed are none"),
        ({"use": "schedulefree", "with": {"betas": [0.0, 0.9]}}, "optimizer schedulefree: beta1 must be in the range"),
        ({"use": "fedhyper", "with": {"bounds": [0.5, 4]}}, r"optimizer fedhyper: bounds must have 0 between them"),
        ({"use": "volsched", "with": {"window": 1}}, "optimizer volsched: window must be a whole number >= 2"),
        ({"use": "hypergradient", "with": {"base": "lion"}}, "optimizer hypergradient: base must be one of adam, sgd"),
    ],
)
def test_a_faulty_choice_is_refused_in_one_line(value, message):
    with pytest.raises(UsageError, match=message) as info:
        GptTrainer.check_options({"optimizer": value})
    assert "\n" not in str(info.value)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(METHODS, "prodigy", Method(make=METHODS["adamw"].make, package="no_such_package"))
    with pytest.raises(UsageError, match=r"the package no_such_package is not installed; pip install 'autosched\[base"):
        VisionTrainer.check_options({"optimizer": "prodigy"})


def test_all_that_the_package_has_is_offered_or_refused_with_a_reason():
    found = set(get_supported_optimizers())
    assert found >= REFUSED.keys()
    torchs = {"adam", "adamw", "lbfgs", "nadam", "rmsprop", "sgd"}
    assert found - {*packaged_names(), *REFUSED, *METHODS} == torchs - METHODS.keys()


def test_options_of_an_optimizer_change_what_is_learned():
    losses = []
    for options in ({}, {"d0": 1e-2}):
        trainer = make_trainer("vision", {**SMALL, "optimizer": {"use": "prodigy", "with": options}}, 0, 5)
        trainer.start()
        trainer.train(np.ones(5))
        losses.append(trainer.evaluate())
    assert losses[0] != losses[1]


def configuration(trainer) -> str:
    trainer.start()
    return torch.load(io.BytesIO(saved(trainer)), weights_only=True)["configuration"]


def test_checkpoints_of_before_there_was_a_choice_are_still_of_the_same_configuration():
    vision = VisionTrainer({"width": 4, "device": "cpu", "averages": "none"}, seed=3, horizon=1)
    assert configuration(vision) == (
        '{"batch":32,"clip":1.0,"dropout":0.0,"dtype":"auto","label_noise":0.1,"momentum":0.9,"optimizer":"adamw",'
        '"seed":3,"trainer":"vision","weight_decay":0.05,"width":4}'
    )
    sgd = VisionTrainer({"width": 4, "device": "cpu", "optimizer": "sgd"}, seed=3, horizon=1)
    assert '"optimizer":"sgd"' in configuration(sgd)
    small = {"layers": 1, "width": 16, "heads": 2, "context": 8, "batch": 2, "eval_batches": 1, "device": "cpu"}
    gpt = configuration(GptTrainer(small, seed=0, horizon=1))
    assert "optimizer" not in gpt
    assert configuration(GptTrainer({**small, "optimizer": "adamw"}, seed=0, horizon=1)) == gpt


def test_a_plain_optimizer_writes_what_it_always_wrote():
    trainer = VisionTrainer({**SMALL, "averages": "none"}, seed=0, horizon=2)
    trainer.start()
    trainer.train(np.full(2, 0.01))
    state = torch.load(io.BytesIO(saved(trainer)), weights_only=True)["state"]
    assert state.keys() == {"model", "optimizer", "step", "watch"}
    assert state["optimizer"][0].keys() == {"step", "exp_avg", "exp_avg_sq"}


def strange(value: object) -> list[object]:
    """What a stranger's file may have in the place of `value`."""
    others: list[object] = [None, "text", [], {}, torch.zeros(7, 7), -1.5j]
    if isinstance(value, list):
        others += [value[:-1], [*value, *value[:1]], ["text"] * len(value)] if value else [["text"]]
    if isinstance(value, int):
        others += [-1, True, 0.5]
    return [other for other in others if type(other) is not type(value) or repr(other) != repr(value)]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("adamw", "sgd")])
def test_a_file_that_does_not_fit_the_optimizer_is_refused_and_changes_nothing(name):
    trainer = make_trainer("vision", {**SMALL, "optimizer": name}, 0, 3)
    trainer.start()
    trainer.train(np.full(3, 0.1))
    document = torch.load(io.BytesIO(saved(trainer)), weights_only=True)
    state, loss = document["state"], trainer.evaluate()
    zeros = {key: torch.zeros_like(weight) for key, weight in state["model"].items()}  # would be seen if it were copied
    memory, moments = state.get("memory", {}), state["optimizer"]
    changes = [{"memory": {**memory, "other": 1}}, {"memory": [1]}, {"optimizer": {99: {}}}]
    changes += [{"memory": {**memory, key: other}} for key in memory for other in strange(memory[key])]
    changes += [{"memory": {key: memory[key] for key in memory if key != missing}} for missing in memory]
    changes += [{"optimizer": {**moments, 0: {**moments[0], key: "text"}}} for key in moments.get(0, {})]
    changes += [
        {"optimizer": {**moments, 0: {other: moments[0][other] for other in moments[0] if other != key}}}
        for key in moments.get(0, {})
    ]
    for change in changes:
        file = io.BytesIO()
        torch.save({**document, "state": {**state, "model": zeros, **change}}, file)
        file.seek(0)
        with pytest.raises(CheckpointError, match="does not fit the model"):
            trainer.load(file)
        assert trainer.step == 3
    assert trainer.evaluate() == loss


@pytest.mark.parametrize("use", ["gpt", "vision"])
def test_schedule_free_evaluates_the_average_and_trains_the_rest(use):
    sizes = (
        {"layers": 1, "width": 16, "heads": 2, "context": 8, "batch": 2, "eval_batches": 1} if use == "gpt" else SMALL
    )
    trainer = make_trainer(use, {**sizes, "device": "cpu", "optimizer": "schedulefree"}, 0, 20)
    trainer.start()
    before = trainer.evaluate()
    trainer.train(np.full(20, 0.02))
    assert math.isfinite(trainer.evaluate())
    assert trainer.evaluate() < before
