"""The LRs of an optimizer's parameter groups, moved together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from autosched.errors import UsageError

if TYPE_CHECKING:
    from torch.optim import Optimizer


class GroupLrs:
    """Sets all groups' LRs and keeps their ratios.

    Attributes:
        ratios: of each group's LR to the first one's, as they are now; of the LRs they had before a scheduler's warmup,
            where one keeps these as ``initial_lr``.

    Raises:
        UsageError: the first group has no LR > 0 to compare the others with.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        given = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        if not (all(math.isfinite(lr) and lr >= 0 for lr in given) and given[0] > 0):
            raise UsageError(
                f"the groups' LRs must be finite, the first one's above 0, as their ratios are kept, but are {given}."
            )
        self.ratios = tuple(lr / given[0] for lr in given)

    def set(self, lr: float) -> None:
        """Give the first group this LR, and the others their share of it.

        Raises:
            UsageError: a group was added since.
        """
        groups: list[dict[str, Any]] = self._optimizer.param_groups
        if len(groups) != len(self.ratios):
            raise UsageError(
                f"the optimizer has {len(groups)} parameter groups, but had {len(self.ratios)} when AutoLRS was made."
            )
        for group, ratio in zip(groups, self.ratios, strict=True):
            if hasattr(group["lr"], "fill_"):  # a tensor, which compiled optimizers hold on to
                group["lr"].fill_(lr * ratio)
            else:
                group["lr"] = lr * ratio
