"""TempBalance gives layers LRs by the tails of their weights' spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from workers.optimizers.registry import read_choice
from workers.optimizers.tempbalance import balanced_layers, hill_alpha, lr_ratios, spectrum
from workers.optimizers.updates import Usual


@pytest.mark.parametrize("alpha", [2.0, 3.5])
def test_hills_estimator_finds_the_exponent_of_a_tail(alpha):
    u = (np.arange(2000) + 0.5) / 2000
    eigenvalues = torch.tensor(np.sort((1 - u) ** (-1 / (alpha - 1))))
    assert hill_alpha(eigenvalues) == pytest.approx(alpha, rel=0.1)


def test_the_spectrum_of_a_matrix_is_that_of_its_gram_matrix():
    weight = torch.tensor(np.random.default_rng(0).normal(size=(5, 3)), dtype=torch.float32)
    np.testing.assert_allclose(spectrum(weight), np.linalg.eigvalsh(weight.numpy().T @ weight.numpy()), rtol=1e-4)
    kernel = torch.tensor(np.random.default_rng(0).normal(size=(4, 3, 2, 2)), dtype=torch.float32)
    assert len(spectrum(kernel)) == 12
    assert spectrum(kernel)[-1].item() == pytest.approx(
        0.5 * max(np.linalg.norm(kernel[:, :, i, j].numpy(), 2) ** 2 for i in range(2) for j in range(2)), rel=1e-4
    )


def test_lrs_are_linear_in_the_exponents():
    assert lr_ratios([2.0, 4.0, 3.0], (0.5, 1.5)) == [0.5, 1.5, 1.0]
    assert lr_ratios([2.0, 2.0], (0.5, 1.5)) == [1.0, 1.0]
    assert lr_ratios([2.0, math.inf], (0.5, 1.5)) == [1.0, 1.0]


def test_first_and_last_layers_and_small_ones_keep_the_schedules_lr():
    sizes = [(60, 60), (60, 60), (60, 60), (60, 10), (10, 60), (60, 60)]
    model = nn.Sequential(*(nn.Linear(inputs, outputs) for inputs, outputs in sizes))
    assert balanced_layers(model, 50) == [model[1], model[2]]
    updates = read_choice("tempbalance").make(model, Usual(weight_decay=0.1, betas=(0.9, 0.95)))
    model[1].weight.data *= torch.linspace(1, 100, 60)  # a heavier tail
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    before = [weight.detach().clone() for weight in model.parameters()]
    updates.update(1e-2, 1.0)
    assert [group["lr"] for group in updates.optimizer.param_groups] == pytest.approx([0.5e-2, 1.5e-2, 1e-2])
    assert len(updates.weights) == len(before)
    assert all((old != new).any() for old, new in zip(before, model.parameters(), strict=True))


def test_a_small_model_balances_all_layers_with_eight_eigenvalues():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 12), nn.Linear(12, 4))
    assert balanced_layers(model, 50) == [model[0], model[1]]
