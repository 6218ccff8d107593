"""Formulas are computed as Python would, and nothing but formulas is let through."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosched.errors import ScheduleError
from autosched.schedules import build
from autosched.schedules.formula import MOST_CHARACTERS, read_formula


def expression(text, *, steps=8, peak_lr=1.0, **params):
    return build("expression", {"peak_lr": peak_lr, "expression": text, **params}, steps=steps)


@pytest.mark.parametrize(
    ("text", "family", "params"),
    [
        ("peak", "constant", {}),
        ("peak * (1 - t / T)", "linear", {}),
        ("0.1 * peak + 0.45 * peak * (1 + cos(pi * t / T))", "cosine", {"final_lr_ratio": 0.1}),
        ("peak * sqrt(50 / (t + 50))", "inverse_sqrt", {"timescale_steps": 50}),
        ("peak if t < 0.75 * T else peak * 0.3", "two_stage", {"second_stage_fraction": 0.25}),
        ("peak * exp(log(0.01) * t / T)", "exponential", {"final_lr_ratio": 0.01}),
        ("peak * min((1 - t / T) * 4, 1)", "wsd", {"cooldown_fraction": 0.25}),
    ],
)
def test_a_family_can_be_written_as_an_expression(text, family, params):
    ours = expression(text, steps=400, peak_lr=0.02).lrs
    np.testing.assert_allclose(ours, build(family, {"peak_lr": 0.02, **params}, steps=400).lrs, rtol=1e-12)


def test_an_expression_starts_when_the_warmup_is_over_and_takes_a_cooldown():
    schedule = expression(
        "peak * (1 - t / T)", steps=12, warmup_steps=4, cooldown_shape="linear", cooldown_fraction=0.25
    )
    linear = {"peak_lr": 1.0, "warmup_steps": 4, "cooldown_shape": "linear", "cooldown_fraction": 0.25}
    assert schedule == build("linear", linear, steps=12)


TERMS = st.sampled_from(["t", "T", "peak", "2", "0.5", "1e-3", "pi"])
FORMULAS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("{}({})".format, st.sampled_from(["sin", "cos", "abs", "floor"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
        st.builds("({} if {} < {} else {})".format, inner, inner, inner, inner),
        st.builds("-{}".format, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(FORMULAS)
def test_a_formula_has_the_value_python_gives_it(text):
    updates = np.arange(5.0)
    value = read_formula(text, ("t", "T", "peak")).value({"t": updates, "T": np.float64(5), "peak": np.float64(0.3)})
    for t, ours in zip(updates, np.broadcast_to(value, (5,)), strict=True):
        names = {"t": float(t), "T": 5.0, "peak": 0.3, "pi": math.pi, "min": min, "max": max, "abs": abs}
        names |= {"sin": math.sin, "cos": math.cos, "floor": math.floor}
        expected = float(eval(text, {"__builtins__": {}}, names))  # what the product never does
        assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expression.expression must be a text, but got ''."),
        ("peak *", "column 7: this is no formula (invalid syntax)."),
        ("  peak 2", "column 8: this is no formula"),
        ("(peak\n* 2", "this is no formula ('(' was never closed)."),
        ("(peak\n* 2 3)", "this is no formula"),
        ("peak * x", "column 8: 'x' is no name here; there are t, T, peak, pi."),
        ("  peak * x", "column 10: 'x' is no name here"),
        ("(peak *\n  x)", "line 2, column 3: 'x' is no name here"),
        ("__import__('os')", "column 1: '__import__' is no function here; there are sqrt, exp, log"),
        ("open('/etc/passwd')", "column 1: 'open' is no function here"),
        ("peak.real", "column 1: 'peak.real' is not allowed; a formula has numbers, names"),
        ("().__class__", "column 1: '().__class__' is not allowed"),
        ("peak * exp.reduce(t)", "column 8: 'exp.reduce' is no function here"),
        ("t[0]", "column 1: 't[0]' is not allowed"),
        ("lambda: 1", "column 1: 'lambda: 1' is not allowed"),
        ("[t for t in (1, 2)]", "is not allowed"),
        ("peak if t else 0", "column 9: after if comes one comparison"),
        ("peak if 1 < t < 5 else 0", "column 9: after if comes one comparison"),
        ("peak if (t := 1) < 2 else 0", "column 10: 't := 1' is not allowed"),
        ("t < T", "column 1: 't < T' is not allowed"),
        ("peak % 2", "is not allowed"),
        ("peak // 2", "is not allowed"),
        ("~t", "is not allowed"),
        ("f'{t}'", "is not allowed"),
        ("'peak'", "column 1: 'peak' is no number"),
        ("True", "column 1: True is no number"),
        ("1j", "column 1: 1j is no number"),
        ("1e999", "column 1: a number must be finite"),
        ("9" * 400, "column 1: a number must be finite"),
        ("sqrt(t, 2)", "column 1: sqrt takes one argument, but got 2."),
        ("min(t)", "column 1: min takes two arguments or more, but got 1."),
        ("exp(x=t)", "column 1: exp takes plain arguments"),
        ("min(*t)", "column 1: min takes plain arguments"),
        ("sin", "column 1: 'sin' is no name here"),
        ("peak\0", "this is no formula"),
        ("-" * 40 + "t", "column 31: nested deeper than 30 levels"),
        ("(" * 400 + "t" + ")" * 400, "this is no formula"),
        ("t+" * 150 + "t", "must have at most 200 parts"),
        ("t" * (MOST_CHARACTERS + 1), "must have at most 1000 characters, but has 1001."),
    ],
)
def test_what_is_no_formula_is_refused_with_its_place(text, says):
    with pytest.raises(ScheduleError) as error:
        expression(text)
    assert says in str(error.value)
    assert str(error.value).startswith("expression.expression")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("peak / t", "but is inf at t = 0 of T = 8."),
        ("peak * log(t - 3)", "but is nan at t = 0 of T = 8."),
        ("peak * (0.5 - t / T)", "but is -0.125 at t = 5 of T = 8."),
        ("peak * (1 + t)", "and peak_lr is 1.0, but is 2.0 at t = 1 of T = 8."),
        ("9 ** 9 ** 9 ** 9", "but is inf at t = 0 of T = 8."),
        ("(0 - 1) ** 0.5", "but is nan at t = 0 of T = 8."),
    ],
)
def test_an_lr_that_cannot_be_is_named_with_its_update(text, says):
    with pytest.raises(ScheduleError) as error:
        expression(text)
    assert str(error.value).startswith("expression.expression must be in [0, peak_lr] at every update")
    assert str(error.value).endswith(says)


def test_the_last_bits_above_the_peak_are_rounding():
    lrs = expression("peak * (sin(t)**2 + cos(t)**2)", steps=1000, peak_lr=0.1).lrs
    assert lrs.max() == 0.1
    assert lrs.min() > 0.1 * (1 - 1e-15)


def test_the_largest_formula_takes_no_more_than_its_parts():
    """Arithmetic of huge powers is float64 arithmetic: it ends at once, in an LR that is not finite."""
    start = time.process_time()
    with pytest.raises(ScheduleError, match="is inf"):
        expression("*".join(["(9**9**9**9**9)"] * 8), steps=10_000)
    assert time.process_time() - start < 1


def test_the_json_of_an_expression_keeps_its_text():
    schedule = expression("peak * (1 - t / T)")
    assert schedule.params["expression"] == "peak * (1 - t / T)"
    assert type(schedule).from_json(schedule.to_json()).params == schedule.params
