"""What a trainer's methods give, checked where it arrives, and where in a person's own code an error was raised."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autosched.errors import UsageError

LIBRARIES = tuple({sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")})
"""Folders of code that is nobody's own."""
LOSS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a tracker takes as a part of a metric's name."""
TOOL = str(Path(__file__).resolve().parents[1])


def as_losses(value: Any) -> dict[str, float]:
    """What `evaluate` gave, as floats by name, in its order; a single number's name is empty.

    Raises:
        UsageError: it is neither a number nor a mapping of names to numbers.
    """
    if not isinstance(value, Mapping):
        what = "evaluate() must give one number, the validation loss, or a mapping of names to such numbers"
        return {"": _number(value, what)}
    wrong = [name for name in value if not isinstance(name, str) or not LOSS_NAME.fullmatch(name)]
    if wrong or not value:
        what = f"but got {wrong[0]!r:.40}" if wrong else "but gave none"
        raise UsageError(f"evaluate() must name its losses with letters, digits, dots, dashes or underscores, {what}.")
    return {name: _number(item, f"evaluate() must give numbers, {name} among them") for name, item in value.items()}


def objective_of(losses: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The number that schedules are judged by: ``sum(weight * loss)``, or without weights the first loss.

    Raises:
        UsageError: a weight for a loss that there is not.
    """
    if not weights:
        return next(iter(losses.values()))
    absent = [name for name in weights if name not in losses]
    if absent:
        there = ", ".join(name for name in losses if name) or "one loss without a name"
        raise UsageError(f"objective names the loss {absent[0]!r}, but evaluate() gives {there}.")
    return sum(weight * losses[name] for name, weight in weights.items())


def as_loss(value: Any, weights: Mapping[str, float] = MappingProxyType({})) -> float:
    """What `evaluate` gave, as the number that schedules are judged by; NaN and infinity are losses too.

    Raises:
        UsageError: see :func:`as_losses` and :func:`objective_of`.
    """
    return objective_of(as_losses(value), weights)


def as_means(value: Any) -> dict[str, float]:
    """What `train` gave, as floats.

    Raises:
        UsageError: it is no mapping of numbers with a ``train_loss``.
    """
    if not isinstance(value, Mapping) or "train_loss" not in value:
        raise UsageError(
            f"train() must return a mapping of names to numbers, as {{'train_loss': 2.5}}, but gave {_short(value)}."
        )
    return {str(name): _number(item, f"train() must give numbers, {name} among them") for name, item in value.items()}


def _number(value: Any, what: str) -> float:
    """A number of Python's, numpy's, or an array of any framework with one item; no text, which float() would read."""
    if not isinstance(value, str | bytes):
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            pass
    raise UsageError(f"{what}, but gave {_short(value)}.")


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return f"the {type(value).__name__} {text if len(text) <= 60 else text[:59] + '…'}"


def own_place(error: BaseException) -> str:
    """An error in one line, with where it was raised; inside a library, also the person's own line that called it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*LIBRARIES, TOOL, "<"))]
    shown = [*frames[-1:], *(own[-1:] if own and own[-1] is not frames[-1] else [])]
    places = ", called at ".join(f"{Path(one.filename).name}:{one.lineno} in {one.name}" for one in shown)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if text else ''}{text}" + (f" ({places})" if places else "")
