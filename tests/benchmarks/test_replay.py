"""What a search has paid is reckoned by hand in worlds of a few runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from replay import main
from searches.drive import Outcome, drive
from searches.figures import figures
from searches.methods import all_methods
from searches.optuna_peer import OptunaSearch
from searches.ray_peer import RayAsha
from searches.recorded import recorded_world
from searches.simulated import WorldTrainer, simulated_world
from searches.studies import run_study
from searches.world import cadence
from tiny_worlds import Scripted, recorded_folder, world_of

from autosched.errors import UsageError
from autosched.report.calibration import Told
from autosched.space import Component

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "replay.py"
FOUR = {"bad": 3.0, "fair": 2.5, "good": 2.0, "best": 1.9}


def test_a_search_pays_for_what_it_stopped_and_for_what_it_completed() -> None:
    world = world_of(FOUR, target=2.0)
    search = Scripted(world, ("bad", "fair", "good", "best"), stops={"bad": 4})
    outcome = drive(world, search)
    assert outcome.spent == 4 + 10 + 10
    assert search.seen[:3] == [("bad", 2), ("bad", 4), ("fair", 2)]
    assert search.seen[-1] == ("good", 10)  # it is good enough: the best one is never trained
    assert (outcome.kills, outcome.winner_killed, outcome.shares) == (1, False, False)


def test_a_kill_is_false_when_the_run_would_have_been_the_best_so_far() -> None:
    world = world_of(FOUR, target=1.9)
    search = Scripted(world, ("good", "bad", "best", "fair"), stops={"bad": 2, "best": 8, "fair": 6})
    outcome = drive(world, search)
    assert outcome.spent is None  # only the best was good enough
    assert (outcome.kills, outcome.false_kills, outcome.winner_killed) == (3, 1, True)
    first = drive(world, Scripted(world, ("bad", "best"), stops={"bad": 2}))
    assert first.false_kills == 1  # nothing was complete yet, so anything would have been the best so far


def test_workers_pay_for_what_is_in_training_when_the_target_is_found() -> None:
    world = world_of(FOUR, target=2.0)
    search = Scripted(world, ("bad", "fair", "good", "best"), stops={"bad": 4})
    outcome = drive(world, search, workers=2)
    # bad 0-4 and fair 0-10 side by side; good 4-14; best 10-20, of which 4 updates are made when good is complete
    assert outcome.spent == 4 + 10 + 10 + 4
    assert search.seen[:4] == [("bad", 2), ("fair", 2), ("bad", 4), ("fair", 4)]


def test_missed_seeds_are_infinite() -> None:
    outcomes = [Outcome(spent=steps) for steps in (100, 200, 300, None)]
    (line,) = figures("m", "p", outcomes, horizon=100, seconds=1.0)
    assert (line.median, line.p90, line.missed) == (2.0, None, 1)
    (all_missed,) = figures("m", "p", [Outcome(spent=None)] * 3, horizon=100, seconds=1.0)
    assert (all_missed.median, all_missed.missed) == (None, 3)


def test_rates_are_over_all_kills_and_forecasts_of_all_seeds() -> None:
    inside, outside = (
        Told(stage=stage, mean=2.0, low=1.9, high=2.1, end=end) for stage, end in (("cooling", 2.05), ("complete", 2.2))
    )
    outcomes = [
        Outcome(spent=300, spent_sharing=200, shares=True, kills=3, false_kills=1, forecasts=(inside, inside)),
        Outcome(spent=500, spent_sharing=400, shares=True, kills=1, winner_killed=True, forecasts=(inside, outside)),
    ]
    paid, shared = figures("m", "law", outcomes, horizon=100, seconds=1.0)
    assert (paid.prefix_reuse, paid.median, shared.prefix_reuse, shared.median) == (False, 3.0, True, 2.0)
    assert (shared.false_kill_rate, shared.coverage90, shared.winner_killed) == (0.25, 0.75, 1)
    assert {stage: of.coverage90 for stage, of in shared.calibration.items()} == {"cooling": 1.0, "complete": 0.0}
    (none,) = figures("m", "none", [Outcome(spent=100)], horizon=100, seconds=1.0)
    assert (none.killed, none.false_kill_rate, none.coverage90) == (0, 0.0, None)


def test_a_recorded_world_has_the_runs_that_were_measured_at_its_horizon(tmp_path: Path) -> None:
    world = recorded_world(recorded_folder(tmp_path), "tiny", 100)
    assert [run.name for run in world.runs] == ["0.2.csv", "0.5.csv", "0.8.csv"]
    assert world.target == pytest.approx(1.302)
    assert world.winner == "0.8.csv"
    assert world.left_out == ("open.csv has no full_val_loss",)
    assert [(axis.name, axis.size) for axis in world.axes] == [("peak_lr", 1), ("shape", 3)]


def test_studies_pay_a_shared_prefix_once_and_say_what_it_would_cost_twice(tmp_path: Path) -> None:
    world = recorded_world(recorded_folder(tmp_path), "tiny", 100)
    assert (world.space().eval_every, world.space().checkpoint_every) == (10, 10)
    paid = set()
    for seed in range(12):
        outcome = run_study(world, seed, controller=Component(name="random"), pruner=Component(name="none"))
        assert outcome.shares
        paid.add((outcome.spent, outcome.spent_sharing))
    # The winner leaves the prefix after 20 updates and comes first, or after one of the others.
    assert {(100, 100), (200, 180)} <= paid
    assert all(alone % 10 == 0 and shared <= alone for alone, shared in paid)


def test_every_library_tries_every_run_until_it_finds_the_target(tmp_path: Path) -> None:
    world = recorded_world(recorded_folder(tmp_path), "tiny", 100)
    for sampler in ("random", "tpe", "gp"):
        spent = [drive(world, OptunaSearch(world, seed, sampler=sampler, pruner="none")).spent for seed in range(9)]
        assert set(spent) == {100, 200, 300}
    outcome = drive(world, RayAsha(world, 0))
    assert outcome.spent is not None or outcome.winner_killed


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_libraries_that_compare_at_equal_steps_stop_the_run_that_crosses_late(pruner: str) -> None:
    """The best run is behind all others until its end, as a schedule that decays late is."""
    world = world_of({**{f"r{i}": 2.0 + 0.1 * i for i in range(12)}, "late": 1.0}, target=1.0)
    late = world.runs[-1]
    object.__setattr__(late.curve, "losses", np.full(4, 9.0))
    outcomes = [drive(world, OptunaSearch(world, seed, sampler="random", pruner=pruner)) for seed in range(10)]
    killed = [outcome for outcome in outcomes if outcome.winner_killed]
    assert len(killed) >= 5
    assert all(outcome.spent is None and outcome.false_kills >= 1 for outcome in killed)
    (line,) = figures("random", pruner, outcomes, horizon=10, seconds=0.0)
    assert line.missed == len(killed)


def test_evaluations_divide_the_horizon_and_begin_where_the_log_does() -> None:
    assert cadence(50_000, logged_every=200) == (200, 2000)
    assert cadence(24_000, logged_every=64, first_logged=2160) == (2400, 2400)
    assert cadence(7, logged_every=2) == (1, 1)


@pytest.mark.slow
def test_a_simulated_world_shows_the_same_losses_whole_and_in_pieces(made_folder: Path) -> None:
    world = simulated_world(made_folder, "llama124m", 2500)
    point = {"peak_lr": 2e-3, "cooldown_fraction": 0.5, "cooldown_shape": 0}
    run, trainer = world.near(point, ()), WorldTrainer(world)
    shown = []
    for start in range(0, 2500, 100):
        trainer.train(run.schedule.lrs[start : start + 100])
        shown.append(trainer.evaluate())
    np.testing.assert_array_equal(shown[:-1], run.curve.losses)
    assert shown[-1] == run.final
    assert run.truth == world.truth(run.schedule)
    assert 0 < abs(run.final - run.truth) < 0.02
    assert world.target < run.truth
    outcome = drive(world, OptunaSearch(world, 0, sampler="random", pruner="none"))
    assert outcome.spent is None or outcome.spent % 2500 == 0


def test_labels_are_unique_and_unknown_ones_are_refused() -> None:
    labels = [method.label for method in all_methods()]
    assert len(set(labels)) == len(labels)


def replay(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_writes_one_json_document(tmp_path: Path) -> None:
    arguments = ["--curves", str(recorded_folder(tmp_path)), "--group", "tiny", "--horizon", "100", "--seeds", "2"]
    done = replay(*arguments, "--methods", "random,tpe+law", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["horizon"], document["runs"], document["target"]) == (100, 3, pytest.approx(1.302))
    lines = {(line["method"], line["pruner"], line["prefix_reuse"]) for line in document["results"]}
    assert {("random", "none", False), ("random", "ray_asha", False), ("tpe", "law", True)} <= lines
    needed = {"median", "p90", "missed", "winner_killed", "false_kill_rate", "coverage90"}
    assert all(needed <= line.keys() for line in document["results"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--group", "llama7b"], "group must be one of tiny, but got 'llama7b'"),
        (["--group", "tiny", "--horizon", "70"], "horizon must be one of 50 (1 runs), 100 (3 runs) in group tiny"),
        (["--group", "tiny", "--methods", "randm"], "methods must be some of random+none, random+median"),
        (["--group", "tiny", "--seeds", "0"], "must be a whole number >= 1, but got '0'"),
        (["--curves", "/nowhere"], "/nowhere/runs.csv: there is no such file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    given = ["--curves", str(recorded_folder(tmp_path)), *arguments]
    try:
        code = main(given)
    except SystemExit as left:  # how argparse ends
        code = left.code
    assert code == 2
    assert says in capsys.readouterr().err


def test_a_group_without_full_validation_losses_cannot_be_replayed(made_folder: Path) -> None:
    with pytest.raises(UsageError, match="none of its runs has a full_val_loss"):
        recorded_world(made_folder, "gpt25m", 24_000)
