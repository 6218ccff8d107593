"""VolSched: the LR rises when the loss has become calmer than it was, and falls when it has become wilder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from torch import Tensor, nn

from autosched.trainer import number, one_of, positive, whole
from workers.optimizers.checks import check_floats, check_numbers
from workers.optimizers.method import Method, NoOptions
from workers.optimizers.plain import ADAMW, SGD
from workers.optimizers.updates import Updates, Usual

LOWEST_LOSS = 1e-8
"""Losses below it count as it, so that they have a logarithm."""


def volatility_factor(losses: Sequence[float], *, window: int, weight: float) -> float:
    """What VolSched multiplies the LR with.

    With r_i = ln(L_i / L_{i-1}), rho = std(all r) / std(last `window` r), deviations with n - 1::

        factor = 1 + sign(rho - 1) * ln(1 + weight * |rho - 1|)

    Args:
        losses: nats, oldest first.

    Returns:
        The factor, which may be 0 or less for a large weight; 1 where a deviation is unknown, 0 or not finite.
    """
    if len(losses) < window + 1:
        return 1.0
    returns = np.diff(np.log(np.maximum(losses, LOWEST_LOSS)))
    long, short = float(np.std(returns, ddof=1)), float(np.std(returns[-window:], ddof=1))
    if not (math.isfinite(long) and math.isfinite(short)) or short == 0.0:
        return 1.0
    excess = long / short - 1.0
    return 1.0 + math.copysign(math.log1p(weight * abs(excess)), excess)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolSchedOptions:
    """Options of ``volsched``. The published code gives no window and no weight.

    Attributes:
        base: what updates the weights: ``adamw`` or ``sgd``.
        period: updates whose mean training loss is one entry of the history; the published period is an epoch.
        window: entries between two changes of the LR, and of the short volatility; the history keeps ten windows.
        weight: of the ratio of the two volatilities.
        floor: least factor of the schedule's LR. The published floor is an LR, 0 by default, from which no factor
            leads back.
    """

    base: Annotated[str, one_of("adamw", "sgd")] = "adamw"
    period: Annotated[int, whole(1)] = 10
    window: Annotated[int, whole(2)] = 5
    weight: Annotated[float, number(0.0)] = 0.1
    floor: Annotated[float, positive()] = 0.01


class VolSchedUpdates(Updates):
    """The schedule's LR times all factors so far; published for a cosine, which the schedule is to bring itself.

    Args:
        base: whose optimizer is driven.
    """

    def __init__(self, base: Updates, options: VolSchedOptions) -> None:
        super().__init__(base.optimizer, base.kinds)
        self._options = options
        self.factor = 1.0
        self._losses: list[float] = []
        self._sum, self._count, self._entries = 0.0, 0, 0

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Do one update, then take in its loss."""
        super().update(lr * self.factor, loss)
        self._sum, self._count = self._sum + float(loss), self._count + 1
        if self._count == self._options.period:
            self._record(self._sum / self._count)
            self._sum, self._count = 0.0, 0

    def _record(self, loss: float) -> None:
        window = self._options.window
        self._losses = [*self._losses, loss][-10 * window :]
        self._entries += 1
        if self._entries % window == 0:
            factor = self.factor * volatility_factor(self._losses, window=window, weight=self._options.weight)
            self.factor = max(self._options.floor, factor)

    def memory(self) -> dict[str, Any]:
        """The factor and the history."""
        numbers = {"factor": self.factor, "sum": self._sum, "count": self._count, "entries": self._entries}
        return {**numbers, "losses": list(self._losses)}

    def check_memory(self, memory: Any) -> None:
        """Whether these are a factor and a history."""
        check_floats(memory["losses"], "losses")
        rest = {name: value for name, value in memory.items() if name != "losses"}
        check_numbers(rest, counts=("count", "entries"), numbers=("factor", "sum"))

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take them."""
        self.factor, self._losses = memory["factor"], list(memory["losses"])
        self._sum, self._count, self._entries = memory["sum"], memory["count"], memory["entries"]


def volsched(model: nn.Module, usual: Usual, options: VolSchedOptions) -> VolSchedUpdates:
    """VolSched (Ren 2025, arXiv:2507.10575) on the schedule's LR."""
    base = ADAMW if options.base == "adamw" else SGD
    return VolSchedUpdates(base.make(model, usual, NoOptions()), options)


VOLSCHED = Method(make=volsched, options=VolSchedOptions)
