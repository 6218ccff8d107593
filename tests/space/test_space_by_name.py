"""A family listed by name is a sound space, and what goes without saying stays unsaid in it."""

import pytest

from autosched.randomness import generator
from autosched.schedules import family_names, get_family
from autosched.search.optuna_controller import locate
from autosched.space import build_schedule, contains, draw, space_from_json, space_to_json
from autosched.space.records import Choice, Fixed, Range, ScheduleSpec

SEARCHED = [
    name
    for name in family_names()
    if all(p.default is not None or p.search_low is not None for p in get_family(name).parameters.values())
]


def space_of(schedule, horizon_steps=400):
    return space_from_json(
        {"study": "s", "trainer": {"use": "simulated"}, "horizon_steps": horizon_steps, "schedule": schedule}
    )


@pytest.mark.parametrize("horizon_steps", [40, 600, 10_000])
@pytest.mark.parametrize("name", SEARCHED)
def test_every_draw_of_a_family_s_own_bounds_is_a_schedule(name, horizon_steps):
    space = space_of([name], horizon_steps)
    for index in range(30):
        schedule = build_schedule(space, draw(space, generator(0, index, "test")))
        assert schedule.steps == horizon_steps
        assert schedule.peak_lr > 0


def test_only_families_that_are_given_lr_by_lr_cannot_be_listed_by_name():
    needing_values = {name for name in family_names() if name not in SEARCHED}
    assert {"piecewise", "table"} <= needing_values
    for name in needing_values:
        assert any(p.required and p.search_low is None for p in get_family(name).parameters.values())


@pytest.mark.parametrize("name", [name for name in SEARCHED if not get_family(name).recipe])
def test_warmup_shapes_and_further_cooldowns_are_not_searched_by_name(name):
    parameters = space_of([name]).schedule[0].parameters
    assert not {parameter for parameter in parameters if parameter.startswith("warmup_")} - {"warmup_steps"}
    shape = get_family(name).parameters.get("cooldown_shape")
    assert ("cooldown_shape" in parameters) == (shape is not None and not shape.implied)


COOLED = {
    "cosine": {
        "peak_lr": 0.1,
        "warmup_steps": 10,
        "warmup_shape": ["linear", "ramp"],
        "cooldown_shape": ["none", "sqrt"],
        "cooldown_fraction": {"low": 0.1, "high": 0.4},
    }
}


def test_a_space_may_ask_for_them():
    parameters = space_of(COOLED).schedule[0].parameters
    assert parameters["warmup_shape"].domain == Choice(values=("linear", "ramp"))
    assert parameters["warmup_start_ratio"].when == {"warmup_shape": ("ramp",)}
    assert parameters["cooldown_fraction"].domain == Range(low=0.1, high=0.4)
    assert parameters["cooldown_fraction"].when == {"cooldown_shape": ("sqrt",)}
    assert parameters["cooldown_final_ratio"].domain == Fixed(value=0.0)


def test_a_point_that_leaves_unsaid_what_goes_without_saying_is_inside_a_space_that_searches_it():
    space = space_of(COOLED)
    plain = ScheduleSpec(family="cosine", params={"peak_lr": 0.1, "warmup_steps": 10, "final_lr_ratio": 0.0})
    assert contains(space, plain)
    located = locate(space, plain)
    assert located is not None
    assert located[0] == {"cosine.warmup_shape": 0, "cosine.cooldown_shape": 0}


def test_a_space_written_before_there_were_shapes_is_the_space_it_was():
    wsd = {"peak_lr": 0.1, "warmup_steps": 10, "cooldown_fraction": 0.2, "cooldown_shape": "linear"}
    before = {"wsd": {**wsd, "final_lr_ratio": 0.0}}
    again = space_to_json(space_of(before))["schedule"]
    assert list(again[0]["wsd"]) == ["peak_lr", "warmup_steps", "cooldown_fraction", "cooldown_shape", "final_lr_ratio"]


def test_a_point_that_says_what_goes_without_saying_is_inside_a_space_that_does_not_ask():
    space = space_of({"linear": {"peak_lr": 0.1, "final_lr_ratio": 0.0}})
    said = {"peak_lr": 0.1, "final_lr_ratio": 0.0, "warmup_steps": 0, "cooldown_shape": "none"}
    assert contains(space, ScheduleSpec(family="linear", params=said))
    assert not contains(space, ScheduleSpec(family="linear", params={**said, "cooldown_shape": "sqrt"}))
