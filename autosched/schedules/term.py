"""A curve as text: what a function of numpy arrays computes, written down by giving it a `Term` instead of an array.

A `Term` knows no number; every operation on it makes a longer text, in the order in which numpy would have computed.
The text is a Python expression over floats with the functions of :mod:`autosched.schedules.portable` beside
``sqrt``, ``floor``, ``minimum``, ``maximum``, ``absolute`` and ``divide`` (a quotient that may be infinite).

Example:
    >>> import numpy as np
    >>> written(lambda j: np.sqrt(2.0 * j + 1), Term("j"))
    'sqrt(((2.0 * j) + 1.0))'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

OPERATORS: dict[Any, str] = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
    np.equal: "==",
}
FUNCTIONS: dict[Any, str] = {
    np.sqrt: "sqrt",
    np.square: "square",
    np.floor: "floor",
    np.minimum: "minimum",
    np.maximum: "maximum",
    np.absolute: "absolute",
}


class Term(np.lib.mixins.NDArrayOperatorsMixin):
    """A real number that is not known yet.

    Args:
        text: the Python expression that gives it.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        words = [word(value) for value in inputs]
        if ufunc is np.negative:
            return Term(f"(-{words[0]})")
        if ufunc is np.positive:
            return Term(words[0])
        if ufunc is np.divide:
            known = not isinstance(inputs[1], Term) and float(inputs[1]) != 0
            return Term(f"({words[0]} / {words[1]})" if known else f"divide({', '.join(words)})")
        if ufunc in OPERATORS:
            return Term(f"({words[0]} {OPERATORS[ufunc]} {words[1]})")
        return Term(f"{FUNCTIONS[ufunc]}({', '.join(words)})") if ufunc in FUNCTIONS else NotImplemented

    def __bool__(self) -> bool:
        raise TypeError(f"{self.text} is not known, so nothing can be decided by it; use where().")


def word(value: Any) -> str:
    """An operand as text; numbers as floats, since numpy computes with floats."""
    if isinstance(value, Term):
        return value.text
    number = float(value)
    return repr(number) if number >= 0 else f"({number!r})"


def called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which gives ``name(...)`` for a `Term`."""

    def call(*arguments: Any) -> Any:
        if any(isinstance(argument, Term) for argument in arguments):
            return Term(f"{name}({', '.join(word(argument) for argument in arguments)})")
        return function(*arguments)

    call.__name__, call.__doc__ = name, function.__doc__
    return call


def where(condition: Any, chosen: Any, other: Any) -> Any:
    """``numpy.where``, also of terms; both sides are computed for arrays, one of them in the text."""
    if isinstance(condition, Term):
        return Term(f"({word(chosen)} if {condition.text} else {word(other)})")
    return np.where(condition, chosen, other)


def written(curve: Callable[[Any], Any], variable: Term) -> str:
    """The text of what `curve` computes.

    Raises:
        TypeError: the curve looks at numbers, or uses a function that has no text.
    """
    return word(curve(variable))
