"""TempBalance: layers whose spectra have lighter tails, which count as trained less, get a higher LR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from autosched.trainer import pair, positive, whole
from workers.optimizers.checks import ADAM, check_floats, check_names, check_numbers
from workers.optimizers.method import Method
from workers.optimizers.plain import adamw_of
from workers.optimizers.updates import Updates, Usual

FEWEST = 8
"""Eigenvalues a layer must have where a model has fewer than two inner layers with `min_eigenvalues`."""


def spectrum(weight: Tensor) -> Tensor:
    """Eigenvalues of W^T W, ascending, of a matrix or of all positions of a convolution's kernel.

    Args:
        weight: (outputs, inputs), or (outputs, inputs, height, width), whose matrices are halved as published.
    """
    matrix = weight.detach().float()
    if matrix.dim() > 2:
        matrix = matrix.flatten(start_dim=2).permute(2, 0, 1) * 0.5**0.5
    return torch.linalg.svdvals(matrix).square().flatten().sort().values


def hill_alpha(eigenvalues: Tensor) -> float:
    """Exponent of the density ``lambda^-alpha`` that the upper half of the eigenvalues follows, by Hill's estimator.

    With n of N eigenvalues from the middle one x on: ``alpha = 1 + n / (sum ln(lambda_i) - n * ln(x))``; infinite where
    they are all the same. A smaller exponent is a heavier tail.

    Args:
        eigenvalues: ascending, positive.
    """
    tail = eigenvalues[len(eigenvalues) // 2 :].double().log()
    spread = float((tail - tail[0]).sum())
    return 1.0 + len(tail) / spread if spread > 0.0 else float("inf")


def lr_ratios(alphas: Sequence[float], ratios: tuple[float, float]) -> list[float]:
    """LR of each layer over the schedule's: linear in alpha from the first of `ratios` to the second.

    All 1 where an exponent is no number, or all are equal.
    """
    low, high = min(alphas), max(alphas)
    if not torch.tensor([*alphas]).isfinite().all() or low == high:
        return [1.0] * len(alphas)
    return [ratios[0] + (ratios[1] - ratios[0]) * (alpha - low) / (high - low) for alpha in alphas]


@dataclass(frozen=True, slots=True, kw_only=True)
class TempBalanceOptions:
    """Options of ``tempbalance``.

    Attributes:
        every: updates between two looks at the spectra; published: an epoch.
        ratios: LR of the layer with the heaviest tail, and of that with the lightest, over the schedule's.
        min_eigenvalues: layers with fewer keep the schedule's LR, and so do the first and the last. A model of which
            fewer than two layers are left takes all those with 8 eigenvalues or more instead.
    """

    every: Annotated[int, whole(1)] = 50
    ratios: Annotated[tuple[float, float], pair(positive())] = (0.5, 1.5)
    min_eigenvalues: Annotated[int, whole(2)] = 50


def balanced_layers(model: nn.Module, min_eigenvalues: int) -> list[nn.Module]:
    """The layers that get LRs of their own; see :class:`TempBalanceOptions`."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    inner = [layer for layer in layers[1:-1] if _count(layer) >= min_eigenvalues]
    return inner if len(inner) > 1 else [layer for layer in layers if _count(layer) >= FEWEST]


def _count(layer: nn.Module) -> int:
    outputs, inputs, *kernel = layer.weight.shape
    return min(outputs, inputs) * int(torch.tensor(kernel).prod())


class TempBalanceUpdates(Updates):
    """AdamW with a group for each balanced layer, and one for the rest.

    Args:
        layers: the balanced ones, in the order of the groups.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, layers: list[nn.Module], options: TempBalanceOptions) -> None:
        super().__init__(optimizer, ADAM)
        self._layers, self._options = layers, options
        self._count = 0
        self.ratios = [1.0] * len(layers)

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Look at the spectra where it is time to, then do one update."""
        if self._count % self._options.every == 0 and self._layers:
            self.ratios = lr_ratios(
                [hill_alpha(spectrum(layer.weight)) for layer in self._layers], self._options.ratios
            )
        self._count += 1
        groups = self.optimizer.param_groups
        for group, ratio in zip(groups, [*self.ratios, *[1.0] * (len(groups) - len(self.ratios))], strict=True):
            group["lr"] = lr * ratio
        self.optimizer.step()

    def memory(self) -> dict[str, Any]:
        """The count of updates and the LRs' ratios."""
        return {"count": self._count, "ratios": list(self.ratios)}

    def check_memory(self, memory: Any) -> None:
        """Whether these are a count and as many ratios as layers."""
        check_names(memory, ("count", "ratios"))
        check_numbers({"count": memory["count"]}, counts=("count",), numbers=())
        check_floats(memory["ratios"], "ratios")
        if len(memory["ratios"]) != len(self._layers):
            raise ValueError(f"ratios must be {len(self._layers)} numbers")

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take them."""
        self._count, self.ratios = memory["count"], list(memory["ratios"])


def tempbalance(model: nn.Module, usual: Usual, options: TempBalanceOptions) -> TempBalanceUpdates:
    """TempBalance (Zhou et al. 2023, arXiv:2312.00359) on AdamW; the schedule's LR is what the ratios are of."""
    layers = balanced_layers(model, options.min_eigenvalues)
    own = [list(layer.parameters()) for layer in layers]
    taken = {id(weight) for weights in own for weight in weights}
    rest = [weight for weight in model.parameters() if id(weight) not in taken]
    groups = [weights for weights in [*own, rest] if weights]
    return TempBalanceUpdates(adamw_of(groups, usual), layers, options)


TEMPBALANCE = Method(make=tempbalance, options=TempBalanceOptions)
