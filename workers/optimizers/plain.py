"""AdamW, SGD and RAdam, from torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from autosched.trainer import number, pair
from workers.optimizers.checks import ADAM, Kind
from workers.optimizers.method import Method, NoOptions
from workers.optimizers.updates import Updates, Usual


def adamw(model: nn.Module, usual: Usual, options: NoOptions) -> Updates:
    """AdamW; the schedule's LR is its LR."""
    weights = model.parameters()
    return Updates(torch.optim.AdamW(weights, lr=0.0, betas=usual.betas, weight_decay=usual.weight_decay), ADAM)


def sgd(model: nn.Module, usual: Usual, options: NoOptions) -> Updates:
    """SGD with momentum, the weight decay added to the gradient; the schedule's LR is its LR."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=usual.momentum, weight_decay=usual.weight_decay)
    return Updates(optimizer, {"momentum_buffer": Kind.LIKE_WEIGHT} if usual.momentum else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class RAdamOptions:
    """Options of ``radam``.

    Attributes:
        betas: memories of the two moments.
        weight_decay: decoupled; default: the trainer's.
    """

    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    weight_decay: Annotated[float | None, number(0.0)] = None


def radam(model: nn.Module, usual: Usual, options: RAdamOptions) -> Updates:
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265): Adam with the warmup that its second moment asks for."""
    optimizer = torch.optim.RAdam(
        model.parameters(),
        lr=0.0,
        betas=options.betas,
        weight_decay=usual.weight_decay if options.weight_decay is None else options.weight_decay,
        decoupled_weight_decay=True,
    )
    return Updates(optimizer, ADAM)


ADAMW = Method(make=adamw)
SGD = Method(make=sgd)
RADAM = Method(make=radam, options=RAdamOptions)
