"""Schedules written again for another horizon and peak LR."""

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules.registry import build, family_names, get_family
from autosched.schedules.schedule import Schedule
from autosched.transfer import carried


def test_a_familys_schedule_is_built_again():
    old = build("wsd", {"peak_lr": 0.01, "warmup_steps": 30, "cooldown_fraction": 0.3}, steps=600)
    new = carried(old, steps=6_000, factor=0.5)
    assert new == build("wsd", {"peak_lr": 0.005, "warmup_steps": 30, "cooldown_fraction": 0.3}, steps=6_000)
    assert new.family == "wsd"
    assert new.params["peak_lr"] == 0.005


def test_nothing_changes_when_nothing_is_asked_for():
    old = build("cosine", {"peak_lr": 0.3, "warmup_steps": 7, "final_lr_ratio": 0.1}, steps=100)
    assert carried(old, steps=100).fingerprint == old.fingerprint


def test_lrs_are_scaled_and_counts_of_updates_stretched_but_for_the_warmup():
    params = {"values": [0.1, 0.01, 0.001], "boundaries": [40, 70], "warmup_steps": 5}
    new = carried(build("piecewise", params, steps=100), steps=1_000, factor=2.0)
    assert new.params["boundaries"] == [400, 700]
    assert new.params["warmup_steps"] == 5
    np.testing.assert_allclose(new.lrs[[5, 399, 400, 700]], [0.2, 0.2, 0.02, 0.002], rtol=1e-12)


def test_parameters_of_the_family_can_be_changed_on_the_way():
    old = build("wsd", {"peak_lr": 0.01, "cooldown_fraction": 0.1}, steps=100)
    new = carried(old, steps=100, factor=2.0, changes={"cooldown_fraction": 0.9})
    assert new == build("wsd", {"peak_lr": 0.02, "cooldown_fraction": 0.9}, steps=100)


@pytest.mark.parametrize("family", [name for name in family_names() if name != "table"])
def test_every_familys_whole_curve_is_scaled(family):
    required = {
        "peak_lr": 0.01,
        "values": [0.01, 0.001],
        "boundaries": [50.0],
        "expression": "peak / (1 + t)",
        "ratios": [0.5, 0.2],
        "cycle_steps": 40,
    }
    parameters = get_family(family).parameters
    old = build(family, {name: required[name] for name, p in parameters.items() if p.required}, steps=100)
    same, half = carried(old, steps=1_000), carried(old, steps=1_000, factor=0.5)
    assert (same.family, same.steps, half.steps) == (family, 1_000, 1_000)
    np.testing.assert_allclose(half.lrs, 0.5 * same.lrs, rtol=1e-9)


def test_what_scaled_parameters_do_not_scale_becomes_a_table():
    old = build("power", {"peak_lr": 0.02, "batch_size": 1, "sequence_length": 64}, steps=1_000)
    assert carried(old, steps=2_000).family == "power"
    half = carried(old, steps=2_000, factor=0.5)
    assert half == Schedule(0.5 * build("power", dict(old.params), steps=2_000).lrs)
    assert half.family == "table"


def test_a_table_is_stretched_as_a_whole():
    old = build("cosine", {"peak_lr": 1.0, "final_lr_ratio": 0.0}, steps=500)
    new = carried(Schedule(old.lrs), steps=5_000, factor=0.1)
    expected = build("cosine", {"peak_lr": 0.1, "final_lr_ratio": 0.0}, steps=5_000)
    np.testing.assert_allclose(new.lrs, expected.lrs, atol=2e-4)
    assert new.family == "table"
    assert np.array_equal(carried(Schedule(old.lrs), steps=500).lrs, old.lrs)


def test_a_table_keeps_the_note_of_where_it_comes_from():
    old = Schedule([0.1, 0.05], "table", {"refined_from": "pilot.csv"})
    assert carried(old, steps=4).params == {"refined_from": "pilot.csv"}


def test_lrs_that_are_not_those_of_the_parameters_are_stretched_too():
    old = build("linear", {"peak_lr": 0.1}, steps=10)
    edited = Schedule(np.concatenate([old.lrs[:-1], [0.5]]), "linear", old.params)
    assert carried(edited, steps=10).final_lr == 0.5
    unknown = Schedule([0.1] * 5, "of-tomorrow", {"peak_lr": 0.1})
    assert carried(unknown, steps=7) == Schedule([0.1] * 7)


def test_a_table_cannot_be_given_a_cooldown():
    with pytest.raises(ScheduleError, match="a table has no cooldown_fraction: only a family's schedule"):
        carried(Schedule([0.1] * 5), steps=5, changes={"cooldown_fraction": 0.5})


def test_a_horizon_shorter_than_the_warmup_is_refused():
    old = build("linear", {"peak_lr": 0.1, "warmup_steps": 30}, steps=100)
    with pytest.raises(ScheduleError, match="warmup_steps must be below the 20 steps of the schedule, but got 30"):
        carried(old, steps=20)
