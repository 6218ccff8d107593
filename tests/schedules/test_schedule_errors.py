"""Bad input ends in one line that names the argument, the rule and the value."""

import math

import numpy as np
import pytest

from autosched.errors import ScheduleError, UsageError
from autosched.schedules import Schedule, build, family_names, get_family

WSD = {"peak_lr": 0.1}
SHAPES = "linear, sqrt, cosine, mirror_cosine, square, exponential, inverse_proportional, power"

BAD_BUILDS = [
    ("cos", {}, 10, f"family must be one of {', '.join(family_names())}, but got 'cos'."),
    ("wsd", WSD, 0, "steps must be a whole number >= 1, but got 0."),
    ("wsd", WSD, -3, "steps must be a whole number >= 1, but got -3."),
    ("wsd", WSD, 10.0, "steps must be a whole number >= 1, but got 10.0."),
    ("wsd", WSD, True, "steps must be a whole number >= 1, but got True."),
    ("wsd", {}, 10, "wsd.peak_lr is missing; it must be > 0."),
    ("wsd", {"peak_lr": 0}, 10, "wsd.peak_lr must be > 0, but got 0."),
    ("wsd", {"peak_lr": -0.1}, 10, "wsd.peak_lr must be > 0, but got -0.1."),
    ("wsd", {"peak_lr": math.nan}, 10, "wsd.peak_lr must be > 0, but got nan."),
    ("wsd", {"peak_lr": math.inf}, 10, "wsd.peak_lr must be > 0, but got inf."),
    ("wsd", {"peak_lr": "0.1"}, 10, "wsd.peak_lr must be > 0, but got '0.1'."),
    ("wsd", {"peak_lr": True}, 10, "wsd.peak_lr must be > 0, but got True."),
    ("wsd", {"peak_lr": None}, 10, "wsd.peak_lr must be > 0, but got None."),
    ("wsd", {**WSD, "cooldown_fraction": 1.4}, 10, "wsd.cooldown_fraction must be in (0, 1], but got 1.4."),
    ("wsd", {**WSD, "cooldown_fraction": np.float64(0)}, 10, "wsd.cooldown_fraction must be in (0, 1], but got 0.0."),
    ("wsd", {**WSD, "final_lr_ratio": 2}, 10, "wsd.final_lr_ratio must be in [0, 1], but got 2."),
    ("wsd", {**WSD, "warmup_steps": -1}, 10, "wsd.warmup_steps must be a whole number >= 0, but got -1."),
    ("wsd", {**WSD, "warmup_steps": 1.5}, 10, "wsd.warmup_steps must be a whole number >= 0, but got 1.5."),
    (
        "wsd",
        {**WSD, "warmup_steps": 11},
        10,
        "wsd.warmup_steps must be below the 10 steps of the schedule, but got 11.",
    ),
    (
        "constant",
        {**WSD, "warmup_steps": 10},
        10,
        "constant.warmup_steps must be below the 10 steps of the schedule, but got 10.",
    ),
    (
        "wsd",
        {**WSD, "cooldown_shape": "root"},
        10,
        f"wsd.cooldown_shape must be one of {SHAPES}, but got 'root'.",
    ),
    (
        "wsd",
        {**WSD, "cooldown_shape": ["linear"]},
        10,
        f"wsd.cooldown_shape must be one of {SHAPES}, but got ['linear'].",
    ),
    (
        "wsd",
        {**WSD, "cooldown_power": 2},
        10,
        "wsd.cooldown_power exists only when cooldown_shape is power, but cooldown_shape is linear.",
    ),
    (
        "wsd",
        {**WSD, "cooldown_shape": "exponential"},
        10,
        "wsd.final_lr_ratio must be > 0 for an exponential cooldown, which never reaches 0, but got 0; try 0.01.",
    ),
    (
        "linear",
        {**WSD, "cooldown_shape": "inverse_proportional"},
        10,
        "linear.cooldown_final_ratio must be > 0 for an inverse-proportional cooldown, which never reaches 0, "
        "but got 0; try 0.01.",
    ),
    (
        "cosine",
        {**WSD, "warmup_steps": 4, "warmup_shape": "radam"},
        10,
        "cosine.warmup_steps must be 0 or >= 5 for a radam warmup with warmup_beta2 0.999, but got 4.",
    ),
    (
        "cosine",
        {**WSD, "warmup_start_ratio": 0.1},
        10,
        "cosine.warmup_start_ratio exists only when warmup_shape is ramp or logarithmic, but warmup_shape is linear.",
    ),
    (
        "cosine",
        {**WSD, "cooldown_fraction": 0.2},
        10,
        f"cosine.cooldown_fraction exists only when cooldown_shape is {SHAPES.replace(', ', ' or ')}, "
        "but cooldown_shape is none.",
    ),
    (
        "table",
        {"lrs": [0.1] * 10, "peak_lr": 0.2},
        10,
        "table has no parameter 'peak_lr'; it has lrs.",
    ),
    ("piecewise", {"values": [0.1]}, 10, "piecewise.boundaries is missing; it must be a list of numbers >= 1."),
    (
        "piecewise",
        {"values": [], "boundaries": []},
        10,
        "piecewise.values must have at least 1 number(s), but has 0.",
    ),
    (
        "piecewise",
        {"values": [0.1, -1], "boundaries": [3]},
        10,
        "piecewise.values[1] must be a number >= 0, but got -1.",
    ),
    (
        "piecewise",
        {"values": "0.1", "boundaries": []},
        10,
        "piecewise.values must be a list of numbers >= 0, but got '0.1'.",
    ),
    (
        "piecewise",
        {"values": [0.1, 0.2], "boundaries": [3, 4]},
        10,
        "piecewise.boundaries must be one fewer than the 2 values, but there are 2.",
    ),
    (
        "piecewise",
        {"values": [0.1, 0.2], "boundaries": [2.5]},
        10,
        "piecewise.boundaries[0] must be a whole number of updates, but got 2.5.",
    ),
    (
        "piecewise",
        {"values": [0.1, 0.2], "boundaries": [10]},
        10,
        "piecewise.boundaries[0] must be below the 10 steps of the schedule, but got 10.",
    ),
    (
        "piecewise",
        {"values": [0.1, 0.2, 0.3], "boundaries": [5, 5]},
        10,
        "piecewise.boundaries[1] must be above the one before it (5), but got 5.",
    ),
    ("table", {"lrs": [0.1, 0.2]}, 10, "table.lrs must have one LR for each of the 10 steps, but has 2."),
    ("table", {"lrs": [0.1, math.nan]}, 2, "table.lrs[1] must be a number >= 0, but got nan."),
    ("table", {"lrs": 0.1}, 2, "table.lrs must be a list of numbers >= 0, but got 0.1."),
    ("table", {"lrs": [[0.1, 0.2]]}, 1, "table.lrs[0] must be a number >= 0, but got [0.1, 0.2]."),
]


@pytest.mark.parametrize(("family", "params", "steps", "text"), BAD_BUILDS)
def test_a_schedule_that_cannot_exist_is_refused_with_one_line(family, params, steps, text):
    with pytest.raises(ScheduleError) as caught:
        build(family, params, steps=steps)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("lrs", "text"),
    [
        ([], "lrs must be a non-empty vector, but got shape (0,)."),
        (0.1, "lrs must be a non-empty vector, but got shape ()."),
        ([[0.1]], "lrs must be a non-empty vector, but got shape (1, 1)."),
        ([[0.1], [0.1, 0.2]], "lrs must be a vector, but got a ragged list."),
        ([0.1, -0.1], "lrs must be finite and >= 0, but update 1 has -0.1."),
        ([math.nan], "lrs must be finite and >= 0, but update 0 has nan."),
        (["0.1"], "lrs must be real numbers, but got <U3 values."),
        ([True], "lrs must be real numbers, but got bool values."),
        ([1j], "lrs must be real numbers, but got complex128 values."),
        ([None], "lrs must be real numbers, but got object values."),
        ([10**400], "lrs must be real numbers, but got object values."),
    ],
)
def test_an_array_that_is_no_schedule_is_refused_with_one_line(lrs, text):
    with pytest.raises(ScheduleError) as caught:
        Schedule(lrs)
    assert str(caught.value) == text


GOOD = Schedule([0.1, 0.05]).to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a schedule file at line 1: no JSON (Expecting property name"),
        ("[]", "not a schedule file: it must be an object, but is []."),
        (f'{{"lrs": {"[" * 100_000}', "not a schedule file: it is nested deeper than 100 levels."),
        (
            GOOD.replace("autosched.schedule", "other"),
            'not a schedule file: "format" must be "autosched.schedule", but',
        ),
        (GOOD.replace('"version": 1', '"version": 3'), 'not a schedule file: "version" must be 1 or 2, but got 3.'),
        (
            GOOD.replace('"version": 1', '"version": true'),
            'not a schedule file: "version" must be 1 or 2, but got true.',
        ),
        (GOOD.replace('"version": 1', '"version": 1.0'), 'not a schedule file: "version" must be 1 or 2, but got 1.0.'),
        (
            GOOD.replace('"steps": 2', '"steps": "2"'),
            'not a schedule file: "steps" must be a valid integer, but got "2".',
        ),
        (GOOD.replace('"steps": 2', '"steps": 3'), '"steps" must be the number of "lrs" (2), but got 3.'),
        (GOOD.replace('"steps": 2', '"steps": 2, "steps": 2'), 'not a schedule file: "steps" is given twice.'),
        (GOOD.replace('"steps": 2', '"steps": 2, "stpes": 2'), 'not a schedule file: "stpes" is not a known key.'),
        (GOOD.replace('"steps": 2, ', ""), 'not a schedule file: "steps" is missing.'),
        (GOOD.replace("[0.1, 0.05]", '"0.1"'), 'not a schedule file: "lrs" must be a valid list, but got "0.1".'),
        (
            GOOD.replace("[0.1, 0.05]", "[0.1, true]"),
            'not a schedule file: "lrs.1" must be a valid number, but got true.',
        ),
        (GOOD.replace("[0.1, 0.05]", "[0.1, NaN]"), "not a schedule file: NaN is no number that a file may hold."),
        (GOOD.replace("0.05]", "1e999]"), 'not a schedule file: "lrs.1" must be a finite number, but got Infinity.'),
        (GOOD.replace("0.05]", "-0.05]"), "lrs must be finite and >= 0, but update 1 has -0.05."),
        (GOOD.replace("[0.1, 0.05]", f"[{'9' * 5000}]"), "not a schedule file: a number in it has too many digits."),
        (GOOD.replace("[0.1, 0.05]", f"[{'9' * 400}, 1]"), 'not a schedule file: "lrs.0" must be a valid number, but'),
        (GOOD.replace("0.05]", "0.06]"), '"lrs" does not match "fingerprint": the file was edited or damaged.'),
        (
            GOOD.replace('"params": {}', '"params": {"a": null}'),
            'not a schedule file: "params.a" must be a number, text',
        ),
        (GOOD.replace('"params": {}', '"params": []'), 'not a schedule file: "params" must be an object, but got [].'),
    ],
)
def test_a_file_that_is_no_schedule_is_refused_with_one_line(text, message):
    with pytest.raises(ScheduleError) as caught:
        Schedule.from_json(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, -1, 3])
def test_a_prefix_longer_than_the_schedule_is_refused(length):
    with pytest.raises(ScheduleError, match=rf"^a prefix must have 1 to 2 steps, but got {length}\.$"):
        Schedule([0.1, 0.05]).prefix(length)


def test_a_schedule_error_is_bad_input_and_a_value_error():
    assert issubclass(ScheduleError, UsageError)
    assert issubclass(ScheduleError, ValueError)


def test_functions_of_unchecked_parameters_say_so():
    with pytest.raises(TypeError, match=r"peak_lr is of the wrong kind: '0.1'; use build\(\)"):
        get_family("constant").lrs({"peak_lr": "0.1", "warmup_steps": 0}, 10)
