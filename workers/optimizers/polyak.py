"""Polyak's step size with momentum: the step follows from the loss itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from autosched.trainer import number, one_of, positive
from workers.optimizers.checks import Kind
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual


class PolyakMomentum(torch.optim.Optimizer):
    """Polyak's step for SGD with momentum (Wang et al. 2023, arXiv:2305.12939), which no maintained package has.

    With the batch's loss f, its lower bound f*, its gradient g and momentum beta::

        average:     d_k = beta * d_{k-1} + g_k,  eta = (f - f*) / (c * |d_k|^2),  w -= eta * d_k
        heavy_ball:  m_k = w_k - w_{k-1},  eta = (f - f* + beta * <g_k, m_k>) / (c * |g_k|^2),
                     w += beta * m_k - eta * g_k

    eta is at most the LR and at least 0; the decay factor ``1 - eta * weight_decay`` goes before the step.
    """

    def __init__(self, params: Iterable[Tensor], *, form: str, **numbers: float) -> None:
        super().__init__(params, {"lr": 0.0, **numbers})
        self.form = form
        self.loss = 0.0
        """Of the batch the gradients are of."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Do one update."""
        (group,) = self.param_groups
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if self.form == "average":
            self._step_average(weights, group)
        else:
            self._step_heavy_ball(weights, group)

    def _step_average(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            state = self.state[weight]
            state["average"] = state.get("average", torch.zeros_like(weight)).mul_(group["momentum"]).add_(weight.grad)
        averages = [self.state[weight]["average"] for weight in weights]
        eta = _polyak(self.loss - group["bound"], averages, group)
        for weight, average in zip(weights, averages, strict=True):
            weight.mul_(1.0 - eta * group["weight_decay"]).add_(average, alpha=-eta)

    def _step_heavy_ball(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        moves = [weight - self.state[weight].get("previous", weight) for weight in weights]
        along = sum(
            torch.vdot(weight.grad.flatten(), move.flatten()) for weight, move in zip(weights, moves, strict=True)
        )
        gap = self.loss - group["bound"] + group["momentum"] * float(along)
        eta = _polyak(gap, [weight.grad for weight in weights], group)
        for weight, move in zip(weights, moves, strict=True):
            self.state[weight]["previous"] = weight.clone()
            weight.mul_(1.0 - eta * group["weight_decay"])
            weight.add_(move, alpha=group["momentum"]).add_(weight.grad, alpha=-eta)


def _polyak(gap: float, directions: list[Tensor], group: dict[str, Any]) -> float:
    """The step in [0, LR] for a loss of `gap` above its bound; at a flat point, where no step follows, the LR."""
    length = group["c"] * float(torch.stack([direction.square().sum() for direction in directions]).sum())
    return max(0.0, min(group["lr"], gap / length)) if length > 0.0 else group["lr"]


class PolyakUpdates(Updates):
    """Hands the loss on. Clipping would shorten the gradient that the step is made from, so there is none."""

    clips = False

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Do one update with steps of at most `lr`."""
        self.optimizer.loss = float(loss)
        super().update(lr, loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolyakOptions:
    """Options of ``polyak``.

    Attributes:
        form: ``average`` (the paper's ALR-SMAG) or ``heavy_ball`` (ALR-HB).
        momentum: beta.
        bound: f*, the lowest loss a batch can have, nats.
        c: divides the step.
        weight_decay: decoupled, times the step taken; the trainer's is for methods of Adam's kind.
    """

    form: Annotated[str, one_of("average", "heavy_ball")] = "average"
    momentum: Annotated[float, number(0.0, 1.0)] = 0.9
    bound: Annotated[float, number(0.0)] = 0.0
    c: Annotated[float, positive()] = 1.0
    weight_decay: Annotated[float, number(0.0)] = 0.0


def polyak(model: nn.Module, usual: Usual, options: PolyakOptions) -> PolyakUpdates:
    """Polyak's step with momentum; the schedule's LR is the largest step."""
    optimizer = PolyakMomentum(
        model.parameters(),
        form=options.form,
        momentum=options.momentum,
        bound=options.bound,
        c=options.c,
        weight_decay=options.weight_decay,
    )
    return PolyakUpdates(optimizer, {"average" if options.form == "average" else "previous": Kind.LIKE_WEIGHT})


POLYAK = Method(make=polyak, options=PolyakOptions)
