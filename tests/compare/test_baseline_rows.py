"""Optimizers that choose their own step as rows beside tuned schedules, on the vision trainer."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from autosched.compare.method import parse_methods
from autosched.compare.plan import equal_updates, plan
from autosched.compare.run import Means, run_jobs
from autosched.errors import UsageError
from autosched.space import load_space
from autosched.space.records import Space
from autosched.study.run import RunOptions, make_backend
from autosched.study.start import CHECKS

SPACES = Path(__file__).parents[2] / "search_spaces"
MEANS = Means(make_backend=partial(make_backend, options=RunOptions(backend="local")), quiet=True)
CONSTANT = "schedule={constant: {peak_lr: 1.0}} default={constant: {peak_lr: 1.0}}"


@pytest.fixture
def space() -> Space:
    sizes = ["trainer={use: vision, with: {width: 4, batch: 8, device: cpu}}", "horizon_steps=30"]
    return load_space(SPACES / "vision.yaml", [*sizes, "eval_every=10", "checkpoint_every=10"])


def variant(name: str, optimizer: str) -> str:
    quoted = " ".join(f"'{change}'" for change in CONSTANT.replace(" default", "\ndefault").split("\n"))
    return f"{name}=random+none 'trainer.with.optimizer={optimizer}' {quoted}"


def test_a_baseline_is_a_row_beside_a_tuned_schedule(space: Space, tmp_path: Path) -> None:
    variants = [variant("prodigy", "prodigy"), variant("slow-prodigy", "{use: prodigy, with: {growth_rate: 1.02}}")]
    methods = parse_methods("random+none", variants, space)
    jobs = plan(space, methods, equal_updates(space, full_runs=2, seeds=1), tmp_path, CHECKS)
    tuned, prodigy, slow = run_jobs(jobs, MEANS)
    assert [trace.method for trace in (tuned, prodigy, slow)] == ["random+none", "prodigy", "slow-prodigy"]
    assert (tuned.spent, prodigy.spent, slow.spent) == (60, 30, 30)  # there is one such schedule, so it is run once
    assert len({tuned.best, prodigy.best, slow.best}) == 3


def test_a_baseline_that_is_none_is_refused_before_anything_runs(space: Space, tmp_path: Path) -> None:
    terms = equal_updates(space, full_runs=2, seeds=1)
    for optimizer, message in (("none", "optimizer must be one of adamw"), ("{use: dog, with: {x: 1}}", "option 'x'")):
        methods = parse_methods(None, [variant("mine", optimizer)], space)
        with pytest.raises(UsageError, match=f"--variant mine.*{message}"):
            plan(space, methods, terms, tmp_path, CHECKS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["prodigy", "schedule_free"])
def test_the_shipped_spaces_of_baselines_pass_their_checks(name: str) -> None:
    load_space(SPACES / f"{name}.yaml", checks=CHECKS)
