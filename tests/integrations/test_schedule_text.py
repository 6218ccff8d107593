import json

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.integrations.schedule_text import LONGEST_TEXT, TOLERANCE, schedule_from_text, schedule_to_text
from autosched.randomness import generator
from autosched.schedules import Schedule, build

WSD = {"peak_lr": 1e-3, "warmup_steps": 300, "cooldown_fraction": 0.4}


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("wsd", WSD),
        ("cosine", {"peak_lr": 0.1, "warmup_steps": 10}),
        ("piecewise", {"values": [0.1, 0.01], "boundaries": [12_000]}),
    ],
)
def test_a_family_comes_back_to_the_last_bit(family, params):
    schedule = build(family, params, steps=25_000)
    text = schedule_to_text(schedule)
    assert len(text) < 400
    assert schedule_from_text(text) == schedule
    assert schedule_from_text(text).params == schedule.params


def drawn(steps):
    """Any LRs: a cosine with a jump, a plateau and a kink."""
    lrs = 0.05 * (1 + np.cos(np.pi * np.arange(steps) / steps))
    lrs[steps // 2 :] *= 0.3
    lrs[-steps // 5 :] = 0.01
    return lrs


@pytest.mark.parametrize("steps", [1, 2, 7, 1000, 200_000])
def test_any_lrs_come_back_within_a_ten_thousandth_of_the_peak_and_stay_short(steps):
    schedule = Schedule(drawn(steps))
    text = schedule_to_text(schedule)
    found = schedule_from_text(text)
    assert len(text) < 6000
    assert found.steps == steps
    assert np.abs(found.lrs - schedule.lrs).max() <= TOLERANCE * schedule.peak_lr * (1 + 1e-9)


def test_straight_lines_need_their_ends_only():
    lrs = np.concatenate([np.linspace(0.001, 0.1, 100), np.full(800, 0.1), np.linspace(0.1, 0.0, 101)[1:]])
    knots = json.loads(schedule_to_text(Schedule(lrs)))["knots"]
    assert [update for update, _ in knots] == [0, 99, 899, 999]


def test_a_foreign_family_name_is_not_believed():
    renamed = Schedule(drawn(500), family="wsd", params=dict(build("wsd", WSD, steps=500).params))
    assert "knots" in schedule_to_text(renamed)
    assert "knots" in schedule_to_text(Schedule(drawn(500), family="mine"))


def test_noise_is_refused_because_it_would_not_fit():
    noise = Schedule(generator(0, "noise").uniform(0, 0.1, size=20_000))
    with pytest.raises(ScheduleError, match=f"changes too often to be kept with a trial: .*at most {LONGEST_TEXT}"):
        schedule_to_text(noise)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wsd", "'wsd' cannot be read: no JSON"),
        ("[1, 2]", "must be an object, but is"),
        ('{"steps": 0, "knots": []}', '"steps" must be greater than or equal to 1, but got 0'),
        ('{"steps": 10}', '"knots" must be .* rising from 0 to 9'),
        ('{"steps": 10, "knots": [[0, 0.1], [5, "a"]]}', '"knots.1.1" must be a valid number, but got "a"'),
        ('{"steps": "10", "knots": [[0, 0.1], [9, 0.1]]}', '"steps" must be a valid integer, but got "10"'),
        ('{"steps": 10, "steps": 9, "knots": [[0, 0.1], [9, 0.1]]}', '"steps" is given twice'),
        ('{"steps": 10, "knots": [[0, 0.1], [8, 0.1]]}', '"knots" must be'),
        ('{"steps": 10, "knots": [[0, 0.1], [5, 0.1], [5, 0.2], [9, 0.1]]}', '"knots" must be'),
        ('{"steps": 10, "knots": [[0, 0.1], [9, -0.1]]}', "finite and >= 0"),
        ('{"steps": 10, "family": "wsdd", "params": {}}', "family must be one of"),
        ('{"steps": 10, "family": "wsd", "params": {"peak": 1}}', "peak"),
    ],
)
def test_a_text_that_is_no_schedule_is_refused_in_one_line(text, says):
    with pytest.raises(ScheduleError, match=says) as error:
        schedule_from_text(text)
    assert "\n" not in str(error.value)
