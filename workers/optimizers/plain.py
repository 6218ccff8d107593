"""AdamW, SGD and RAdam, from torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autosched.trainer import number, pair
from workers.optimizers.checks import ADAM, Kind
from workers.optimizers.method import Method, NoOptions
from workers.optimizers.updates import Updates, Usual, by_groups


def adamw(model: nn.Module, usual: Usual, options: NoOptions) -> Updates:
    """AdamW; the schedule's LR is its LR."""
    return Updates(by_groups(adamw_of([list(model.parameters())], usual), model, usual), ADAM)


def adamw_of(groups: Sequence[Sequence[Tensor]], usual: Usual) -> torch.optim.AdamW:
    """AdamW of groups of weights; on a GPU in one kernel for all, which rounds in another way than the usual loop."""
    on_gpu = all(weight.is_cuda for weights in groups for weight in weights)
    return torch.optim.AdamW(
        [{"params": weights} for weights in groups],
        lr=0.0,
        betas=usual.betas,
        weight_decay=usual.weight_decay,
        fused=on_gpu or None,
    )


def sgd(model: nn.Module, usual: Usual, options: NoOptions) -> Updates:
    """SGD with momentum, the weight decay added to the gradient; the schedule's LR is its LR."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=usual.momentum, weight_decay=usual.weight_decay)
    moments = {"momentum_buffer": Kind.LIKE_WEIGHT} if usual.momentum else {}
    return Updates(by_groups(optimizer, model, usual), moments)


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
    return Updates(by_groups(optimizer, model, usual), ADAM)


ADAMW = Method(make=adamw, takes_groups=True)
SGD = Method(make=sgd, takes_groups=True)
RADAM = Method(make=radam, options=RAdamOptions, takes_groups=True)
