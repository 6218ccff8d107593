"""Prodigy and D-Adaptation: Adam whose step is an estimate of the distance to the solution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import nn

from autosched.trainer import flag, number, pair, positive
from workers.optimizers.checks import Kind, check_numbers
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual


class DistanceUpdates(Updates):
    """An optimizer of one group that keeps its estimate d, and what it is made from, in the group.

    The schedule's LR multiplies the step d; both papers leave it at 1 or let a schedule fall from 1.

    Args:
        numbers: names of what the group keeps, besides the count ``k``.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, moments: Mapping[str, Kind], numbers: tuple[str, ...]) -> None:
        super().__init__(optimizer, moments)
        self._numbers = numbers

    def memory(self) -> dict[str, Any]:
        """The count of updates, d and its parts."""
        (group,) = self.optimizer.param_groups
        return {name: group[name] for name in ("k", *self._numbers)}

    def check_memory(self, memory: Any) -> None:
        """Whether these are the count and the numbers."""
        check_numbers(memory, counts=("k",), numbers=self._numbers)

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Put them back into the group."""
        self.optimizer.param_groups[0].update(memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProdigyOptions:
    """Options of ``prodigy``, named as in the package ``prodigyopt``.

    Attributes:
        betas: memories of the two moments.
        beta3: memory of what the distance is estimated from; default: the root of the second beta.
        d0: first estimate of the distance.
        d_coef: factor of the estimate; the preferred way to tune the method.
        growth_rate: largest factor from one estimate to the next; default: no limit.
        safeguard_warmup: leave the LR out of the estimate's denominator, for schedules with a warmup.
        use_bias_correction: Adam's.
        weight_decay: decoupled; default: the trainer's.
    """

    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    beta3: Annotated[float | None, number(0.0, 1.0)] = None
    d0: Annotated[float, positive()] = 1e-6
    d_coef: Annotated[float, positive()] = 1.0
    growth_rate: Annotated[float | None, number(1.0)] = None
    safeguard_warmup: Annotated[bool, flag()] = False
    use_bias_correction: Annotated[bool, flag()] = False
    weight_decay: Annotated[float | None, number(0.0)] = None


def prodigy(model: nn.Module, usual: Usual, options: ProdigyOptions) -> DistanceUpdates:
    """Prodigy (Mishchenko & Defazio 2023, arXiv:2306.06101) by ``prodigyopt``."""
    from prodigyopt import Prodigy

    optimizer = Prodigy(
        model.parameters(),
        lr=1.0,
        betas=options.betas,
        beta3=options.beta3,
        use_bias_correction=options.use_bias_correction,
        safeguard_warmup=options.safeguard_warmup,
        d0=options.d0,
        d_coef=options.d_coef,
        growth_rate=options.growth_rate or math.inf,
    )
    _decay(optimizer, usual, options.weight_decay)
    moments = {
        "step": Kind.NUMBER,
        "s": Kind.FLAT,
        "p0": Kind.FLAT,
        **({"exp_avg": Kind.LIKE_WEIGHT} if options.betas[0] else {}),
        "exp_avg_sq": Kind.LIKE_WEIGHT,
    }
    return DistanceUpdates(optimizer, moments, ("d", "d_max", "d_numerator"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DAdaptationOptions:
    """Options of ``dadaptation``, named as in the package; see :class:`ProdigyOptions`."""

    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    d0: Annotated[float, positive()] = 1e-6
    growth_rate: Annotated[float | None, number(1.0)] = None
    use_bias_correction: Annotated[bool, flag()] = False
    weight_decay: Annotated[float | None, number(0.0)] = None


def dadaptation(model: nn.Module, usual: Usual, options: DAdaptationOptions) -> DistanceUpdates:
    """D-Adaptation's Adam (Defazio & Mishchenko 2023, arXiv:2301.07733) by ``dadaptation``."""
    from dadaptation import DAdaptAdam

    optimizer = DAdaptAdam(
        model.parameters(),
        lr=1.0,
        betas=options.betas,
        use_bias_correction=options.use_bias_correction,
        d0=options.d0,
        growth_rate=options.growth_rate or math.inf,
    )
    _decay(optimizer, usual, options.weight_decay)
    moments = {
        "step": Kind.NUMBER,
        "s": Kind.LIKE_WEIGHT,
        "exp_avg": Kind.LIKE_WEIGHT,
        "exp_avg_sq": Kind.LIKE_WEIGHT,
    }
    return DistanceUpdates(optimizer, moments, ("d", "numerator_weighted"))


def _decay(optimizer: torch.optim.Optimizer, usual: Usual, own: float | None) -> None:
    """Set the decoupled weight decay. Both constructors would print a line about it on stdout."""
    (group,) = optimizer.param_groups
    group["decouple"], group["weight_decay"] = True, usual.weight_decay if own is None else own


PRODIGY = Method(make=prodigy, options=ProdigyOptions, package="prodigyopt")
DADAPTATION = Method(make=dadaptation, options=DAdaptationOptions, package="dadaptation")
