"""Every family is up to three parts in a row: a warmup, a body and a cooldown. Any of them goes with any other.

::

    update   0 ............ W ........................ C ............... steps
    part       warmup           body                     cooldown
    LR         body[W] * rise   body's own LR            body[C] * fall

name      meaning                                                        shape          unit
W         updates of the warmup, W < steps                               -              updates
C         first update of the cooldown, max(W, steps - cooldown)         -              updates
body      LR by the body alone, for the updates from W on                (steps - W,)   LR
rise      LR over the LR at W, rising to 1                               (W,)           -
fall      LR over the LR at C, falling from 1                            (steps - C,)   -

The joins are continuous: the last update of the warmup and the first one after it have the same LR when the warmup ends
at 1, and the first update of the cooldown has the LR the body has there. A cooldown longer than what the warmup leaves
starts right after the warmup and takes all the other updates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autosched.schedules.family import Family
from autosched.schedules.floors import MIN_LR, decay_end, floor_fault, floored, in_stairs, lifted
from autosched.schedules.parameter import Parameter, Params, int_of
from autosched.schedules.pieces import Curve, Piece, cut, lr_at


def _sound(params: Params, steps: int) -> None:
    """Nothing wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """The first updates, rising.

    Attributes:
        parameters: its parameters.
        steps: ``steps(params)`` -> its number of updates.
        rise: ``rise(params, updates)`` -> the curve of LR over the LR of the first update after it.
        fault: what is wrong with its parameters together, as in :class:`~autosched.schedules.family.Family`.
    """

    parameters: tuple[Parameter, ...]
    steps: Callable[[Params], int]
    rise: Callable[[Params, int], Curve]
    fault: Callable[[Params, int], str | None] = _sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What follows the warmup.

    Attributes:
        parameters: its parameters.
        pieces: ``pieces(params, start, steps)`` -> the LRs of the updates start..steps-1.
        fault: what is wrong with its parameters together, as in :class:`~autosched.schedules.family.Family`.
        non_increasing: whether it never rises.
    """

    parameters: tuple[Parameter, ...]
    pieces: Callable[[Params, int, int], Sequence[Piece]]
    fault: Callable[[Params, int], str | None] = _sound
    non_increasing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """The last updates; they start at the LR of the body and never rise.

    Attributes:
        parameters: its parameters.
        steps: ``steps(params, steps)`` -> its number of updates when the warmup leaves that many; 0 for none.
        fall: ``fall(params, updates)`` -> the curve of LR over the LR at its start, beginning with exactly 1.
        fault: what is wrong with its parameters together.
    """

    parameters: tuple[Parameter, ...]
    steps: Callable[[Params, int], int]
    fall: Callable[[Params, int], Curve]
    fault: Callable[[Params, int], str | None] = _sound


def linear_rise(params: Params, updates: int) -> Curve:
    """``(i + 1) / updates``."""

    def rise(i: Any) -> Any:
        return (i + 1) / updates

    return rise


def no_fall(j: Any) -> Any:
    """1 throughout."""
    return 0 * j + 1


WARMUP_STEPS = Parameter(
    name="warmup_steps", kind="integer", meaning="updates of the linear warmup", unit="updates", low=0, default=0
)
LINEAR_WARMUP = Warmup(
    parameters=(WARMUP_STEPS,),
    steps=lambda params: int_of(params, "warmup_steps"),
    rise=linear_rise,
)
"""``rise[i] = (i + 1) / W``: the first update already trains, update W - 1 has the full LR (Goyal et al. 2017)."""

NO_WARMUP = Warmup(parameters=(), steps=lambda params: 0, rise=linear_rise)
NO_COOLDOWN = Cooldown(parameters=(), steps=lambda params, steps: 0, fall=lambda params, updates: no_fall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Three parts put together; see the module's drawing.

    Attributes:
        floor: parameters of :mod:`autosched.schedules.floors`, which says how low all three fall and how long it stays.
    """

    body: Body
    warmup: Warmup = LINEAR_WARMUP
    cooldown: Cooldown = NO_COOLDOWN
    floor: tuple[Parameter, ...] = ()

    def pieces(self, params: Params, steps: int) -> list[Piece]:
        """LR of every update."""
        warmup_steps, end = self.warmup.steps(params), decay_end(params, steps)
        pieces = list(self.body.pieces(params, warmup_steps, end))
        start = self.cooldown_start(params, steps)
        if start < end:
            top, fall = lr_at(pieces, start - warmup_steps), self.cooldown.fall(params, end - start)
            pieces = [*cut(pieces, start - warmup_steps), Piece(end - start, fall).scaled(top)]
        pieces = lifted(floored(pieces, steps - end), params)
        if warmup_steps:
            rise = Piece(warmup_steps, self.warmup.rise(params, warmup_steps)).scaled(lr_at(pieces, 0))
            pieces.insert(0, rise)
        return in_stairs(pieces, params)

    def cooldown_start(self, params: Params, steps: int) -> int:
        """First update of the cooldown; that of the floor, or `steps`, when there is none."""
        end = decay_end(params, steps)
        return max(self.warmup.steps(params), end - self.cooldown.steps(params, end))

    def stable_steps(self, params: Params, steps: int) -> int:
        """Updates before the cooldown; 0 when there is no cooldown part."""
        return 0 if self.cooldown is NO_COOLDOWN else self.cooldown_start(params, steps)

    def fault(self, params: Params, steps: int) -> str | None:
        """What is wrong with the parameters together or with `steps`; None when nothing is."""
        warmup_steps = self.warmup.steps(params)
        if warmup_steps >= steps:
            return f"warmup_steps must be below the {steps} steps of the schedule, but got {warmup_steps}."
        wrong = floor_fault(params, warmup_steps)
        if wrong is not None:
            return wrong
        end = decay_end(params, steps)
        return self.warmup.fault(params, end) or self.body.fault(params, end) or self.cooldown.fault(params, end)

    def family(self, name: str, *, summary: str, source: str, formula: str = "", experimental: bool = False) -> Family:
        """The parts as a family; its parameters are those of the body, then the warmup's, then the cooldown's.

        Args:
            name: its name in spaces and records.
            summary: one line for a person.
            source: where the shape comes from.
            formula: the body's LR in one line.
            experimental: whether the source could not be read.

        Raises:
            ValueError: two parts have a parameter of the same name; one of them must be renamed.
        """
        has_peak = any(parameter.name == "peak_lr" for parameter in self.body.parameters)
        floor = tuple(parameter for parameter in self.floor if has_peak or parameter.name != MIN_LR.name)
        stable = (*self.body.parameters, *self.warmup.parameters, *floor)
        every = (*stable, *self.cooldown.parameters)
        parameters = {parameter.name: parameter for parameter in every}
        if len(parameters) < len(every):
            names = [parameter.name for parameter in every]
            twice = sorted({twin for twin in names if names.count(twin) > 1})
            raise ValueError(f"{name}: two parts have a parameter {', '.join(twice)}; rename one.")
        has_cooldown = self.cooldown is not NO_COOLDOWN
        return Family(
            name=name,
            summary=summary,
            source=source,
            parameters=parameters,
            pieces=self.pieces,
            stable_steps=self.stable_steps,
            stable_parameters=frozenset(p.name for p in stable) if has_cooldown else frozenset(),
            fault=self.fault,
            non_increasing=self.body.non_increasing,
            formula=formula,
            experimental=experimental,
        )
