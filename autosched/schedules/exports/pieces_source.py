"""A schedule's pieces as Python source: a few numbers and formulas, whose LRs are the schedule's to the last bit.

What is written is checked: where the family's LRs are not the schedule's to the last bit (a file that somebody edited),
or those of the source are not at one of thousands of updates, there is no such source, and the LRs have to be listed.
"""

from __future__ import annotations

import ast
import base64
import functools
import inspect
import re
import zlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules import portable
from autosched.schedules.pieces import Piece, lrs_of
from autosched.schedules.registry import get_family
from autosched.schedules.schedule import Schedule
from autosched.schedules.term import Term, word, written

MOST_CHARACTERS = 40_000
"""Of the pieces' text; more are packed."""
MOST_CHECKED = 5_000
"""Updates whose LRs are computed by the source before it is believed."""
LRS = "LRS = [curve(float(j)) for count, curve in PIECES for j in range(count)]"
NUMBERS = """from math import copysign, floor, frexp, inf, ldexp, nan, sqrt


def where(condition, chosen, other):
    return chosen if condition else other


def divide(a, b):
    return a / b if b else copysign(inf, a) * copysign(1, b) if a else nan


absolute, minimum, maximum, whole = abs, min, max, int
"""
"""What the functions of :mod:`autosched.schedules.portable` take from numpy, for single floats."""
_NAMES = ("where", "floor", "frexp", "ldexp", "sqrt", "inf", "nan", "divide", "absolute", "minimum", "maximum", "whole")


def pieces_source(schedule: Schedule) -> str | None:
    """Source that defines ``PIECES`` and ``LRS``; None when the schedule's family and parameters do not say its LRs."""
    pieces = _pieces(schedule)
    if pieces is None:
        return None
    try:
        lines = [f"    ({piece.updates}, lambda j: {_text(piece)})," for piece in pieces if piece.updates]
    except TypeError:  # a curve that cannot be written down
        return None
    source = "\n".join([*_needed("\n".join(lines)), *_table(lines)])
    return f"{source}\n{LRS}" if _gives(source, schedule) else None


def _pieces(schedule: Schedule) -> Sequence[Piece] | None:
    try:
        family = get_family(schedule.family)
        complete = family.complete(schedule.params, steps=schedule.steps)
    except ScheduleError:
        return None
    pieces = family.pieces(complete, schedule.steps)
    same = lrs_of(pieces, schedule.steps).tobytes() == schedule.lrs.tobytes()
    return pieces if same else None


def _text(piece: Piece) -> str:
    return written(piece.curve, Term("j")) if callable(piece.curve) else word(piece.curve)


def _table(lines: list[str]) -> list[str]:
    """The list of pieces, as text or, when there are thousands of them, packed."""
    text = "\n".join(lines)
    head = "PIECES = [  # (number of updates, LR of update j of the piece)"
    if len(text) <= MOST_CHARACTERS:
        return [head, text, "]"]
    packed = base64.b85encode(zlib.compress(f"[\n{text}\n]".encode(), 9)).decode()
    words = [f'    b"{packed[i : i + 100]}"' for i in range(0, len(packed), 100)]
    unpacked = "zlib.decompress(base64.b85decode(PACKED)).decode()"
    return [
        "import base64",
        "import zlib",
        "",
        "PACKED = (  # the list of (number of updates, LR of update j of the piece), as text",
        *words,
        ")",
        f"PIECES = eval({unpacked})",
    ]


def _needed(text: str) -> list[str]:
    """The functions that the pieces use, and those that these use, in the order of :mod:`portable`."""
    functions = texts_of(portable)
    used: set[str] = set()
    todo = [text]
    while todo:
        found = {name for name in functions if re.search(rf"\b{name}\(", todo[-1])} - used
        todo.pop()
        used |= found
        todo += [functions[name] for name in found]
    parts = [functions[name] for name in functions if name in used]
    every = "\n".join([text, *parts])
    if not any(re.search(rf"\b{name}\b", every) for name in _NAMES) and not parts:
        return []
    return [NUMBERS, *(f"\n{part}\n" for part in parts), ""]


@functools.cache
def texts_of(module: ModuleType) -> dict[str, str]:
    """The functions of a module by name, as text without types and docstrings."""
    tree = ast.parse(inspect.getsource(module))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name not in _NAMES:
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            found[node.name] = ast.unparse(node)
    return found


def _gives(source: str, schedule: Schedule) -> bool:
    """Whether the source's LRs are the schedule's at evenly spaced updates, the last one among them."""
    names: dict[str, Any] = {}
    exec(compile(source, "schedule", "exec"), names)  # noqa: S102 - made of numbers and formulas above
    pieces = names["PIECES"]
    ends = np.cumsum([count for count, _ in pieces])
    updates = np.unique(np.linspace(0, schedule.steps - 1, MOST_CHECKED).astype(int))
    places = np.searchsorted(ends, updates, side="right")
    for update, place, lr in zip(updates.tolist(), places.tolist(), schedule.lr_at(updates).tolist(), strict=True):
        count, curve = pieces[place]
        try:
            if float(curve(float(update - (ends[place] - count)))) != lr:
                return False
        except (ArithmeticError, ValueError):
            return False
    return True
