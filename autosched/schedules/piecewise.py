"""Constant in stages: ``lr[t] = values[k]`` for ``boundaries[k-1] <= t < boundaries[k]`` (AutoLRS; step decay by hand).

`boundaries` are the updates at which the next value starts to be used, counted from the start of the run, warmup
included; one value needs none. The warmup rises to the value that is due when it ends.
"""

from __future__ import annotations

from itertools import pairwise

from autosched.schedules.composition import composed
from autosched.schedules.parameter import Parameter, Params, array_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece


def piecewise_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """The stages of the updates start..steps-1."""
    edges = [0, *(int(edge) for edge in array_of(params, "boundaries")), steps]
    stages = zip(pairwise(edges), array_of(params, "values").tolist(), strict=True)
    return [Piece(end - max(first, start), lr) for (first, end), lr in stages if end > start]


def _fault(params: Params, steps: int) -> str | None:
    values, boundaries = array_of(params, "values"), array_of(params, "boundaries")
    if boundaries.size != values.size - 1:
        return f"boundaries must be one fewer than the {values.size} values, but there are {boundaries.size}."
    for position, boundary in enumerate(boundaries.tolist()):
        if not boundary.is_integer():
            return f"boundaries[{position}] must be a whole number of updates, but got {boundary!r}."
        if boundary >= steps:
            return f"boundaries[{position}] must be below the {steps} steps of the schedule, but got {boundary:.0f}."
        if position and boundary <= boundaries[position - 1]:
            before = boundaries[position - 1]
            return f"boundaries[{position}] must be above the one before it ({before:.0f}), but got {boundary:.0f}."
    return None


VALUES = Parameter(name="values", kind="numbers", meaning="LR of each stage", unit="LR", low=0)
BOUNDARIES = Parameter(
    name="boundaries",
    kind="numbers",
    meaning="update at which each next stage starts",
    unit="updates",
    low=1,
    min_length=0,
)
PIECEWISE = composed(Body(parameters=(VALUES, BOUNDARIES), pieces=piecewise_pieces, fault=_fault)).family(
    "piecewise",
    summary="warmup, then one LR per stage",
    source="Jin et al. 2021 (AutoLRS), arXiv:2105.10762",
    formula="values[k] from boundaries[k-1] to boundaries[k]",
)
