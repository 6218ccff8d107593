"""A schedule is a value: read-only, equal by its array, and the same bits wherever it is written."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.schedules import Schedule, build

ARRAYS = st.lists(st.floats(0, allow_infinity=False), min_size=1, max_size=50)


@given(ARRAYS)
def test_json_keeps_every_bit_of_any_array(lrs):
    schedule = Schedule(lrs)
    assert Schedule.from_json(schedule.to_json()).lrs.tobytes() == schedule.lrs.tobytes()


@given(ARRAYS, ARRAYS)
def test_fingerprints_agree_exactly_as_far_as_the_curves_do(one, other):
    a, b = Schedule(one), Schedule(other)
    shared = a.common_steps(b)
    for length in range(1, min(a.steps, b.steps) + 1):
        assert (a.prefix_fingerprint(length) == b.prefix_fingerprint(length)) == (length <= shared)
    assert (a == b) == (a.fingerprint == b.fingerprint)


def test_the_array_is_a_read_only_copy():
    given_lrs = np.array([0.1, 0.2])
    schedule = Schedule(given_lrs)
    given_lrs[0] = 9
    assert schedule.lrs.tolist() == [0.1, 0.2]
    with pytest.raises(ValueError, match="read-only"):
        schedule.lrs[0] = 9


def test_a_negative_zero_is_zero():
    assert Schedule([-0.0]).fingerprint == Schedule([0.0]).fingerprint


def test_whole_numbers_and_float32_become_float64():
    assert Schedule([1, 2]) == Schedule([1.0, 2.0])
    assert Schedule(np.array([0.5], dtype=np.float32)).lrs.dtype == np.float64


def test_schedules_with_one_curve_are_one_point_of_a_set():
    cooled = build("wsd", {"peak_lr": 0.1, "cooldown_fraction": 1.0}, steps=10)
    assert len({cooled, build("linear", {"peak_lr": 0.1}, steps=10), Schedule(cooled.lrs)}) == 1


def test_a_schedule_is_not_equal_to_an_array_or_a_longer_one():
    assert Schedule([0.1]) != [0.1]
    assert Schedule([0.1]) != Schedule([0.1, 0.1])


@pytest.mark.parametrize("travel", [lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy, copy.copy])
def test_a_schedule_travels_between_processes(travel):
    schedule = build("wsd", {"peak_lr": 0.1}, steps=10)
    arrived = travel(schedule)
    assert (arrived, arrived.family, dict(arrived.params)) == (schedule, "wsd", dict(schedule.params))
    assert not arrived.lrs.flags.writeable


def test_its_length_and_ends_can_be_asked_for():
    schedule = Schedule([0.1, 0.3, 0.2])
    assert (len(schedule), schedule.steps, schedule.peak_lr, schedule.final_lr) == (3, 3, 0.3, 0.2)
    assert schedule.log_peak_lr == pytest.approx(-1.2039728)
    assert math.isfinite(Schedule([0.0, 0.0]).log_peak_lr)


def test_it_describes_itself_in_one_line():
    assert Schedule([0.1, 0.3]).describe() == "table(2 steps, peak 0.3)"
    assert build("constant", {"peak_lr": 0.1}, steps=9).describe() == "constant(peak_lr=0.1, warmup_steps=0)"
