"""What a sound space file means: values, defaults, overrides, and the way to JSON and back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from random_spaces import spaces
from space_text import LINES, written

from autosched.errors import SpaceError
from autosched.randomness import generator
from autosched.search.select import make_policy
from autosched.space import (
    Budget,
    Choice,
    Component,
    Fixed,
    Range,
    Space,
    Tracking,
    build_schedule,
    contains,
    draw,
    load_space,
    space_digest,
    space_from_json,
    space_to_json,
)
from autosched.space.document import parse_document

SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))


def again(space: Space) -> Space:
    """A space after the way through JSON text."""
    return space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))


def domain(space: Space, name: str) -> Any:
    return space.schedule[0].parameters[name].domain


def test_a_plain_value_fixes_bounds_search_and_a_list_is_a_choice(tmp_path: Path) -> None:
    space = load_space(written(tmp_path))
    assert domain(space, "peak_lr") == Range(low=1e-3, high=1e-1, log=True)
    assert domain(space, "warmup_steps") == Fixed(value=30)
    assert domain(space, "cooldown_fraction") == Range(low=0.05, high=1.0)
    assert domain(space, "cooldown_shape") == Choice(values=("linear", "sqrt", "power"))
    assert space.tracking == Tracking(uri="none")
    assert space.default is not None
    assert space.default.params["cooldown_fraction"] == 0.2  # the family's own


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E3", 1000.0),
        ("-2e+5", -2e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000", 1000),
        ("+7", 7),
        ("-0", 0),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("2024-01-31", "2024-01-31"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("1e", "1e"),
        ('"1e-3"', "1e-3"),
        ("true", True),
        ("~", None),
        ("-.Inf", float("-inf")),
        ("[1, 1e1, a]", [1, 10.0, "a"]),
        ("{a: {b: 1e-1}}", {"a": {"b": 0.1}}),
    ],
)
def test_a_yaml_scalar_is_read_as_a_person_would_read_it(text: str, value: Any) -> None:
    found = parse_document(f"key: {text}\n", file="space.yaml").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_an_integer_range_and_a_whole_float_are_whole(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, {12: "    warmup_steps: {low: 1, high: 99.0, scale: log}"}))
    assert domain(space, "warmup_steps") == Range(low=1, high=99, log=True, integer=True)
    drawn = draw(space, generator(0, "test")).params["warmup_steps"]
    assert isinstance(drawn, int)


def test_a_family_given_by_name_is_searched_in_its_own_bounds(tmp_path: Path) -> None:
    path = written(tmp_path)
    listed = load_space(path, ["schedule=[cosine, {linear: {peak_lr: 0.1}}]"])
    assert [family.family for family in listed.schedule] == ["cosine", "linear"]
    assert domain(listed, "peak_lr") == Range(low=1e-4, high=1e-1, log=True)
    assert load_space(path, ["schedule={cosine: , linear: {peak_lr: 0.1}}"]) == listed


def test_a_condition_leaves_a_parameter_to_its_default_where_it_does_not_hold(tmp_path: Path) -> None:
    changes = {
        14: "    cooldown_shape: [linear, power]",
        15: "    cooldown_power: [1.0, 3.0]\n    final_lr_ratio: {low: 0.1, high: 0.2, when: {cooldown_shape: linear}}",
    }
    space = load_space(written(tmp_path, changes))
    wsd = space.schedule[0].parameters
    assert wsd["cooldown_power"].when == {"cooldown_shape": ("power",)}
    assert wsd["final_lr_ratio"].when == {"cooldown_shape": ("linear",)}
    assert again(space) == space
    seen = set()
    for index in range(30):
        spec = draw(space, generator(index, "test"))
        shape = str(spec.params["cooldown_shape"])
        assert ("cooldown_power" in spec.params) == (shape == "power")
        assert ("final_lr_ratio" in spec.params) == (shape == "linear")
        assert (build_schedule(space, spec).params["final_lr_ratio"] == 0.0) == (shape == "power")
        seen.add(shape)
    assert seen == {"linear", "power"}


@pytest.mark.parametrize(("horizon", "every"), [(600, 20), (100, 4), (25_000, 1000), (7, 1), (1, 1), (97, 1)])
def test_evaluations_are_about_thirty_and_divide_the_run_when_nobody_says(
    tmp_path: Path, horizon: int, every: int
) -> None:
    changes = {6: f"horizon_steps: {horizon}", 7: "", 8: "", 12: "    warmup_steps: 0", 19: ""}
    space = load_space(written(tmp_path, changes))
    assert (space.eval_every, horizon % space.eval_every, space.checkpoint_every % space.eval_every) == (every, 0, 0)
    assert space.eval_every <= space.checkpoint_every <= horizon
    assert again(space) == space


def test_a_horizon_that_nothing_divides_must_say_when_to_evaluate(tmp_path: Path) -> None:
    path = written(tmp_path, {6: "horizon_steps: 601", 7: "", 8: ""})
    with pytest.raises(SpaceError, match=r":1: eval_every is missing, and no 10 to 100 evaluations divide horizon"):
        load_space(path)
    assert load_space(path, ["eval_every=1"]).eval_every == 1


def test_full_runs_are_updates_and_the_smaller_limit_counts(tmp_path: Path) -> None:
    path = written(tmp_path, {23: "budget: {full_runs: 2.5, minutes: 3}"})
    assert load_space(path).budget == Budget(steps=1500, minutes=3.0)
    assert load_space(path, ["budget.steps=1000"]).budget.steps == 1000
    assert load_space(path, ["budget.steps=2000"]).budget.steps == 1500
    assert load_space(path, ["budget.full_runs=1e-9"]).budget.steps == 1


# -- overrides ------------------------------------------------------------------------------------------------------


def test_overrides_are_applied_in_order_and_read_like_the_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    given = ["schedule.wsd.peak_lr.high=3e-2", "seed=1", "seed = 2", "resources.cpus=0.5", "tracking=none"]
    space = load_space(path, [*given, "controller={use: gp, n_startup_trials: 3}", "trainer.with.deep.er=[1, x]"])
    assert domain(space, "peak_lr") == Range(low=1e-3, high=0.03, log=True)
    assert (space.seed, space.resources.cpus, space.resources.workers) == (2, 0.5, 2)
    assert space.controller == Component(name="gp", options={"n_startup_trials": 3})
    assert space.trainer.options == {"noise": 0.0, "deep": {"er": [1, "x"]}}
    assert load_space(path) == load_space(path, [])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed", "an override must be key=value, e.g. seed=1, but got 'seed'."),
        ("=3", "an override must be key=value, e.g. seed=1, but got '=3'."),
        ("budget.=3", "an override must be key=value, e.g. seed=1, but got 'budget.=3'."),
        ("seed=", "seed must be a whole number >= 0, but got nothing."),
        ("sede=1", "sede is not a known key, must be one of study,"),
        ("budget.trails=1", "budget.trails is not a known key, must be one of trials,"),
        (
            "schedule.wsd.warmup_steps.high=3",
            "schedule.wsd.warmup_steps.high does not exist: schedule.wsd.warmup_steps is 30, not",
        ),
        (
            "controller.n_startup_trials=3",
            "controller.n_startup_trials does not exist: controller is 'tpe', not a mapping; set",
        ),
        ("schedule.wsd.peak_lr.high=1e-4", "schedule.wsd.peak_lr.low must be below high (0.0001), but got 0.001."),
        ("schedule.wsd.warmup_steps=600", "schedule.wsd.warmup_steps must be below the 600 steps of the schedule, but"),
        ("horizon_steps=610", "eval_every must divide horizon_steps (610) without rest, but got 20."),
        ("eval_every=25", "checkpoint_every must be a multiple of eval_every (25), but got 40."),
        ("seed=[", "seed: not valid YAML: while parsing a flow node, expected the node content"),
        ("seed=*a", "seed: not valid YAML: anchors (&) and aliases (*) are not allowed here"),
        ("budget={trials: 1, trials: 2}", "budget: 'trials' is already given in line 1; keep one."),
        ("seed=!!python/name:os.system x", "seed: the YAML tag tag:yaml.org,2002:python/name:os.system is not"),
        ("a\nb=1", r"'a\nb' is not a known key"),
    ],
)
def test_a_faulty_override_is_blamed_on_the_command_line(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(written(tmp_path), [override])
    assert str(caught.value).startswith(f"--set: {says}")
    assert str(caught.value).isprintable()


def test_a_fault_of_the_file_is_told_before_one_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"space\.yaml:7: eval_every must be"):
        load_space(written(tmp_path, {7: "eval_every: 0"}), ["seed=-1"])


def test_an_override_mends_a_fault_of_the_file(tmp_path: Path) -> None:
    assert load_space(written(tmp_path, {7: "eval_every: 0"}), ["eval_every=10"]).eval_every == 10


# -- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_space_loads_survives_json_and_names_real_components(path: Path) -> None:
    space = load_space(path)
    assert again(space) == space
    assert space_digest(again(space)) == space_digest(space)
    assert space.default is not None
    build_schedule(space, space.default)
    make_policy(space)


def test_four_spaces_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} >= {"wsd", "cosine", "shapes", "vision"}


@given(data=spaces(), seed=st.integers(0, 2**32))
@settings(max_examples=120, deadline=None)
def test_whatever_is_accepted_survives_json_and_draws_sound_schedules(data: dict[str, Any], seed: int) -> None:
    try:
        space = space_from_json(data)
    except SpaceError as error:
        event(f"refused: {str(error)[-40:]}")
        assume(False)
    assert again(space) == space
    assert space_digest(again(space)) == space_digest(space)
    for index in range(5):
        spec = draw(space, generator(seed, index))
        assert contains(space, spec)
        schedule = build_schedule(space, spec)
        assert schedule.steps == space.horizon_steps
        assert all(schedule.params[name] == value for name, value in spec.params.items())


def test_a_digest_ignores_the_order_of_keys_and_notices_every_value(tmp_path: Path) -> None:
    space = load_space(written(tmp_path))
    swapped = load_space(written(tmp_path, {1: "seed: 0", 2: "study: demo"}))
    assert space_digest(swapped) == space_digest(space)
    assert space_digest(replace(space, seed=1)) != space_digest(space)


def test_json_that_is_no_space_is_refused_without_a_line() -> None:
    with pytest.raises(SpaceError, match="a space must be a JSON object, but got list"):
        space_from_json([])  # type: ignore[arg-type]
    with pytest.raises(SpaceError) as caught:
        space_from_json({"study": "s", "seed": -1})
    assert str(caught.value) == "seed must be a whole number >= 0, but got -1."


@pytest.mark.parametrize(
    "line", ["schedule: {recipe: nanogpt, peak_lr: %s}", "schedule: [{recipe: nanogpt, peak_lr: %s}]"]
)
def test_a_recipe_by_name_is_the_family_of_that_name(tmp_path: Path, line: str) -> None:
    bounds = "{low: 1e-4, high: 1e-2, scale: log}, min_lr: 6e-5, lr_decay_iters: 500"
    default = "default: {recipe: nanogpt, peak_lr: 1e-3, min_lr: 6e-5}"
    text = re.sub(
        r"schedule:.*controller", f"{line % bounds}\n{default}\ncontroller", "\n".join(LINES), flags=re.DOTALL
    )
    (tmp_path / "space.yaml").write_text(text)
    space = load_space(tmp_path / "space.yaml")
    assert [family.family for family in space.schedule] == ["nanogpt"]
    assert domain(space, "min_lr") == Fixed(value=6e-5)
    assert domain(space, "peak_lr") == Range(low=1e-4, high=1e-2, log=True)
    assert space.default is not None
    assert build_schedule(space, space.default).lrs[-1] > 6e-5
    assert again(space) == space


def test_a_recipe_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    text = re.sub(r"schedule:.*default:", "schedule:\n  recipe: nanogp\ndefault:", "\n".join(LINES), flags=re.DOTALL)
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(
        SpaceError, match=r":10: recipe must be one of nanogpt, .*, but got 'nanogp'; did you mean 'nanogpt'"
    ):
        load_space(tmp_path / "space.yaml")
