"""Any curve, given update by update: ``lr[t] = lrs[t]``; no warmup is added."""

from __future__ import annotations

from collections.abc import Sized

from autosched.schedules.parameter import Parameter, Params, array_of
from autosched.schedules.parts import NO_WARMUP, Body, Parts
from autosched.schedules.pieces import Piece, listed


def table_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """The listed LRs."""
    return [listed(array_of(params, "lrs")[start:])]


def _fault(params: Params, steps: int) -> str | None:
    listed = params["lrs"]
    count = len(listed) if isinstance(listed, Sized) else 0
    return None if count == steps else f"lrs must have one LR for each of the {steps} steps, but has {count}."


LRS = Parameter(name="lrs", kind="numbers", meaning="LR of every update", unit="LR", low=0)
TABLE = Parts(body=Body(parameters=(LRS,), pieces=table_pieces, fault=_fault), warmup=NO_WARMUP).family(
    "table", summary="one LR per update, as given", source="a curve from elsewhere", formula="lrs[t]"
)
