"""A parameter knows what is allowed, says so, and cannot contradict itself."""

import itertools
import math
import pickle

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules import Parameter, build, family_names, get_family


def parameter(**changes):
    return Parameter(**{"name": "x", "kind": "float", "meaning": "a number", **changes})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, "a finite number"),
        ({"low": 0}, ">= 0"),
        ({"low": 0, "low_open": True}, "> 0"),
        ({"high": 2}, "<= 2"),
        ({"high": 2, "high_open": True}, "< 2"),
        ({"low": 0, "high": 1, "low_open": True}, "in (0, 1]"),
        ({"low": 0, "high": 1, "high_open": True}, "in [0, 1)"),
        ({"kind": "integer"}, "a whole number"),
        ({"kind": "integer", "low": 1, "high": 9}, "a whole number in [1, 9]"),
        ({"kind": "numbers", "low": 0}, "a list of numbers >= 0"),
        ({"kind": "choice", "choices": ("a", "b")}, "one of a, b"),
    ],
)
def test_the_rule_says_what_is_allowed(changes, rule):
    assert parameter(**changes).rule == rule


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5)])
def test_a_float_comes_out_as_python_s_own(value):
    checked = parameter().check(value, "f")
    assert (checked, type(checked)) == (0.5, float)


@pytest.mark.parametrize("value", [30, 30.0, np.int64(30), np.float64(30)])
def test_a_whole_number_comes_out_as_an_int(value):
    checked = parameter(kind="integer").check(value, "f")
    assert (checked, type(checked)) == (30, int)


@pytest.mark.parametrize("value", [[1, 0.5], (1, 0.5), np.array([1, 0.5]), iter([1, 0.5])])
def test_a_list_of_numbers_comes_out_as_a_list_of_floats(value):
    checked = parameter(kind="numbers").check(value, "f")
    assert checked == [1.0, 0.5]
    assert {type(number) for number in checked} == {float}


@pytest.mark.parametrize(("edge", "allowed"), [("low", False), ("high", True)])
def test_an_open_end_is_excluded_and_a_closed_one_is_not(edge, allowed):
    fraction = parameter(low=0.0, high=1.0, low_open=True)
    if allowed:
        assert fraction.check(getattr(fraction, edge), "f") == getattr(fraction, edge)
    else:
        with pytest.raises(ScheduleError):
            fraction.check(getattr(fraction, edge), "f")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, 1j, "1", None, True, np.bool_(True), [1.0]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ScheduleError, match=r"^f\.x must be a finite number, but got "):
        parameter().check(value, "f")


def test_a_long_value_is_cut_short_in_the_text():
    with pytest.raises(ScheduleError) as caught:
        parameter().check("9" * 10_000, "f")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "choice"}, "choices belong to kind choice"),
        ({"choices": ("a",)}, "choices belong to kind choice"),
        ({"low": 2, "high": 1}, "low 2 is above high 1"),
        ({"search_low": 1}, "give both search bounds or none"),
        ({"search_low": 2, "search_high": 1}, "search bounds must rise"),
        ({"search_low": 0, "search_high": 1, "search_log": True}, "be > 0 on a log scale"),
        ({"low": 0, "search_low": -1, "search_high": 1}, "search bounds"),
        ({"low": 0, "default": -1.0}, "default"),
        ({"kind": "numbers", "search_low": 0, "search_high": 1}, "only a float or an integer"),
        ({"kind": "choice", "choices": ("a",), "search_choices": ("b",)}, "search_choices must be among the choices"),
        ({"implied": True}, "needs a default"),
    ],
)
def test_a_parameter_that_contradicts_itself_cannot_be_made(changes, text):
    with pytest.raises(ValueError, match=text):
        parameter(**changes)


def test_a_conditional_parameter_exists_only_beside_the_right_value():
    power = get_family("wsd").parameters["cooldown_power"]
    assert power.exists({"cooldown_shape": "power"})
    assert not power.exists({"cooldown_shape": "linear"})
    assert not power.exists({})


def test_defaults_are_filled_in_and_absent_conditional_parameters_stay_absent():
    assert build("wsd", {"peak_lr": 1}, steps=10).params == {
        "peak_lr": 1.0,
        "warmup_steps": 0,
        "cooldown_fraction": 0.2,
        "cooldown_shape": "linear",
        "final_lr_ratio": 0.0,
    }
    assert build("wsd", {"peak_lr": 1, "cooldown_shape": "power"}, steps=10).params["cooldown_power"] == 2.0


@pytest.mark.parametrize("name", family_names())
def test_the_default_search_bounds_make_schedules(name):
    family = get_family(name)
    searched = {p.name: p for p in family.parameters.values() if p.search_low is not None and not p.when}
    needed = [p for p in family.parameters.values() if p.required and p.name not in searched]
    if needed:
        assert {p.kind for p in needed} <= {"numbers", "text"}
        return
    choices = {name: p.searched_choices for name, p in family.parameters.items() if p.searched_choices and not p.when}
    for chosen in itertools.product(*choices.values()):
        for end in ("search_low", "search_high"):
            params = {name: getattr(p, end) for name, p in searched.items()}
            assert build(name, params | dict(zip(choices, chosen, strict=True)), steps=100).steps == 100


def test_a_default_that_goes_without_saying_is_kept_only_where_it_was_given():
    assert "warmup_shape" not in build("linear", {"peak_lr": 1}, steps=10).params
    said = build("linear", {"peak_lr": 1, "warmup_shape": "linear", "cooldown_shape": "none"}, steps=10)
    assert (said.params["warmup_shape"], said.params["cooldown_shape"]) == ("linear", "none")
    assert said == build("linear", {"peak_lr": 1}, steps=10)


def test_a_choice_may_be_searched_over_fewer_values_than_it_allows():
    wsd, cosine = get_family("wsd").parameters["cooldown_shape"], get_family("cosine").parameters["cooldown_shape"]
    assert set(wsd.searched_choices) < set(wsd.choices)
    assert cosine.searched_choices == ()
    assert parameter(kind="choice", choices=("a", "b")).searched_choices == ("a", "b")


def test_a_parameter_travels_between_processes():
    for name in family_names():
        for one in get_family(name).parameters.values():
            assert pickle.loads(pickle.dumps(one)) == one
