"""Bounds that a range test is to find: what may be written, what it means, and how they are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from space_text import written

from autosched.curves.range_test import Sweep
from autosched.errors import SpaceError
from autosched.space import Range, Space, load_space, space_digest, space_from_json, space_to_json
from autosched.space.auto_bounds import conflict, has_auto_bounds, with_bounds
from autosched.space.trainer_file import load_sweep_task

AUTO = {11: "    peak_lr: auto"}


def loaded(folder: Path, changes: Mapping[int, str]) -> Space:
    return load_space(written(folder, changes))


def peak(space: Space, family: str = "wsd") -> Range:
    domain = space.family(family).parameters["peak_lr"].domain
    assert isinstance(domain, Range)
    return domain


@pytest.mark.parametrize("text", ["auto", "{low: auto, high: auto}", "{low: auto, high: auto, scale: log}"])
def test_auto_leaves_both_bounds_to_a_range_test_on_a_log_scale(tmp_path: Path, text: str) -> None:
    space = loaded(tmp_path, {11: f"    peak_lr: {text}"})
    assert peak(space) == Range(low=1e-4, high=0.1, log=True, auto_low=True, auto_high=True)
    assert has_auto_bounds(space)
    assert space.range_test == Sweep(low=1e-6, high=10.0, steps=200)


def test_one_bound_can_be_written_and_keeps_its_value(tmp_path: Path) -> None:
    high = loaded(tmp_path, {11: "    peak_lr: {low: auto, high: 5e-5}"})
    assert (peak(high).auto_low, peak(high).auto_high, peak(high).high) == (True, False, 5e-5)
    assert peak(high).low < 5e-5
    filled = with_bounds(high, low=1e-6, high=0.2)
    assert peak(filled) == Range(low=1e-6, high=5e-5, log=True)
    low = with_bounds(loaded(tmp_path, {11: "    peak_lr: {low: 0.5, high: auto}"}), low=1e-3, high=2.0)
    assert peak(low) == Range(low=0.5, high=2.0, log=True)


def test_found_bounds_fill_every_family_that_asked_and_no_other(tmp_path: Path) -> None:
    others = "\n  cosine: {peak_lr: {low: 1e-3, high: 1e-2}}\n  linear: {peak_lr: auto}"
    space = loaded(tmp_path, {**AUTO, 15: f"    final_lr_ratio: 0.0{others}"})
    filled = with_bounds(space, low=2e-3, high=0.2)
    assert not has_auto_bounds(filled)
    assert peak(filled) == peak(filled, "linear") == Range(low=2e-3, high=0.2, log=True)
    assert peak(filled, "cosine") == peak(space, "cosine")
    assert space_from_json(space_to_json(filled)) == filled


def test_a_space_with_auto_bounds_survives_json_with_its_sweep(tmp_path: Path) -> None:
    space = loaded(tmp_path, {**AUTO, 2: "seed: 3\nrange_test: {low: 1e-5, high: 1, steps: 120}"})
    assert space.range_test == Sweep(low=1e-5, high=1.0, steps=120)
    assert space_from_json(space_to_json(space)) == space
    assert space_digest(space) != space_digest(loaded(tmp_path, {**AUTO, 2: "seed: 3"}))
    assert space_digest(space) != space_digest(with_bounds(space, low=1e-4, high=0.1))


def test_bounds_that_leave_nothing_beside_a_written_one_are_a_conflict(tmp_path: Path) -> None:
    high = loaded(tmp_path, {11: "    peak_lr: {low: auto, high: 1e-3}"})
    assert conflict(high, low=1e-4, high=0.1) is None
    said = conflict(high, low=2e-3, high=0.2)
    assert said == (
        "the range test suggests peak_lr from 0.002 to 0.2, and none of it is below the bound of wsd (0.001); "
        "write both bounds, or let both be auto."
    )
    low = loaded(tmp_path, {11: "    peak_lr: {low: 0.5, high: auto}"})
    assert "none of it is above the bound of wsd (0.5)" in str(conflict(low, low=2e-3, high=0.2))


@pytest.mark.parametrize(
    ("changes", "line", "says"),
    [
        ({13: "    cooldown_fraction: auto"}, 13, "schedule.wsd.cooldown_fraction must be in (0, 1], but got 'auto'"),
        ({13: "    cooldown_fraction: {low: auto, high: 1}"}, 13, "a range test finds bounds of peak_lr only"),
        ({12: "    warmup_steps:\n      low: 1\n      high: auto"}, 14, "finds bounds of peak_lr only"),
        ({14: "    cooldown_shape: auto"}, 14, "cooldown_shape must be one of"),
        ({11: "    peak_lr: [auto, 1e-3]"}, 11, "peak_lr[0] must be a number > 0, but got 'auto'"),
        ({11: "    peak_lr: {value: auto}"}, 11, "peak_lr.value must be a number > 0, but got 'auto'"),
        ({11: "    peak_lr: {low: auto}"}, 11, "schedule.wsd.peak_lr.high is missing"),
        ({11: "    peak_lr:\n      low: auto\n      high: -1"}, 13, "peak_lr.high must be > 0, but got -1"),
        ({11: "    peak_lr: {low: auto, high: auto, scale: linear}"}, 11, "peak_lr.scale must be log, or left out"),
        ({18: "    peak_lr: auto"}, 18, "default.wsd.peak_lr must be a number > 0, but got 'auto'"),
        ({2: "range_test: {steps: 200}"}, 2, "range_test finds bounds that are auto, but this space has none"),
        ({**AUTO, 2: "range_test: 200"}, 2, "range_test must be a mapping like {low: 1e-6, high: 10, steps: 200}"),
        ({**AUTO, 2: "range_test:\n  stesp: 200"}, 3, "did you mean 'steps'?"),
        ({**AUTO, 2: "range_test:\n  high: 1\n  low: 2"}, 4, "range_test.low must be below high (1), but got 2"),
        ({**AUTO, 2: "range_test:\n  high: 1\n  steps: 59"}, 4, "range_test.steps must be at least 60 from LR 1e-06"),
        ({**AUTO, 23: "budget:\n  trials: 3\n  steps: 799"}, 25, "budget.steps must leave room for 800 updates"),
        (
            {**AUTO, 23: "budget: {full_runs: 1}"},
            23,
            "budget.full_runs must leave room for 800 updates, a full",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_auto_where_it_makes_no_sense_is_one_line(tmp_path: Path, changes, line, says) -> None:
    path = written(tmp_path, changes)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
    assert says in str(caught.value)


def test_a_range_test_reads_a_space_or_no_more_than_a_trainer(tmp_path: Path) -> None:
    of_space = load_sweep_task(written(tmp_path, {2: "seed: 7"}))
    assert (of_space.trainer.use, of_space.seed, of_space.sweep) == ("simulated", 7, Sweep())
    path = tmp_path / "trainer.yaml"
    path.write_text("trainer:\n  use: simulated\n  with: {noise: 0.1}\nrange_test: {high: 1}\n")
    task = load_sweep_task(path, ["seed=2"])
    assert (dict(task.trainer.options), task.seed, task.sweep.high) == ({"noise": 0.1}, 2, 1.0)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("seed: 1\n", 1, "trainer is missing"),
        ("trainer: {use: simulated}\nsede: 1\n", 2, "did you mean 'seed'?"),
        ("trainer: {use: simulated}\nstudy: s\n", 1, "horizon_steps is missing"),
        ("trainer: {use: simulated}\nrange_test: {low: 20}\n", 2, "range_test.low must be below high (10)"),
    ],
)
def test_a_faulty_trainer_file_is_one_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "trainer.yaml"
    path.write_text(text)
    with pytest.raises(SpaceError) as caught:
        load_sweep_task(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert says in str(caught.value)
