"""Trainers with one validation loss or several: how they give them, and which of them a space may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autosched.errors import UsageError
from autosched.space.records import Space


def unnamed(losses: Mapping[str, float]) -> float | Mapping[str, float]:
    """Losses by name as `evaluate` gives them: a plain number where the only one has no name."""
    return losses.get("", losses)


def check_objective(space: Space, names: Sequence[str]) -> None:
    """Whether a space's objective is made of the losses that its trainer gives.

    Raises:
        UsageError: it names another one.
    """
    absent = [name for name in space.objective if name not in names]
    if absent:
        there = f"the losses {', '.join(names)}" if names else "one loss without a name"
        raise UsageError(f"objective names the loss {absent[0]!r}, but the {space.trainer.use} trainer gives {there}.")
