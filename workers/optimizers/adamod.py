"""AdaMod: Adam whose step for each weight stays under its own average so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from autosched.trainer import number, pair, positive
from workers.optimizers.checks import ADAM, Kind
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual


class AdaMod(torch.optim.Optimizer):
    """AdaMod (Ding et al. 2019, arXiv:1910.12249), which no maintained package has.

    With Adam's moments m and v after t updates, elementwise::

        s_t = lr * sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v_t) + eps)
        e_t = beta3 * e_{t-1} + (1 - beta3) * s_t,   e_0 = 0
        w_t = w_{t-1} * (1 - lr * weight_decay) - min(s_t, e_t) * m_t

    As e starts at 0, the method warms up by itself, over about ``1 / (1 - beta3)`` updates.
    """

    def __init__(self, params: Iterable[Tensor], *, betas: tuple[float, float], beta3: float, **others: float) -> None:
        super().__init__(params, {"lr": 0.0, "betas": betas, "beta3": beta3, **others})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Do one update."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2), beta3, lr = self.state[weight], group["betas"], group["beta3"], group["lr"]
        if not state:
            state["step"] = torch.zeros(())
            for name in ("exp_avg", "exp_avg_sq", "exp_avg_lr"):
                state[name] = torch.zeros_like(weight)
        state["step"] += 1
        t = int(state["step"].item())
        state["exp_avg"].lerp_(weight.grad, 1.0 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(weight.grad, weight.grad, value=1.0 - beta2)
        scale = lr * math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
        steps = scale / (state["exp_avg_sq"].sqrt() + group["eps"])
        state["exp_avg_lr"].mul_(beta3).add_(steps, alpha=1.0 - beta3)
        weight.mul_(1.0 - lr * group["weight_decay"])
        weight.addcmul_(torch.minimum(steps, state["exp_avg_lr"]), state["exp_avg"], value=-1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaModOptions:
    """Options of ``adamod``.

    Attributes:
        betas: memories of the two moments.
        beta3: memory of the steps.
        eps: added to the root of the second moment.
        weight_decay: decoupled; default: the trainer's.
    """

    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    beta3: Annotated[float, number(0.0, 1.0)] = 0.999
    eps: Annotated[float, positive()] = 1e-8
    weight_decay: Annotated[float | None, number(0.0)] = None


def adamod(model: nn.Module, usual: Usual, options: AdaModOptions) -> Updates:
    """AdaMod; the schedule's LR is its LR."""
    decay = usual.weight_decay if options.weight_decay is None else options.weight_decay
    optimizer = AdaMod(
        model.parameters(), betas=options.betas, beta3=options.beta3, eps=options.eps, weight_decay=decay
    )
    return Updates(optimizer, {**ADAM, "exp_avg_lr": Kind.LIKE_WEIGHT})


ADAMOD = Method(make=adamod, options=AdaModOptions)
