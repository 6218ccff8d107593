"""Points of a space: which are inside, which exist, and how many updates another point can share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_text import written

from autosched.randomness import generator
from autosched.schedules.schedule import ParameterValue
from autosched.space import (
    Choice,
    Fixed,
    Range,
    ScheduleSpec,
    active_parameters,
    build_schedule,
    can_branch,
    contains,
    domain_contains,
    draw,
    load_space,
)

POINT: Mapping[str, ParameterValue] = {
    "peak_lr": 0.01,
    "warmup_steps": 30,
    "cooldown_fraction": 0.5,
    "cooldown_shape": "power",
    "cooldown_power": 2.0,
    "final_lr_ratio": 0.0,
}


def wsd(**changes: Any) -> ScheduleSpec:
    """The point above with other values; None leaves a parameter out."""
    params = {**POINT, **changes}
    return ScheduleSpec(family="wsd", params={name: value for name, value in params.items() if value is not None})


@pytest.mark.parametrize(
    ("spec", "inside"),
    [
        (wsd(), True),
        (wsd(cooldown_shape="linear", cooldown_power=None), True),
        (wsd(cooldown_shape="linear"), False),
        (wsd(cooldown_power=None), False),
        (wsd(peak_lr=None), False),
        (wsd(momentum=0.9), False),
        (wsd(peak_lr=1e-3), True),
        (wsd(peak_lr=0.1), True),
        (wsd(peak_lr=0.1000001), False),
        (wsd(peak_lr=float("nan")), False),
        (wsd(peak_lr="0.01"), False),
        (wsd(warmup_steps=31), False),
        (wsd(warmup_steps=30.0), True),
        (wsd(cooldown_shape="cosine", cooldown_power=None), False),
        (wsd(final_lr_ratio=False), False),
        (replace(wsd(), family="cosine"), False),
    ],
)
def test_a_point_is_inside_when_it_could_be_drawn(tmp_path: Path, spec: ScheduleSpec, inside: bool) -> None:
    assert contains(load_space(written(tmp_path)), spec) is inside


def test_a_domain_contains_its_ends_and_no_true_for_one() -> None:
    whole = Range(low=1, high=9, integer=True)
    assert [domain_contains(whole, value) for value in (1, 9, 9.0, 0, 10, 1.5, True)] == [True] * 3 + [False] * 4
    assert not domain_contains(Fixed(value=1), True)
    assert domain_contains(Choice(values=(0.5, 1.0)), 1)
    assert not domain_contains(Choice(values=("a",)), "b")


def test_active_parameters_are_those_that_exist_in_the_order_they_are_drawn(tmp_path: Path) -> None:
    family = load_space(written(tmp_path)).family("wsd")
    assert list(active_parameters(family, POINT)) == list(POINT)
    linear = {**POINT, "cooldown_shape": "linear"}
    assert list(active_parameters(family, linear)) == [name for name in POINT if name != "cooldown_power"]


def test_a_family_that_does_not_compete_has_no_parameters(tmp_path: Path) -> None:
    assert load_space(written(tmp_path)).family("cosine").parameters == {}


# -- branching: horizon 600, cooldown of half, so the stable phase ends at update 300 ----------------------------------


@pytest.mark.parametrize(
    ("changes", "step", "branches"),
    [
        ({}, 300, False),  # the peak LR is searched in a range: nobody draws it again
        ({11: "    peak_lr: 0.01"}, 300, True),
        ({11: "    peak_lr: 0.01"}, 301, False),
        ({11: "    peak_lr: [0.01, 0.02]"}, 300, True),
        ({11: "    peak_lr: [0.03, 0.02]"}, 300, False),  # a default of its own: no other trial has this LR
        ({11: "    peak_lr: 0.01", 12: "    warmup_steps: {low: 1, high: 99}"}, 300, True),
        ({11: "    peak_lr: 0.01"}, 0, False),
        ({11: "    peak_lr: 0.01"}, 601, False),
    ],
)
def test_a_stable_phase_can_be_shared_when_its_parameters_can_be_drawn_again(
    tmp_path: Path, changes: dict[int, str], step: int, branches: bool
) -> None:
    assert can_branch(load_space(written(tmp_path, changes)), wsd(), step) is branches


def test_anything_can_be_shared_when_nothing_is_continuous(tmp_path: Path) -> None:
    changes = {
        11: "    peak_lr: [0.01, 0.02]",
        13: "    cooldown_fraction: [0.25, 0.5]",
        14: "    cooldown_shape: sqrt",
    }
    space, spec = load_space(written(tmp_path, changes)), wsd(cooldown_shape="sqrt", cooldown_power=None)
    assert can_branch(space, spec, 599)
    assert not can_branch(space, replace(spec, family="cosine"), 10)


def test_a_cooldown_that_a_condition_left_to_its_default_has_a_lrs(tmp_path: Path) -> None:
    changes = {
        11: "    peak_lr: [0.01, 0.02]",
        12: "    warmup_steps: [10, 30]",
        13: "    cooldown_fraction: {low: 0.1, high: 0.9, when: {warmup_steps: 10}}",
        14: "    cooldown_shape: linear",
        15: "    final_lr_ratio: {low: 0.0, high: 0.5}",
    }
    space = load_space(written(tmp_path, changes))
    spec = wsd(cooldown_shape="linear", cooldown_power=None, cooldown_fraction=None)
    assert contains(space, spec)
    assert [can_branch(space, spec, step) for step in (480, 481)] == [True, False]  # 600 less a default fifth


@given(first=st.integers(0, 10**6), second=st.integers(0, 10**6), step=st.integers(1, 599))
@settings(max_examples=60, deadline=None)
def test_two_points_with_equal_first_updates_could_branch_there(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, step: int
) -> None:
    """No shared prefix is missed, but for two cooldown fractions that are the same number of updates by chance."""
    changes = {11: "    peak_lr: [0.01, 0.02]", 12: "    warmup_steps: [10, 30]"}
    space = load_space(written(tmp_path_factory.getbasetemp(), changes))
    one, other = (draw(space, generator(seed, "branch")) for seed in (first, second))
    lrs, others = build_schedule(space, one).lrs, build_schedule(space, other).lrs
    # One more than `step`, since the first update of a cooldown still has the peak LR.
    if (lrs[: step + 1] == others[: step + 1]).all() and (lrs != others).any():
        assert can_branch(space, one, step)
        assert can_branch(space, other, step)
