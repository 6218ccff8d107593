"""What all recipes share: stretches between two updates with their formulas in t, and the usual kinds of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autosched.schedules.elementary import sin
from autosched.schedules.family import Family
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of
from autosched.schedules.pieces import Curve, Piece
from autosched.schedules.progress import Real

Span = tuple[float, Curve | float]
"""Where a stretch ends (the first update after it, rounded up), and its LR as a function of the update t."""
TO_THE_END = math.inf


def spans(steps: int, *stretches: Span) -> list[Piece]:
    """The stretches in a row, from update 0 on; one that ends before the one before it has no updates.

    Example:
        >>> [piece.updates for piece in spans(10, (3, 0.1), (2, 0.2), (TO_THE_END, 0.3))]
        [3, 0, 7]
    """
    pieces, first = [], 0
    for end, curve in stretches:
        until = steps if end >= steps else min(max(math.ceil(end), first), steps)
        pieces.append(Piece(until - first, _from(curve, first)))
        first = until
    return pieces


def _from(curve: Curve | float, first: int) -> Curve | float:
    return (lambda j: curve(j + first)) if callable(curve) else curve


def half_cosine(done: Real) -> Real:
    """``(1 + cos(pi * done)) / 2``, as ``sin(pi / 2 * (1 - done))**2``, which keeps its digits near the end."""
    return np.square(sin(np.pi / 2 * (1 - done)))


def between(high: float, low: float, height: Curve) -> Curve:
    """``low + (high - low) * height(t)``."""
    return lambda t: low + (high - low) * height(t)


def share(begin: float, end: float) -> Curve:
    """``(t - begin) / (end - begin)``."""
    return lambda t: (t - begin) / (end - begin)


def of_share(begin: float, end: float, shape: Curve) -> Curve:
    """A shape of the share of the way from one update to another."""
    return lambda t: shape((t - begin) / (end - begin))


def line(done: Real) -> Real:
    """``1 - done``."""
    return 1 - done


def count(name: str, meaning: str, default: int = 0, *, low: int = 0) -> Parameter:
    """A number of updates."""
    return Parameter(name=name, kind="integer", meaning=meaning, unit="updates", low=low, default=default)


def ratio(name: str, meaning: str, default: float, *, unit: str = "share of the peak LR") -> Parameter:
    """A share from 0 to 1."""
    return Parameter(name=name, kind="float", meaning=meaning, unit=unit, low=0, high=1, default=default)


def lr(name: str, meaning: str, default: float = 0.0) -> Parameter:
    """An absolute LR, which does not move with the peak."""
    return Parameter(name=name, kind="float", meaning=meaning, unit="LR", low=0, default=default)


def option(name: str, meaning: str, *choices: str) -> Parameter:
    """A choice, the first one by default; searched only when a space says so."""
    return Parameter(
        name=name, kind="choice", meaning=meaning, choices=choices, default=choices[0], search_choices=(choices[0],)
    )


def peak(theirs: str) -> Parameter:
    """``peak_lr`` under the name the code has for it."""
    return replace(PEAK_LR, meaning=f"LR reached at the end of the warmup, there `{theirs}`")


def not_above_the_peak(*names: str) -> Callable[[Params, int], str | None]:
    """A fault where one of these absolute LRs is above the peak."""

    def fault(params: Params, steps: int) -> str | None:
        for name in names:
            if name in params and float_of(params, name) > float_of(params, "peak_lr"):
                top = float_of(params, "peak_lr")
                return f"{name} must be <= peak_lr ({top:g}), but got {float_of(params, name):g}."
        return None

    return fault


def _sound(params: Params, steps: int) -> None:
    """Nothing wrong."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The schedule of a training code.

    Attributes:
        parameters: with the code's own names.
        pieces: LR of every update, for complete parameters and the run's updates.
        fault: what is wrong with the parameters together, as in :class:`~autosched.schedules.family.Family`.
    """

    parameters: Sequence[Parameter]
    pieces: Callable[[Params, int], list[Piece]]
    fault: Callable[[Params, int], str | None] = _sound

    def family(self, name: str, *, summary: str, code: str, formula: str) -> Family:
        """The recipe as a family.

        Args:
            name: its name in spaces and records.
            summary: one line for a person.
            code: repository and file, or the report, that says the formula.
            formula: the formula in one line.
        """
        return Family(
            name=name,
            summary=summary,
            source=code,
            parameters={parameter.name: parameter for parameter in self.parameters},
            pieces=self.pieces,
            stable_steps=lambda params, steps: 0,
            stable_parameters=frozenset(),
            fault=self.fault,
            non_increasing=False,
            formula=formula,
            recipe=True,
        )
