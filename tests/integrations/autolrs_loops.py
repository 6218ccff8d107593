"""Small training runs for AutoLRS: a noisy regression with dropout and batch normalisation, 57 parameters."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from autosched.integrations.autolrs import AutoLRS, RewindableLoader

NUMBERS = {"low": 1e-3, "high": 0.5, "steps": 240, "first_stage": 80, "probes": 3}
"""Two stages, of 80 and 160 updates; probes of 8 and 16."""


def examples(count=56):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, generator=generator)
    return TensorDataset(x, x.sum(1, keepdim=True).sin() + 0.3 * torch.randn(count, 1, generator=generator))


def loader(**options):
    return DataLoader(examples(), batch_size=8, shuffle=True, **options)


def make(seed=0, optimizer=torch.optim.SGD, **options):
    """A model and its optimizer, from a seed that what follows draws from, too."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))
    if optimizer is torch.optim.SGD:
        options = {"momentum": 0.9, **options}
    return model, optimizer(model.parameters(), lr=0.1, **options)


def update(model, optimizer, batch):
    """One ordinary update; its loss."""
    x, y = batch
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def train(model, optimizer, data, **options):
    """To the end with AutoLRS; the tuner."""
    tuner = AutoLRS(model, optimizer, data, **{**NUMBERS, **options})
    for batch in tuner.batches():
        tuner.step(update(model, optimizer, batch))
    return tuner


def in_shares(ranks):
    """The schedule found when `ranks` processes have a share each of batches of 8, and no layer draws or averages."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    network = nn.parallel.DistributedDataParallel(model) if ranks > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = examples(58).tensors
    data = TensorDataset(x.double(), y.double())
    shares = RewindableLoader(DataLoader(data, batch_size=8 // ranks, shuffle=True, drop_last=True))
    tuner = AutoLRS(model, optimizer, shares, **NUMBERS)
    for batch in tuner.batches():
        tuner.step(update(network, optimizer, batch))
    return tuner.schedule()


def train_by(schedule, model, optimizer, batches):
    """An ordinary run with the LRs of a schedule."""
    for lr in schedule.lrs:
        for group in optimizer.param_groups:
            group["lr"] = float(lr)
        update(model, optimizer, next(batches))


def epochs(data):
    """One after the other."""
    while True:
        yield from data


def equal(one, other):
    """Whether two state dicts, or parts of them, agree to the last bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other
