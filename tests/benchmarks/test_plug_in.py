"""The plug-ins on the Llama runs, made and recorded: what their rule does to other libraries' searches."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches.drive import drive
from searches.optuna_peer import OptunaSearch
from searches.plug_in import OptunaLaw, RayLaw
from searches.recorded import RecordedWorld, recorded_world

from autosched.testing.published_curves import published_curves


@pytest.fixture(scope="module", params=["made", pytest.param("recorded", marks=pytest.mark.recorded)])
def world(request: pytest.FixtureRequest, made_folder: Path) -> RecordedWorld:
    return recorded_world(made_folder if request.param == "made" else published_curves(), "llama124m", 25_000)


@pytest.mark.slow
def test_a_plain_optuna_study_of_36_runs_finds_the_target_with_fewer_updates_in_every_order(
    world: RecordedWorld,
) -> None:
    seeds = range(2)
    plain = [drive(world, OptunaSearch(world, seed, sampler="random", pruner="none")).spent for seed in seeds]
    law = [drive(world, OptunaLaw(world, seed, sampler="random")) for seed in seeds]
    spent = [outcome.spent for outcome in law]
    assert None not in spent
    assert all(ours <= theirs for ours, theirs in zip(spent, plain, strict=True))
    assert sum(spent) < 0.8 * sum(plain)
    assert not any(outcome.winner_killed for outcome in law)


@pytest.mark.slow
def test_ray_tune_finds_the_target_with_fewer_updates_too(world: RecordedWorld) -> None:
    plain = drive(world, OptunaSearch(world, 2, sampler="random", pruner="none"))
    outcome = drive(world, RayLaw(world, 2))  # the same runs in the same order
    assert outcome.spent is not None
    assert outcome.spent < 0.8 * plain.spent
    assert outcome.false_kills == 0
