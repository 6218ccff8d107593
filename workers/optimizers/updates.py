"""What turns gradients into updates: a torch optimizer, the schedule's LR, and what else a method has to remember."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from workers.optimizers.checks import Kind, check_moments

LR_RATIO = "lr_ratio"
"""Key of a parameter group: its LR over the schedule's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the trainer's own options say about its optimizer.

    Attributes:
        weight_decay: decoupled from the gradient (times the LR) for the methods of Adam's kind.
        betas: of AdamW; the other methods have their published ones.
        momentum: of SGD and of the methods of its kind.
        lr_ratios: LR over the schedule's, by the part of the model: the first part of a weight's name.
    """

    weight_decay: float
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    lr_ratios: Mapping[str, float] = field(default_factory=dict)


def by_groups(optimizer: torch.optim.Optimizer, model: nn.Module, usual: Usual) -> torch.optim.Optimizer:
    """The optimizer, with its groups of weights divided where they have several ratios; as it was where all are 1."""
    ratios = {id(weight): usual.lr_ratios.get(name.partition(".")[0], 1.0) for name, weight in model.named_parameters()}
    if set(ratios.values()) == {1.0}:
        return optimizer
    divided = []
    for group in optimizer.param_groups:
        for ratio in dict.fromkeys(ratios[id(weight)] for weight in group["params"]):
            weights = [weight for weight in group["params"] if ratios[id(weight)] == ratio]
            divided.append({**group, "params": weights, LR_RATIO: ratio})
    optimizer.param_groups[:] = divided
    return optimizer


class Updates:
    """A torch optimizer driven by a schedule; methods with more than that override some of this.

    Args:
        optimizer: with all weights of the model.
        moments: what the optimizer keeps for each weight, by name.
    """

    clips = True
    """Whether gradients may be clipped first; no where the step is made from the length of the gradient."""

    def __init__(self, optimizer: torch.optim.Optimizer, moments: Mapping[str, Kind]) -> None:
        self.optimizer = optimizer
        self.kinds = moments

    @property
    def evaluates_what_it_trains(self) -> bool:
        """Whether :meth:`evaluating` leaves the weights as they are in this run, from its first update to its last."""
        return True

    @property
    def weights(self) -> list[torch.Tensor]:
        """All weights, in the optimizer's order."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Do one update with the gradients as they are.

        Args:
            lr: the schedule's; what it means is the method's affair.
            loss: of this update's batch, before the update; a method that looks at it makes every update wait for the
                device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get(LR_RATIO, 1.0)
        self.optimizer.step()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model holds the weights to evaluate, and afterwards, to the bit, those to train."""
        yield

    def moments(self) -> dict[int, dict[str, Any]]:
        """What is kept for each weight, by the weight's place."""
        kept: dict[int, dict[str, Any]] = self.optimizer.state_dict()["state"]
        return kept

    def memory(self) -> dict[str, Any]:
        """What else the next update depends on: numbers, tensors, and lists of them."""
        return {}

    def check(self, moments: Any, memory: Any) -> None:
        """Whether `load` can take these.

        Raises:
            Exception: of any kind; a file from a stranger can hold anything in any place.
        """
        check_moments(moments, self.weights, self.kinds)
        self.check_memory(memory)

    def check_memory(self, memory: Any) -> None:
        """Whether `recall` can take this; see :meth:`check`."""
        if memory != {}:
            raise ValueError("its optimizer remembers what this one does not know")

    def load(self, moments: Mapping[int, Mapping[str, Any]], memory: Mapping[str, Any]) -> None:
        """Take what `moments` and `memory` gave, after a `check`."""
        # The groups (betas, decay) are this run's own: a file carries what was learned, not how to go on.
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": dict(moments)})
        self.recall(memory)

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take what `memory` gave."""


@contextmanager
def restored(weights: list[torch.Tensor]) -> Iterator[None]:
    """Whatever happens to the weights meanwhile, they end as they were, to the bit."""
    with torch.no_grad():
        before = [weight.clone() for weight in weights]
        try:
            yield
        finally:
            for weight, old in zip(weights, before, strict=True):
                weight.copy_(old)
