"""DoG and L-DoG: the step is the distance moved so far over the root of the squared gradients' sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from autosched.trainer import flag, number, positive
from workers.optimizers.checks import check_like, check_names, is_count
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual, restored


class DogUpdates(Updates):
    """Keeps everything in the optimizer's one group, and an average of the weights, which is what is evaluated.

    The average is the polynomial decay average of Shamir & Zhang (2013), of weight ``(gamma + 1) / (gamma + t)`` for
    update t = 1, 2, …, which the authors of DoG call crucial. It is one tensor operation here rather than the package's
    averager, whose product and sum move an average of equal weights by a rounding.

    Args:
        gamma: of the average; None for none.
        layers: whether each tensor of weights has a step of its own.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, gamma: float | None, layers: bool) -> None:
        super().__init__(optimizer, {})
        self._gamma, self._layers = gamma, layers
        self._count = 0
        self._average: list[Tensor] = []

    @property
    def evaluates_what_it_trains(self) -> bool:
        """Not where there is an average."""
        return self._gamma is None

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Do one update, then move the average."""
        super().update(lr, loss)
        self._count += 1
        if self._gamma is None:
            return
        if not self._average:
            self._average = [weight.detach().clone() for weight in self.weights]
        share = (self._gamma + 1.0) / (self._gamma + self._count)
        with torch.no_grad():
            for mean, weight in zip(self._average, self.weights, strict=True):
                mean.lerp_(weight, share)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model holds the average."""
        if not self._average:
            yield
            return
        with restored(self.weights):
            for weight, mean in zip(self.weights, self._average, strict=True):
                weight.copy_(mean)
            yield

    def moments(self) -> dict[int, dict[str, Any]]:
        """Nothing; the package's mark of the first update is no moment, and follows from the count."""
        return {}

    def memory(self) -> dict[str, Any]:
        """The count of updates, where the weights started, how far they came, and the average."""
        if self._count == 0:
            return {"count": 0}
        (group,) = self.optimizer.param_groups
        return {
            "count": self._count,
            "start": list(group["init_buffer"]),
            "distance": group["rbar"],
            "squares": group["G"],
            "average": list(self._average),
        }

    def check_memory(self, memory: Any) -> None:
        """Whether these are of weights like these."""
        if not is_count(memory["count"]):
            raise ValueError(f"count must be a whole number >= 0, but got {memory['count']!r:.40}")
        if memory["count"] == 0:
            check_names(memory, ("count",))
            return
        check_names(memory, ("count", "start", "distance", "squares", "average"))
        check_like(memory["start"], self.weights, "start")
        check_like(memory["average"], self.weights if self._gamma is not None else [], "average")
        one = self.weights[0].new_zeros(len(self.weights) if self._layers else ())
        check_like([memory["distance"], memory["squares"]], [one, one], "distance and squares")

    def load(self, moments: Mapping[int, Mapping[str, Any]], memory: Mapping[str, Any]) -> None:
        """Put everything back into the group; the package's own loading takes its mark for granted."""
        self._count, self._average = memory["count"], []
        self.optimizer._first_step = self._count == 0
        if self._count == 0:
            return
        device = self.weights[0].device
        self._average = [mean.to(device, copy=True) for mean in memory["average"]]
        self.optimizer.param_groups[0].update(
            init_buffer=[start.to(device, copy=True) for start in memory["start"]],
            rbar=memory["distance"].to(device, copy=True),
            G=memory["squares"].to(device, copy=True),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DogOptions:
    """Options of ``dog`` and ``ldog``.

    Attributes:
        reps_rel: first distance, over 1 + the norm of the weights; the authors use 1e-4 with batch norms.
        averaging: evaluate an average of the weights.
        gamma: of the average; the larger, the shorter its memory.
        weight_decay: added to the gradient; the trainer's is for methods of Adam's kind.
    """

    reps_rel: Annotated[float, positive()] = 1e-6
    averaging: Annotated[bool, flag()] = True
    gamma: Annotated[float, number(0.0)] = 8.0
    weight_decay: Annotated[float, number(0.0)] = 0.0


def dog(model: nn.Module, usual: Usual, options: DogOptions) -> DogUpdates:
    """DoG (Ivgi, Hinder & Carmon 2023, arXiv:2302.12022) by ``dog-optimizer``; the schedule's LR is its factor c."""
    from dog import DoG

    optimizer = DoG(model.parameters(), reps_rel=options.reps_rel, weight_decay=options.weight_decay)
    return DogUpdates(optimizer, gamma=options.gamma if options.averaging else None, layers=False)


def layered_dog(model: nn.Module, usual: Usual, options: DogOptions) -> DogUpdates:
    """L-DoG: DoG for each tensor of weights by itself; see :func:`dog`."""
    from dog import LDoG

    optimizer = LDoG(model.parameters(), reps_rel=options.reps_rel, weight_decay=options.weight_decay)
    return DogUpdates(optimizer, gamma=options.gamma if options.averaging else None, layers=True)


DOG = Method(make=dog, options=DogOptions, package="dog")
LDOG = Method(make=layered_dog, options=DogOptions, package="dog")
