"""Whether what a checkpoint holds of an optimizer fits: nothing of a stranger's file is used before."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Kind(enum.Enum):
    """What an optimizer keeps for one weight under one name."""

    LIKE_WEIGHT = "a tensor of the weight's shape, or None"
    COUNT = "a tensor of one element without a shape"


ADAM: Mapping[str, Kind] = {"step": Kind.COUNT, "exp_avg": Kind.LIKE_WEIGHT, "exp_avg_sq": Kind.LIKE_WEIGHT}
"""What Adam and its kin keep in torch."""


def check_moments(found: Any, weights: Sequence[Tensor], kinds: Mapping[str, Kind]) -> None:
    """Whether `found` holds what `kinds` says for each weight; weights without an update so far have none.

    Raises:
        ValueError: it does not; other exceptions where it is no mapping at all.
    """
    if not found.keys() <= set(range(len(weights))):
        raise ValueError(f"its optimizer must know weights 0 to {len(weights) - 1}, but knows others")
    for index, moments in found.items():
        if moments.keys() != kinds.keys():
            raise ValueError(f"its optimizer must know {', '.join(kinds) or 'nothing'} about weight {index}")
        for name, kind in kinds.items():
            if not _fits(moments[name], weights[index], kind):
                shape = tuple(weights[index].shape)
                raise ValueError(f"{name} of weight {index}, of shape {shape}, must be {kind.value}")


def _fits(moment: Any, weight: Tensor, kind: Kind) -> bool:
    if moment is None:
        return kind is Kind.LIKE_WEIGHT
    shape = weight.shape if kind is Kind.LIKE_WEIGHT else torch.Size()
    return isinstance(moment, Tensor) and moment.shape == shape


def is_count(value: Any) -> bool:
    """Whether this is a whole number >= 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_numbers(memory: Any, *, counts: Sequence[str], numbers: Sequence[str]) -> None:
    """Whether `memory` has exactly these whole numbers and these numbers.

    Raises:
        ValueError: it has not; other exceptions where it is no mapping at all.
    """
    check_names(memory, (*counts, *numbers))
    for name in counts:
        if not is_count(memory[name]):
            raise ValueError(f"{name} must be a whole number >= 0, but got {memory[name]!r:.40}")
    check_floats([memory[name] for name in numbers], ", ".join(numbers))


def check_names(memory: Any, names: Sequence[str]) -> None:
    """Whether `memory` has exactly these entries; see :func:`check_numbers`."""
    if memory.keys() != set(names):
        raise ValueError(f"its optimizer must remember {', '.join(names)}")


def check_floats(values: Any, name: str) -> None:
    """Whether these are numbers, in a list; see :func:`check_numbers`."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"{name} must be numbers, but got {values!r:.40}")


def check_like(found: Any, own: Sequence[Tensor], name: str) -> None:
    """Whether `found` is a list of tensors like `own`, one by one; see :func:`check_numbers`."""
    if not isinstance(found, list) or len(found) != len(own):
        raise ValueError(f"{name} must be {len(own)} tensors")
    for index, (tensor, weight) in enumerate(zip(found, own, strict=True)):
        if not isinstance(tensor, Tensor) or tensor.shape != weight.shape or tensor.dtype != weight.dtype:
            raise ValueError(f"{name} {index} must be {weight.dtype} of shape {tuple(weight.shape)}")
