"""Hypergradient descent: the LR follows the product of this update's gradient with the last update's direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from autosched.errors import UsageError
from autosched.trainer import number, one_of, pair
from workers.optimizers.checks import ADAM, Kind, check_numbers
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual


class Directed(torch.optim.Optimizer):
    """Adam or SGD with momentum, with the last direction still known when the next gradient comes.

    Directions d, to be subtracted: ``adam``: ``m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)``; ``sgd``: the sum
    ``d = momentum * d + g``. Each update is ``w = w * (1 - lr * weight_decay) - lr * d``.
    """

    def __init__(self, params: Iterable[Tensor], *, base: str, betas: tuple[float, float], **numbers: float) -> None:
        super().__init__(params, {"lr": 0.0, "betas": betas, "eps": 1e-8, **numbers})
        self.base = base

    @torch.no_grad()
    def slope(self) -> tuple[float, float]:
        """The product <g_t, d_{t-1}> of the new gradient and the last direction, and its cosine; 0 before there are."""
        (group,) = self.param_groups
        moved = [weight for weight in group["params"] if weight.grad is not None and weight in self.state]
        if not moved:
            return 0.0, 0.0
        pairs = [(weight.grad.flatten(), self._direction(weight, group).flatten()) for weight in moved]
        sums = torch.stack([torch.stack([g.dot(d), g.dot(g), d.dot(d)]) for g, d in pairs]).sum(dim=0).tolist()
        product, lengths = sums[0], math.sqrt(sums[1]) * math.sqrt(sums[2])
        return product, product / lengths if lengths > 0.0 else 0.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Do one update."""
        (group,) = self.param_groups
        for weight in group["params"]:
            if weight.grad is None:
                continue
            self._gather(weight, group)
            weight.mul_(1.0 - group["lr"] * group["weight_decay"])
            weight.add_(self._direction(weight, group), alpha=-group["lr"])

    def _gather(self, weight: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[weight], weight.grad
        if self.base == "sgd":
            state["momentum_buffer"] = state.get("momentum_buffer", torch.zeros_like(weight))
            state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
            return
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        beta1, beta2 = group["betas"]
        state["step"] += 1
        state["exp_avg"].lerp_(gradient, 1.0 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)

    def _direction(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[weight]
        if self.base == "sgd":
            return state["momentum_buffer"]
        (beta1, beta2), t = group["betas"], int(state["step"].item())
        root = (state["exp_avg_sq"] / (1.0 - beta2**t)).sqrt_().add_(group["eps"])
        return state["exp_avg"] / (1.0 - beta1**t) / root


class HypergradientUpdates(Updates):
    """The LR is the schedule's times a factor, 1 at first, that the slope of the loss along the last update moves.

    With s = <g_t, d_{t-1}>, its cosine c, and the schedule's LR eta_t, before each update::

        additive:        factor += rate * s / eta_t      (under a constant eta: alpha_t = alpha_{t-1} + rate * s)
        multiplicative:  factor *= 1 + rate * c
        bounded:         factor = 1 + clip(factor - 1 + rate * c, low, high)

    The first two are Baydin et al.'s, and end at 0; the third is FedHyper's, with its bounds.
    """

    def __init__(
        self,
        optimizer: Directed,
        moments: Mapping[str, Kind],
        *,
        rule: str,
        rate: float,
        bounds: tuple[float, float] = (-1.0, math.inf),
    ) -> None:
        super().__init__(optimizer, moments)
        self._rule, self._rate, self._bounds = rule, rate, bounds
        self.factor = 1.0

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Move the factor, then do one update."""
        product, cosine = self.optimizer.slope()
        low, high = self._bounds
        if self._rule == "additive":
            change = self._rate * product / lr if lr > 0.0 else 0.0
        else:
            change = self._rate * cosine * (self.factor if self._rule == "multiplicative" else 1.0)
        self.factor = 1.0 + min(high, max(low, self.factor - 1.0 + change))
        super().update(lr * self.factor, loss)

    def memory(self) -> dict[str, Any]:
        """The factor."""
        return {"factor": self.factor}

    def check_memory(self, memory: Any) -> None:
        """Whether this is a factor."""
        check_numbers(memory, counts=(), numbers=("factor",))

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take the factor."""
        self.factor = memory["factor"]


RATES: Mapping[str, Mapping[str, float]] = {
    "additive": {"adam": 1e-7, "sgd": 1e-3},
    "multiplicative": {"adam": 0.02, "sgd": 0.02},
}
"""Rates where none is given: the additive one for Adam is the paper's; those for SGD and for the relative
rule are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HypergradientOptions:
    """Options of ``hypergradient``.

    Attributes:
        base: ``adam`` (the paper's Adam-HD) or ``sgd`` (SGD-HD; SGDN-HD with momentum).
        rule: ``additive`` or ``multiplicative``.
        rate: the paper's beta, the LR's own LR; default: see :data:`RATES`.
        betas, momentum: of the base; default momentum: the trainer's.
        weight_decay: decoupled; default: the trainer's for ``adam``, 0 for ``sgd``.
    """

    base: Annotated[str, one_of("adam", "sgd")] = "adam"
    rule: Annotated[str, one_of("additive", "multiplicative")] = "additive"
    rate: Annotated[float | None, number(0.0)] = None
    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    momentum: Annotated[float | None, number(0.0, 1.0)] = None
    weight_decay: Annotated[float | None, number(0.0)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FedHyperOptions:
    """Options of ``fedhyper``; those not named here as for ``hypergradient``.

    Attributes:
        rate: of the cosine; 1 as published for the raw product, which depends on the scale of the gradients.
        bounds: lowest and highest value of the factor minus 1; the paper's, a factor of 1/3 to 3.
    """

    base: Annotated[str, one_of("adam", "sgd")] = "adam"
    rate: Annotated[float, number(0.0)] = 1.0
    bounds: Annotated[tuple[float, float], pair(number(-1.0))] = (-2 / 3, 2.0)
    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    momentum: Annotated[float | None, number(0.0, 1.0)] = None
    weight_decay: Annotated[float | None, number(0.0)] = None

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not low <= 0.0 <= high:
            raise UsageError(f"optimizer fedhyper: bounds must have 0 between them, but got [{low:g}, {high:g}].")


def hypergradient(model: nn.Module, usual: Usual, options: HypergradientOptions) -> HypergradientUpdates:
    """Hypergradient descent (Baydin et al. 2018, arXiv:1703.04782); under a constant schedule its LR is the start."""
    rate = RATES[options.rule][options.base] if options.rate is None else options.rate
    return HypergradientUpdates(*_directed(model, usual, options), rule=options.rule, rate=rate)


def fedhyper(model: nn.Module, usual: Usual, options: FedHyperOptions) -> HypergradientUpdates:
    """FedHyper's global LR (Wang et al. 2024, arXiv:2310.03156), updates for rounds, over the schedule's LR."""
    made = _directed(model, usual, options)
    return HypergradientUpdates(*made, rule="bounded", rate=options.rate, bounds=options.bounds)


def _directed(
    model: nn.Module, usual: Usual, options: HypergradientOptions | FedHyperOptions
) -> tuple[Directed, Mapping[str, Kind]]:
    decay = options.weight_decay
    if decay is None:
        decay = usual.weight_decay if options.base == "adam" else 0.0
    optimizer = Directed(
        model.parameters(),
        base=options.base,
        betas=options.betas,
        momentum=usual.momentum if options.momentum is None else options.momentum,
        weight_decay=decay,
    )
    return optimizer, ADAM if options.base == "adam" else {"momentum_buffer": Kind.LIKE_WEIGHT}


HYPERGRADIENT = Method(make=hypergradient, options=HypergradientOptions)
FEDHYPER = Method(make=fedhyper, options=FedHyperOptions)
