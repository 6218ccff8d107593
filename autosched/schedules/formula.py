"""A formula in a few named numbers, read without running it as Python and computed in float64 arrays.

What a formula may say::

    numbers       1, 0.5, 1e-3                     finite; all arithmetic is float64, so nothing grows without bound
    names         those it is given values for, and pi
    operators     + - * / ** and the signs + -
    functions     sqrt exp log sin cos abs floor   of one argument; min max of two or more
    a choice      A if X < Y else B                with < <= > >=, both sides computed, each update takes its own

The text is parsed by :mod:`ast` into a tree of which only these nodes are let through, and the tree is walked: there is
no ``eval``, no attribute, no subscript, no call of anything else. Its length, its number of nodes and its depth are
bounded, so a formula cannot use more time or memory than those times the array it makes.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules import elementary
from autosched.schedules.schedule import FloatArray

MOST_CHARACTERS, MOST_NODES, MOST_DEPTH = 1000, 200, 30
Value = FloatArray | np.float64

OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: elementary.power,
}
SIGNS: Mapping[type[ast.AST], Callable[[Any], Any]] = {ast.UAdd: np.positive, ast.USub: np.negative}
COMPARISONS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "sqrt": np.sqrt,
    "exp": elementary.exp,
    "log": elementary.log,
    "sin": elementary.sin,
    "cos": elementary.cos,
    "abs": np.abs,
    "floor": np.floor,
}
OF_SEVERAL: Mapping[str, Callable[[Any, Any], Any]] = {"min": np.minimum, "max": np.maximum}
CONSTANTS: Mapping[str, float] = {"pi": math.pi}


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked formula.

    Attributes:
        text: as written.
        tree: what it says.
    """

    text: str
    tree: ast.expr

    def value(self, names: Mapping[str, Value]) -> Value:
        """The formula's value, float64: an array where a name in it is one; not finite where it is not defined.

        Args:
            names: a value for each of the names the formula was read with.
        """
        with np.errstate(all="ignore"):
            value: Value = _value(self.tree, {**{name: np.float64(x) for name, x in CONSTANTS.items()}, **names})
        return value


def read_formula(text: str, names: tuple[str, ...]) -> Formula:
    """Read a formula that may use these names.

    Raises:
        ScheduleError: too long, no formula, or something in it that is not allowed; the text says at which column
            (counted from 1) and what is.

    Example:
        >>> read_formula("2 * x", ("x",)).value({"x": np.array([1.0, 2.5])}).tolist()
        [2.0, 5.0]
        >>> read_formula("2 * y", ("x",))
        Traceback (most recent call last):
        autosched.errors.ScheduleError: column 5: 'y' is no name here; there are x, pi.
    """
    if len(text) > MOST_CHARACTERS:
        raise ScheduleError(f"must have at most {MOST_CHARACTERS} characters, but has {len(text)}.")
    source = text.strip()
    shift = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise ScheduleError(f"{_syntax_place(error, source, shift)}: this is no formula ({error.msg}).") from None
    except (ValueError, MemoryError, RecursionError) as error:  # a zero byte, nested too deeply for the parser
        raise ScheduleError(f"column 1: this is no formula ({error or 'nested too deeply'}).") from None
    checker = _Checker(names=(*names, *CONSTANTS), shift=shift, source=source)
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise ScheduleError(f"must have at most {MOST_NODES} parts, but is larger.")
    checker.check(tree, depth=1)
    return Formula(text, tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checker:
    """Lets through what the module's text lists."""

    names: tuple[str, ...]
    shift: int
    source: str

    def check(self, node: ast.expr, *, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise self._fault(node, f"nested deeper than {MOST_DEPTH} levels")
        for part in self._parts(node):
            self.check(part, depth=depth + 1)

    def _parts(self, node: ast.expr) -> list[ast.expr]:
        """What is below a node that is allowed."""
        match node:
            case ast.Constant():
                self._check_number(node)
                return []
            case ast.Name():
                if node.id not in self.names:
                    raise self._fault(node, f"{node.id!r} is no name here; there are {', '.join(self.names)}")
                return []
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return [left, right]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in SIGNS:
                return [operand]
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return [*self._compared(test), body, orelse]
            case ast.Call():
                return self._arguments(node)
        raise self._fault(node, f"{ast.get_source_segment(self.source, node)!r} is not allowed; {_ALLOWED}")

    def _check_number(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._fault(node, f"{value!r} is no number")
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise self._fault(node, "a number must be finite in float64")

    def _compared(self, test: ast.expr) -> list[ast.expr]:
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in COMPARISONS:
            return [test.left, test.comparators[0]]
        raise self._fault(test, "after if comes one comparison with <, <=, > or >=")

    def _arguments(self, node: ast.Call) -> list[ast.expr]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS and name not in OF_SEVERAL:
            called = ast.get_source_segment(self.source, node.func)
            raise self._fault(node, f"{called!r} is no function here; there are {', '.join([*FUNCTIONS, *OF_SEVERAL])}")
        least, many = (1, False) if name in FUNCTIONS else (2, True)
        count = len(node.args)
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise self._fault(node, f"{name} takes plain arguments")
        if count < least or (count > least and not many):
            wanted = "two arguments or more" if many else "one argument"
            raise self._fault(node, f"{name} takes {wanted}, but got {count}")
        return node.args

    def _fault(self, node: ast.expr, what: str) -> ScheduleError:
        before = self.source.encode().splitlines()[node.lineno - 1][: node.col_offset].decode()
        return ScheduleError(f"{_place(node.lineno, len(before) + 1, self.shift)}: {what}.")


def _syntax_place(error: SyntaxError, source: str, shift: int) -> str:
    """Where the parser stopped; it puts an end that came too early on a line that is not there."""
    lines = source.splitlines() or [""]
    line, column = error.lineno or 1, error.offset or 0
    if line > len(lines) or column < 1:
        line, column = len(lines), len(lines[-1]) + 1
    return _place(line, column, shift)


def _place(line: int, column: int, shift: int) -> str:
    """A place in words; `shift` is what was stripped off the first line."""
    return f"line {line}, column {column}" if line > 1 else f"column {column + shift}"


_ALLOWED = "a formula has numbers, names, + - * / **, functions, and A if X < Y else B"


def _value(node: ast.expr, names: Mapping[str, Value]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value):
            return np.float64(value)
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=op, operand=operand):
            return SIGNS[type(op)](_value(operand, names))
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse):
            holds = COMPARISONS[type(op)](_value(left, names), _value(right, names))
            return elementary.where(holds, _value(body, names), _value(orelse, names))
        case ast.Call(func=ast.Name(id=name), args=args):
            values = [_value(argument, names) for argument in args]
            return FUNCTIONS[name](values[0]) if name in FUNCTIONS else functools.reduce(OF_SEVERAL[name], values)
    raise AssertionError(f"{ast.dump(node)} was let through")
