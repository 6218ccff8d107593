"""What a transfer rule is, and what it says.

A rule knows by which factor the best peak LR changes when something else does, how sure that is, and where it is known
to hold. A worked trace::

    TOKEN_HORIZON.apply(Change(old=5,000 updates, new=50,000 updates))
        -> Transfer(factor=0.479, log_sd=0.35, warnings=())
    MUP_WIDTH.apply(the same)
        -> NoTransfer(reason="mup-width needs the width of both runs")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from autosched.errors import UsageError
from autosched.transfer.change import Change

Axis = Literal["horizon", "shape", "batch", "width"]
Z90 = 1.6448536269514722  # half width of a normal's central 90%, in standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """By what the best peak LR changes.

    Attributes:
        rules: names of the rules that said so.
        factor: new best peak LR over the old one, > 0.
        log_sd: standard deviation of the factor's natural log, >= 0.
        warnings: how this change leaves what the rules are known to hold for, one sentence each.
        weights: which of the model's the factor is for, where it is not for all.
        others: the factor for all other weights.

    Example:
        >>> low, high = Transfer(rules=("a",), factor=0.5, log_sd=0.1).interval(0.01)
        >>> round(low, 5), round(high, 5)
        (0.00424, 0.00589)
    """

    rules: tuple[str, ...]
    factor: float
    log_sd: float
    warnings: tuple[str, ...] = ()
    weights: str = ""
    others: float | None = None

    def __post_init__(self) -> None:
        if (self.others is None) == bool(self.weights):
            raise ValueError("a factor for some weights needs one for the others, and only then.")
        if not (0 < self.factor < math.inf and 0 <= self.log_sd < math.inf):
            raise ValueError(f"need 0 < factor and 0 <= log_sd, both finite, but got {self.factor}, {self.log_sd}.")

    def interval(self, peak_lr: float) -> tuple[float, float]:
        """Central 90% of the new best peak LR, when the old one is exactly `peak_lr`."""
        middle, half = peak_lr * self.factor, math.exp(Z90 * self.log_sd)
        return middle / half, middle * half


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTransfer:
    """Why a rule has nothing to say of a change."""

    rule: str
    reason: str


class TransferRule(Protocol):
    """How the best peak LR depends on something; implementations are frozen."""

    @property
    def name(self) -> str:
        """The name on the command line and in records."""

    @property
    def axes(self) -> frozenset[Axis]:
        """What it covers: two rules that share an axis are alternatives."""

    @property
    def formula(self) -> str:
        """The rule in one line."""

    @property
    def validity(self) -> str:
        """What it is known to hold for, in one line."""

    @property
    def source(self) -> str:
        """Where it comes from."""

    def apply(self, change: Change) -> Transfer | NoTransfer:
        """What it says of a change."""


def transferred(change: Change, rules: Sequence[TransferRule]) -> Transfer | NoTransfer:
    """What several rules say of a change together: factors multiply, variances of their logs add.

    Where one holds for some of the weights alone, so does the whole, and the factor for the others is without it.

    Raises:
        UsageError: two of the rules cover the same axis.
    """
    parts: list[Transfer] = []
    for position, rule in enumerate(rules):
        for other in rules[:position]:
            if rule.axes & other.axes:
                shared = ", ".join(sorted(rule.axes & other.axes))
                raise UsageError(f"the rules {other.name} and {rule.name} both cover the {shared}: take one of them.")
        said = rule.apply(change)
        if isinstance(said, NoTransfer):
            return said
        parts.append(said)
    weights = next((part.weights for part in parts if part.weights), "")
    others = math.prod(part.factor if part.others is None else part.others for part in parts)
    return Transfer(
        weights=weights,
        others=others if weights else None,
        rules=tuple(name for part in parts for name in part.rules),
        factor=math.prod(part.factor for part in parts),
        log_sd=math.hypot(*(part.log_sd for part in parts)),
        warnings=tuple(warning for part in parts for warning in part.warnings),
    )
