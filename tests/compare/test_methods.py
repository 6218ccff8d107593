"""Methods by name, and the studies that are planned for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autosched.compare.method import Method, parse_method, parse_methods
from autosched.compare.plan import algoperf_terms, equal_updates, plan
from autosched.errors import UsageError
from autosched.space import load_space
from autosched.space.names import CONTROLLERS, PRUNERS
from autosched.space.records import Budget, Component, Confirm, Space
from autosched.study.start import CHECKS

SPACE = Path(__file__).parents[2] / "search_spaces" / "wsd.yaml"


@pytest.fixture
def space() -> Space:
    changes = ["controller={use: tpe, n_startup_trials: 3}", "pruner=law", "trainer={use: simulated}"]
    return load_space(SPACE, changes)


def named(methods: tuple[Method, ...]) -> list[str]:
    return [method.name for method in methods]


def test_every_controller_and_pruner_that_a_space_may_name_is_a_method(space: Space) -> None:
    for controller in CONTROLLERS:
        for pruner in PRUNERS:
            method = parse_method(f"{controller}+{pruner}", space)
            assert (method.controller.name, method.pruner.name) == (controller, pruner)


def test_a_controller_alone_has_the_spaces_pruner(space: Space) -> None:
    assert named(parse_methods("tpe, random+none", [], space)) == ["tpe+law", "random+none"]


def test_the_spaces_own_controller_keeps_its_options(space: Space) -> None:
    tpe, gp = parse_methods("tpe,gp", [], space)
    assert tpe.controller == Component(name="tpe", options={"n_startup_trials": 3})
    assert gp.controller == Component(name="gp")


def test_unless_it_is_said_the_spaces_own_method_is_compared_with_what_it_must_beat(space: Space) -> None:
    assert named(parse_methods(None, [], space)) == ["tpe+law", "tpe+none", "random+none", "random+asha"]


def test_a_variant_is_a_method_with_changes_of_its_own(space: Space, tmp_path: Path) -> None:
    text = "quiet=random+none trainer.with.noise=0 'schedule.wsd.cooldown_shape=[linear, sqrt]'"
    (method,) = parse_methods(None, [text], space)
    assert (method.name, method.overrides[0]) == ("quiet", "trainer.with.noise=0")
    (job,) = plan(space, [method], equal_updates(space, full_runs=2, seeds=1), tmp_path, CHECKS)
    assert job.space.trainer.options == {"noise": 0}
    assert job.space.family("wsd").parameters["cooldown_shape"].domain.values == ("linear", "sqrt")


@pytest.mark.parametrize(
    ("listed", "variants", "says"),
    [
        ("tpee+law", [], "method 'tpee.law': its controller must be one of .*, but got 'tpee'; did you mean 'tpe'"),
        ("tpe+lawn", [], "its pruner must be one of law, .*, but got 'lawn'; did you mean 'law'"),
        ("tpe+law,tpe", [], "'tpe.law' is given twice"),
        ("tpe+law", ["tpe-law=gp"], "'tpe-law' is given twice"),
        ("", [], "its controller must be one of"),
        (None, ["tpe+law"], "--variant must be NAME=CONTROLLER.PRUNER KEY=VALUE"),
        (None, ["a b=tpe"], "--variant must be"),
        (None, ["a='tpe"], "--variant must be"),
        (None, [""], "--variant must be"),
        (None, ["a=tpe workers"], "'workers' in it has no value"),
        (None, ["a=tpe budget.trials=9"], "--variant cannot change budget: use --full-runs"),
    ],
)
def test_methods_that_cannot_be(space: Space, listed: str | None, variants: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_methods(listed, variants, space)


def test_all_studies_have_equal_terms_and_folders_of_their_own(space: Space, tmp_path: Path) -> None:
    methods = parse_methods("tpe+law,random+none", [], space)
    jobs = plan(space, methods, equal_updates(space, full_runs=2.5, seeds=2, fresh_seeds=3), tmp_path, CHECKS)
    assert [job.space.study for job in jobs] == ["tpe-law-0", "random-none-0", "tpe-law-1", "random-none-1"]
    assert [job.space.seed for job in jobs] == [0, 0, 1, 1]
    assert {job.space.budget for job in jobs} == {Budget(steps=1500)}
    assert {job.space.confirm for job in jobs} == {Confirm(finalists=1, seeds=3)}
    assert {job.space.tracking.uri for job in jobs} == {"none"}
    assert {job.space.resources.workers for job in jobs} == {1}
    assert len({job.space.storage.ledger for job in jobs}) == len({job.space.storage.checkpoints for job in jobs}) == 4
    assert jobs[0].space.default == space.default
    assert jobs[0].state() is None
    assert list(tmp_path.iterdir()) == []


def test_algoperfs_studies_begin_without_the_default(space: Space, tmp_path: Path) -> None:
    jobs = plan(space, parse_methods("gp+none", [], space), algoperf_terms(), tmp_path, CHECKS)
    assert [job.space.default for job in jobs] == [None] * 3
    assert jobs[0].space.budget == Budget(trials=5)


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ("a=tpe+law trainer.with.nose=1", "^--variant a: simulated trainer: unknown option 'nose'"),
        ("a=tpe+law trainer.wiht.noise=1", "^--variant a: trainer.wiht is not a known key"),
        ("a=tpe+law controller.group=maybe", "^--variant a: controller 'tpe': group must be"),
        ("a=tpe+law horizon_steps=0", "^--variant a: horizon_steps must be a whole number >= 1"),
    ],
)
def test_a_fault_in_a_variant_is_told_before_anything_is_trained(
    space: Space, tmp_path: Path, variant: str, says: str
) -> None:
    methods = parse_methods(None, [variant], space)
    with pytest.raises(UsageError, match=says):
        plan(space, methods, equal_updates(space, full_runs=1), tmp_path, CHECKS)
    assert list(tmp_path.iterdir()) == []


def test_the_budget_is_the_spaces_own_in_updates_unless_another_is_named(space: Space) -> None:
    own = replace(space, budget=Budget(steps=2 * space.horizon_steps, trials=9))
    assert equal_updates(own).budget == Budget(steps=2 * space.horizon_steps)
    assert equal_updates(own, full_runs=3).budget == Budget(steps=3 * space.horizon_steps)
    assert equal_updates(replace(space, budget=Budget(trials=9))).budget == Budget(steps=6 * space.horizon_steps)


@pytest.mark.parametrize(("full_runs", "seeds"), [(0.5, 1), (float("nan"), 1), (1.0, 0)])
def test_terms_that_allow_nothing_are_refused(space: Space, full_runs: float, seeds: int) -> None:
    with pytest.raises(UsageError, match="but got"):
        equal_updates(space, full_runs=full_runs, seeds=seeds)


def test_plans_are_plain_data_that_other_processes_can_be_given(space: Space, tmp_path: Path) -> None:
    (job,) = plan(space, parse_methods("gp+none", [], space), equal_updates(space, full_runs=1, seeds=1), tmp_path, {})
    assert json.dumps(dict(job.space.trainer.options)) == "{}"
