"""The rules by name, and which of them is taken for an axis when none is named."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autosched.errors import UsageError
from autosched.transfer.convex_rules import CONVEX_BOUND, CONVEX_SHAPE
from autosched.transfer.extension import WSD_EXTENSION
from autosched.transfer.power_rules import BATCH_LINEAR, BATCH_SQRT, MUP_WIDTH, POWER_SCHEDULER, TOKEN_HORIZON
from autosched.transfer.rule import Axis, TransferRule


def get_rule(name: str) -> TransferRule:
    """The rule of this name.

    Raises:
        UsageError: there is none; the text lists those there are.

    Example:
        >>> get_rule("token-horizon").formula
        'peak LR ~ tokens**-0.32'
    """
    if name not in RULES:
        raise UsageError(f"rule must be one of {', '.join(RULES)}, but got {name!r}.")
    return RULES[name]


RULES: Mapping[str, TransferRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            TOKEN_HORIZON,
            CONVEX_BOUND,
            CONVEX_SHAPE,
            BATCH_SQRT,
            BATCH_LINEAR,
            POWER_SCHEDULER,
            MUP_WIDTH,
            WSD_EXTENSION,
        )
    }
)
DEFAULTS: Mapping[Axis, TransferRule] = MappingProxyType(
    {"horizon": TOKEN_HORIZON, "shape": CONVEX_SHAPE, "batch": BATCH_SQRT, "width": MUP_WIDTH}
)
"""Of the rules for an axis, the one that real runs of language models under Adam bear out best
(docs/records/transfer.md)."""
