"""What fitting needs to know about a kind of law: its parameters, beliefs about them, and its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from autosched.curves.curve import Curve
from autosched.laws.protocol import LossLaw
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray, Schedule

Prepared = TypeVar("Prepared")
Asked = Sequence[tuple[Schedule, FloatArray]]
"""Steps (updates done, each shape (q_i,)) asked of schedules; losses come back in one vector, in this order."""


class LawForm(Protocol[Prepared]):
    """One kind of law, bound to the units of the curves it is fitted to.

    A law's parameters are moved as their natural logs `x`, shape (p,), so they stay positive.
    """

    @property
    def name(self) -> str:
        """The law's name."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of `x`."""

    @property
    def linear(self) -> tuple[int, ...]:
        """Parameters the loss is linear in, together the whole loss; a start solves for them."""

    def prepare(self, asked: Asked) -> Prepared:
        """All that the losses depend on besides the parameters; done once per fit."""

    def losses(self, prepared: Prepared, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and their derivatives by `x`, (n, p)."""

    def means(self, prepared: Prepared, x: FloatArray) -> FloatArray:
        """Losses alone, (n,): what predicting asks for, without paying for derivatives."""

    def belief(self, curves: Sequence[Curve]) -> Prior:
        """What is believed about `x` before the fit, scaled to the curves."""

    def starts(self, belief: Prior) -> Sequence[FloatArray]:
        """Points to descend from, each shape (p,); their linear parameters need not be good."""

    def law(self, x: FloatArray) -> LossLaw:
        """The law behind `x`."""
