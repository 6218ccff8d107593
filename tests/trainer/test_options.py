import math
from dataclasses import dataclass
from typing import Annotated

import pytest

from autosched.errors import UsageError
from autosched.trainer import flag, number, one_of, pair, positive, read_options, text, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    layers: Annotated[int, whole(1)] = 2
    decay: Annotated[float, number(0.0)] = 0.1
    share: Annotated[float, number(0.0, 1.0)] = 0.5
    unit: Annotated[float, positive()] = 1.0
    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.95)
    kind: Annotated[str, one_of("plain", "fancy")] = "plain"
    data: Annotated[str, text()] = "stdlib"
    fast: Annotated[bool, flag()] = False
    vocabulary: Annotated[int | None, whole(2)] = None


def read(**options) -> Options:
    return read_options(Options, options, trainer="mine")


def test_absent_options_keep_their_defaults():
    assert read() == Options()
    assert read(layers=3) == Options(layers=3)


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"layers": 1}, "layers", 1),
        ({"decay": 0}, "decay", 0.0),
        ({"share": 0}, "share", 0.0),
        ({"unit": 3}, "unit", 3.0),
        ({"betas": [0, 0.99]}, "betas", (0.0, 0.99)),
        ({"kind": "fancy"}, "kind", "fancy"),
        ({"fast": True}, "fast", True),
        ({"vocabulary": 300}, "vocabulary", 300),
        ({"vocabulary": None}, "vocabulary", None),
    ],
)
def test_an_allowed_value_is_read_in_one_form(options, name, value):
    found = getattr(read(**options), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("layers", 0, "a whole number >= 1"),
        ("layers", 1.0, "a whole number >= 1"),
        ("layers", True, "a whole number >= 1"),
        ("layers", "2", "a whole number >= 1"),
        ("layers", None, "a whole number >= 1"),
        ("decay", -0.1, "a finite number >= 0"),
        ("decay", math.inf, "a finite number >= 0"),
        ("decay", math.nan, "a finite number >= 0"),
        ("decay", 10**400, "a finite number >= 0"),
        ("decay", "0.1", "a finite number >= 0"),
        ("share", 1.0, "a number in [0, 1)"),
        ("unit", 0, "a finite number > 0"),
        ("betas", 0.9, "a list of two, each a number in [0, 1)"),
        ("betas", [0.9], "a list of two, each a number in [0, 1)"),
        ("betas", [0.9, 1.0], "a list of two, each a number in [0, 1)"),
        ("kind", "other", "one of plain, fancy"),
        ("kind", ["plain"], "one of plain, fancy"),
        ("data", "", "a text"),
        ("data", 7, "a text"),
        ("fast", 1, "true or false"),
        ("vocabulary", 1, "a whole number >= 2"),
    ],
)
def test_another_value_is_refused_with_name_rule_and_value(name, value, rule):
    with pytest.raises(UsageError) as info:
        read(**{name: value})
    assert str(info.value) == f"mine trainer: {name} must be {rule}, but got {value!r}."


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(UsageError, match=r"^mine trainer: unknown option 'depth'; allowed are layers, decay, share"):
        read(depth=3)


def test_a_name_that_is_no_text_is_unknown():
    with pytest.raises(UsageError, match="unknown option 7"):
        read_options(Options, {7: 1}, trainer="mine")
