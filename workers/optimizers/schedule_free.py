"""Schedule-Free AdamW: a constant LR with an average of the weights that stands for the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from torch import nn

from autosched.errors import UsageError
from autosched.trainer import number, pair
from workers.optimizers.checks import Kind, check_numbers
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual, restored


class ScheduleFreeUpdates(Updates):
    """The weights in the model are y, where gradients are taken; x, an average, is what is evaluated.

    The package moves from y to x and back by two interpolations, which is not exact to the bit, so y is kept aside
    meanwhile, and a checkpoint holds y, not x.
    """

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model holds x."""
        with restored(self.weights):
            self.optimizer.eval()
            try:
                yield
            finally:
                self.optimizer.train()

    def memory(self) -> dict[str, Any]:
        """The count of updates, the weights' sum of the average, and the largest LR so far."""
        (group,) = self.optimizer.param_groups
        return {name: group[name] for name in ("k", "weight_sum", "lr_max")}

    def check_memory(self, memory: Any) -> None:
        """Whether these are the count and the numbers."""
        check_numbers(memory, counts=("k",), numbers=("weight_sum", "lr_max"))

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Put them back into the group."""
        self.optimizer.param_groups[0].update(memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFreeOptions:
    """Options of ``schedulefree``, named as in the package; its warmup is the schedule's.

    Attributes:
        betas: share of the average in the point where gradients are taken, and memory of the second moment.
        r: power of the update's number in its weight in the average.
        weight_lr_power: power of the largest LR so far in that weight.
        weight_decay: at y, times the LR; default: the trainer's.
    """

    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    r: Annotated[float, number(0.0)] = 0.0
    weight_lr_power: Annotated[float, number(0.0)] = 2.0
    weight_decay: Annotated[float | None, number(0.0)] = None

    def __post_init__(self) -> None:
        if self.betas[0] == 0.0:
            raise UsageError("optimizer schedulefree: the first of betas must be above 0, but got 0.")


def schedule_free(model: nn.Module, usual: Usual, options: ScheduleFreeOptions) -> ScheduleFreeUpdates:
    """Schedule-Free AdamW (Defazio et al. 2024, arXiv:2405.15682) by ``schedulefree``."""
    from schedulefree import AdamWScheduleFree

    optimizer = AdamWScheduleFree(
        model.parameters(),
        lr=0.0,
        betas=options.betas,
        weight_decay=usual.weight_decay if options.weight_decay is None else options.weight_decay,
        r=options.r,
        weight_lr_power=options.weight_lr_power,
    )
    optimizer.train()
    return ScheduleFreeUpdates(optimizer, {"z": Kind.LIKE_WEIGHT, "exp_avg_sq": Kind.LIKE_WEIGHT})


SCHEDULE_FREE = Method(make=schedule_free, options=ScheduleFreeOptions, package="schedulefree")
