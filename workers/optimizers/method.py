"""What an entry of the registry holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from workers.optimizers.updates import Updates, Usual


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Of a method that has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One optimizer that a trainer can use.

    Attributes:
        make: makes it for a model that is on its device, from the trainer's usual options and the method's own.
        options: the record of its own options, as :mod:`autosched.trainer` reads them.
        takes_groups: whether groups of weights may have other LRs than the schedule's (:attr:`Usual.lr_ratios`).
        package: the module it needs besides torch, of the extra ``baselines``.
    """

    make: Callable[[nn.Module, Usual, Any], Updates]
    options: type[Any] = NoOptions
    takes_groups: bool = False
    package: str | None = None
