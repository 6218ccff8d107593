"""The `Family` record: a named way to make a schedule out of typed parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autosched.errors import ScheduleError
from autosched.schedules.parameter import Parameter, Params
from autosched.schedules.pieces import Piece, lrs_of
from autosched.schedules.schedule import FloatArray, ParameterValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A schedule family: pure functions of checked parameters and the number of updates.

    Attributes:
        name: the name in spaces and records.
        summary: one line for a person.
        source: where the shape comes from.
        formula: the body's LR in one line, in the words of the family's module; empty when nobody wrote one.
        experimental: whether the source could not be read, so that the formula may not be the author's.
        recipe: whether it is the schedule of a training code, with its names and its way of counting.
        ramp: ``ramp(params, steps)`` -> where the batch doubles, see :mod:`autosched.schedules.batch_ramp`; None for a
            family that leaves the batch alone.
        parameters: the parameters by name, in the order they are checked and drawn.
        pieces: ``pieces(params, steps)`` -> the LRs of all updates, stretch by stretch.
        stable_steps: ``stable_steps(params, steps)`` -> how many first updates do not depend on the cooldown's
            parameters (those before the cooldown starts); 0 for a family without a cooldown of its own.
        stable_parameters: the parameters that those first updates do depend on; empty without a cooldown.
        fault: ``fault(params, steps)`` -> what is wrong with parameters that are fine one by one, to be read after
            ``"<family>."``; None when nothing is.
        non_increasing: whether the LR never rises after the warmup.
    """

    name: str
    summary: str
    source: str
    parameters: Mapping[str, Parameter]
    pieces: Callable[[Params, int], Sequence[Piece]]
    stable_steps: Callable[[Params, int], int]
    stable_parameters: frozenset[str]
    fault: Callable[[Params, int], str | None]
    non_increasing: bool
    formula: str = ""
    experimental: bool = False
    recipe: bool = False
    ramp: Callable[[Params, int], Sequence[int]] | None = None

    def lrs(self, params: Params, steps: int) -> FloatArray:
        """LR of every update for complete parameters, float64 of shape (steps,)."""
        return lrs_of(self.pieces(params, steps), steps)

    def complete(self, params: Params, *, steps: int) -> dict[str, ParameterValue]:
        """All parameters that exist here, checked, in canonical types and in the family's order, defaults filled in.

        A parameter whose default goes without saying (:attr:`Parameter.implied`) is there only when it was given.

        Raises:
            ScheduleError: an unknown parameter, a missing one, one that does not exist beside the others, a value that
                is not allowed, or values that contradict each other or `steps`.
        """
        unknown = [name for name in params if name not in self.parameters]
        if unknown:
            raise ScheduleError(f"{self.name} has no parameter {unknown[0]!r}; it has {', '.join(self.parameters)}.")
        complete: dict[str, ParameterValue] = {}
        for name, parameter in self.parameters.items():
            if name not in params and parameter.implied:
                continue
            if parameter.exists(complete):
                complete[name] = parameter.check(self._given(parameter, params), self.name)
            elif name in params:
                raise ScheduleError(f"{self.name}.{name} exists only when {self._condition(parameter, complete)}.")
        fault = self.fault(complete, steps)
        if fault is not None:
            raise ScheduleError(f"{self.name}.{fault}")
        return complete

    def _given(self, parameter: Parameter, params: Params) -> ParameterValue:
        if parameter.name in params:
            return params[parameter.name]
        if parameter.default is None:
            raise ScheduleError(f"{self.name}.{parameter.name} is missing; it must be {parameter.rule}.")
        return parameter.default

    def _condition(self, parameter: Parameter, params: Params) -> str:
        """What `when` asks for and what there is, e.g. ``cooldown_shape is power, but cooldown_shape is linear``."""

        def found(name: str) -> object:
            silent = self.parameters[name].default if self.parameters[name].implied else "absent"
            return params.get(name, silent)

        wanted = " and ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in parameter.when.items())
        got = " and ".join(f"{name} is {found(name)}" for name in parameter.when)
        return f"{wanted}, but {got}"
