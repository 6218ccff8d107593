"""Functions with the same bits on every machine: how near they are, and that their text computes what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from autosched.randomness import generator
from autosched.schedules import elementary, portable
from autosched.schedules.exports.pieces_source import NUMBERS, texts_of
from autosched.schedules.pieces import Piece, listed, lr_at, lrs_of
from autosched.schedules.term import Term, written

RANGES: list[tuple[str, float, float, float]] = [
    ("sin", 0.0, 1.5707963267948966, 1.0),
    ("sin", -9e5, 9e5, 1.0),
    ("cos", -50.0, 50.0, 1.0),
    ("exp", -700.0, 700.0, 1.0),
    ("expm1", -1e-6, 1e-6, 3.0),
    ("expm1", -5.0, 5.0, 3.0),
    ("log", 1e-300, 1.0, 1.0),
    ("log", 0.5, 2.0, 1.0),
]


def in_last_places(found: np.ndarray, exact: list[Any]) -> float:
    """The largest error in units of the last place."""
    places = np.spacing(np.abs(found))
    with mpmath.workdps(60):
        missed = [abs(mpmath.mpf(float(lr)) - true) for lr, true in zip(found, exact, strict=True)]
        return max(float(error / mpmath.mpf(float(place))) for error, place in zip(missed, places, strict=True))


@pytest.mark.parametrize(("name", "low", "high", "most"), RANGES)
def test_a_function_is_right_to_its_last_place(name: str, low: float, high: float, most: float) -> None:
    x = generator(0, "portable").uniform(low, high, size=300)
    with mpmath.workdps(60):
        exact = [getattr(mpmath, name)(mpmath.mpf(float(value))) for value in x]
    assert in_last_places(getattr(portable, name)(x), exact) <= most


@pytest.mark.parametrize("exponent", [0.3, 2.5, -1.7, 20.0])
def test_a_power_is_right_to_its_last_places(exponent: float) -> None:
    x = generator(0, "portable").uniform(1e-6, 1, size=300)
    with mpmath.workdps(60):
        exact = [mpmath.mpf(float(value)) ** mpmath.mpf(exponent) for value in x]
    assert in_last_places(portable.power(x, exponent), exact) <= 3


def test_ends_are_exact_and_what_cannot_be_is_not_a_number() -> None:
    assert portable.sin(0.0) == 0.0
    assert portable.sin(np.pi / 2) == portable.cos(0.0) == portable.exp(0.0) == portable.power(1.0, 3.3) == 1.0
    assert portable.power(0.0, 2.5) == portable.exp(-1e4) == 0.0
    assert portable.exp(1e4) == np.inf
    assert portable.log(0.0) == -np.inf
    with np.errstate(invalid="ignore"):
        assert portable.power(10.0, 1e4) == np.inf
        assert np.isnan([portable.sin(2e6), portable.log(-1.0), portable.power(-2.0, 0.5)]).all()


@pytest.mark.parametrize("name", ["sin", "cos", "exp", "log", "expm1"])
def test_the_text_on_floats_has_the_bits_of_arrays(name: str) -> None:
    names: dict[str, Any] = {}
    exec("\n\n".join([NUMBERS, *texts_of(portable).values()]), names)
    x = generator(0, "portable").uniform(1e-3, 40.0, size=500)
    assert [names[name](float(value)) for value in x] == getattr(portable, name)(x).tolist()


CURVES: list[Callable[[Any], Any]] = [
    lambda j: 2 / (1 + j) - 0.5 * np.sqrt(j),
    lambda j: elementary.power(0.5, np.floor(j / 7)) + elementary.power(j + 1, 1.5) - elementary.power(j, 3),
    lambda j: elementary.where(j > 3, np.minimum(j, 5.0), -j) * np.square(elementary.cos(j)),
    lambda j: (
        np.maximum(elementary.exp(-j), np.abs(elementary.sin(j))) + elementary.log(1 + j) + elementary.expm1(j / 9)
    ),
]


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_written_down_computes_what_the_curve_computes(curve: Callable[[Any], Any]) -> None:
    names: dict[str, Any] = {}
    exec("\n\n".join([NUMBERS, *texts_of(portable).values()]), names)
    text = written(curve, Term("j"))
    at = eval(f"lambda j: {text}", names)
    assert [at(float(j)) for j in range(20)] == curve(np.arange(20.0)).tolist()


def test_a_curve_that_looks_at_numbers_cannot_be_written_down() -> None:
    with pytest.raises(TypeError):
        written(lambda j: j if j > 3 else 0.0, Term("j"))
    with pytest.raises(TypeError):
        written(np.tan, Term("j"))


def test_an_lr_of_a_piece_is_that_of_its_array() -> None:
    pieces = [Piece(3, 0.5), Piece(40_000, lambda j: 1 / (1 + j)), listed(np.array([0.1, 0.2]))]
    lrs = lrs_of(pieces, 40_005)
    assert [lr_at(pieces, update) for update in (0, 3, 20_000, 40_004)] == lrs[[0, 3, 20_000, 40_004]].tolist()
    with pytest.raises(ValueError, match="end before"):
        lr_at(pieces, 40_005)
