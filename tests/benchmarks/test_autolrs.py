"""The benchmark of AutoLRS, on runs of a few updates."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autolrs import main, parse
from stagewise import clock, contest, kept, quadratic, summary
from stagewise.contest import FAITHFUL, FAR, MENDED, Contest
from stagewise.drive import run_autolrs, run_schedule
from stagewise.pictures import with_gaps
from stagewise.totals import longest_within, updates_trained

from autosched.errors import UsageError
from autosched.search.autolrs import Settings
from autosched.trainer import Diverged
from workers.simulated import SimulatedTrainer

Capture = pytest.CaptureFixture[str]
RANGE = {"low": 1e-3, "high": 1e-1}
SHORT = {**RANGE, "first_stage": 80, "warmup_steps": 10, "warmup_lr": 0.01}


def simulated(**options: Any) -> SimulatedTrainer:
    return SimulatedTrainer({"noise": 0.0, "seed_noise": 0.0, **options}, seed=0, horizon=600)


def world(**changes: Any) -> Contest:
    shared = {"total": 360, "warmup": 10, "grid": 2, "first_stage": 80, "probe_share": 0.1}
    return Contest(trainer="simulated", options={}, **{**RANGE, **shared, **changes})


class Late(SimulatedTrainer):
    """Diverges from update 30 on: after the probes of the first stage."""

    def train(self, lrs):
        if self.step >= 30:
            raise Diverged(self.step + 1, float("inf"), "too long")
        return super().train(lrs)


@pytest.mark.parametrize("mode", contest.MODES)
@pytest.mark.parametrize("total", [360, 451])
def test_a_run_trains_what_was_planned_and_no_more_than_the_total(mode: str, total: int) -> None:
    settings = world(total=total).settings(mode, 0)
    run = run_autolrs(simulated(), settings, total=total)
    assert run.total_steps == updates_trained(settings) <= total
    assert run.committed_steps == settings.steps
    assert run.final_loss is not None
    assert total - run.total_steps <= 12, "what is left over is less than one more probe each"


def test_the_longest_run_is_found_where_a_longer_one_is_cheaper() -> None:
    def make(steps: int) -> Settings:
        return Settings(**{**SHORT, "first_stage": 89}, steps=steps, validation_from=None)

    trained = {steps: updates_trained(make(steps)) for steps in range(90, 500)}
    assert any(trained[steps + 1] < trained[steps] for steps in range(90, 499)), "no simple bisection would do"
    for total in range(200, 500, 7):
        assert longest_within(total, make).steps == max(steps for steps, all_ in trained.items() if all_ <= total)
    with pytest.raises(UsageError, match=r"100 updates in total are too few, search included\. AutoLRS: steps must be"):
        longest_within(100, make)


def test_the_final_weights_are_those_of_the_committed_lrs_alone() -> None:
    """Restores leave no trace of the probes: a fresh trainer given the committed LRs ends at the same loss."""
    for make in (Settings, Settings.published):
        settings = make(**SHORT, steps=250, validation_from=1, validations=8)
        run = run_autolrs(simulated(), settings, total=600, every=10)
        assert run.path is not None
        again = simulated()
        again.train(np.array(run.path["lrs"]))
        assert len(run.path["lrs"]) == 250
        assert run.final_loss == pytest.approx(again.evaluate(), rel=1e-4)
        assert (run.path["updates"][-1], run.path["losses"][-1]) == (run.total_steps, run.final_loss)
        assert run.path["updates"] == sorted(run.path["updates"])


def test_a_run_whose_winner_diverges_is_cut_at_the_total_or_fails_with_a_reason() -> None:
    settings = Settings(**SHORT, steps=170, validation_from=None)
    total = updates_trained(settings)
    run = run_autolrs(Late({}, seed=0, horizon=600), settings, total=total)
    assert run.total_steps <= total
    assert run.note.startswith("a winner diverged") or "diverged" in run.note
    assert run.final_loss is None
    hot = run_schedule(simulated(diverge_above=0.01), np.linspace(0, 0.02, 20), peak=0.02)
    assert (hot.final_loss, hot.note) == (None, "diverged at update 11")


def test_training_update_by_update_with_looks_between_changes_no_bit() -> None:
    lrs = np.linspace(1e-3, 1e-2, 60)
    whole, looked = simulated(), simulated()
    whole.train(lrs)
    run_schedule(looked, lrs, peak=1e-2, every=7)
    files = [io.BytesIO(), io.BytesIO()]
    for trainer, file in zip((whole, looked), files, strict=True):
        trainer.save(file)
    assert files[0].getvalue() == files[1].getvalue()


def rows_of(losses: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    spent = {"total_steps": 10, "committed_steps": 5, "tuning_steps": 100, "seconds": 1.0}
    return [
        {"method": method, "seed": seed, "final_loss": loss, **spent}
        for method, found in losses.items()
        for seed, loss in enumerate(found)
    ]


def test_the_summary_says_who_is_below_whom() -> None:
    losses: dict[str, list[float | None]] = {
        FAITHFUL: [2.0, 2.2, 2.1],
        MENDED: [1.9, 2.3, 2.1],
        FAR: [1.5, 1.9, 1.7],
        "constant, best of 2": [1.6, 1.8, 1.8],
        "cosine, best of 2": [1.4, 1.6, 1.5],
    }
    found = summary.summary("t", rows_of(losses))
    assert found["far_sighted_below_constant"] == "2 of 3 seeds"
    assert found["far_sighted_not_above_faithful"] is True
    line = found["methods"][2]
    assert (line["method"], line["mean"]) == (FAR, pytest.approx(1.7))
    assert line["standard_error"] == pytest.approx(0.2 / math.sqrt(3))
    to_cosine = found["differences"][f"{FAR} - cosine, best of 2"]
    assert to_cosine["mean"] == pytest.approx(0.2)
    assert to_cosine["below_on"] == 0
    assert f"{FAR} - cosine, best of 2: +0.2000 ± 0.0577, below on 0 of 3 seeds" in summary.lines(found)
    lost = summary.summary("t", rows_of({**losses, FAR: [1.5, None, 1.7]}))
    assert lost["far_sighted_not_above_faithful"] is False, "a lost run is above any other"
    assert lost["far_sighted_below_constant"] == "2 of 3 seeds"


def test_the_best_of_a_grid_says_what_all_of_it_cost() -> None:
    shared = {"method": "constant", "seed": 3, "total_steps": 50, "seconds": 2.0, "note": ""}
    rows = [{**shared, "lrs": [lr], "final_loss": loss} for lr, loss in ((0.1, None), (0.2, 1.5), (0.3, 1.6))]
    (best,) = contest.best_of(rows)
    assert (best["method"], best["lrs"], best["final_loss"]) == ("constant, best of 3", [0.2], 1.5)
    assert (best["tuning_steps"], best["total_steps"], best["tuning_seconds"]) == (150, 50, 6.0)
    assert best["note"] == "1 of 3 LRs diverged"


def test_workers_shorten_the_search_of_a_stage_in_virtual_time() -> None:
    jobs = clock.jobs_of(160, 0.5, real=[], virtual=[1, 2, 10])
    rows = clock.with_ratios([job.run() for job in jobs])
    assert [row["search_seconds"] for row in rows] == [80.0, 40.0, 8.0]
    assert [row["seconds"] for row in rows] == [152.0, 112.0, 80.0]
    assert rows[2]["search_to_sequential"] == 0.1
    assert rows[2]["to_sequential"] == 0.5
    assert all(row["total_steps"] == 1.9 * row["committed_steps"] for row in rows)
    with pytest.raises(UsageError, match="a stage must have at least 80 updates, but got 79"):
        clock.jobs_of(79, 0.5, real=[], virtual=[1])[0].run()


def test_a_line_is_broken_where_probes_lie() -> None:
    x, _ = with_gaps([10, 20, 30, 90, 100], [5, 4, 3, 2, 1])
    np.testing.assert_equal(x, [10, 20, 30, np.nan, 90, 100])


def test_what_a_run_depends_on_names_its_file(tmp_path: Path) -> None:
    def files(**changes: Any) -> set[str]:
        return {kept.file_of(job, tmp_path).name for job in contest.jobs_of(world(**changes), range(1))}

    usual = files()
    assert len(usual) == 8
    assert len(usual & files(changes={FAR: {"probes": 3}})) == 7, "only the far-sighted run is another"
    assert len(usual & files(first_stage=90)) == 6, "the tuned schedules know no stages"
    assert not usual & files(total=370)
    assert files(changes={MENDED: {"first_stage": 80}}) == usual


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--total-steps", "90"), "steps must be at least 80 more than warmup and cooldown have, but got 90"),
        (("--total-steps", "150"), "150 updates in total are too few, search included. AutoLRS: steps must be"),
        (("--vision", "depth=3"), "depth"),
        (("--set", "best.probes=3"), "--set must be MODE.NAME=VALUE with MODE one of faithful, default, far-sighted"),
        (("--set", "default.probs=3"), "probs"),
        (("--probe-share", "0.7"), "probe_share must be in (0, 0.5]"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    assert main(["--out", str(tmp_path), "--trainers", "vision", "--first-stage", "80", *arguments]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--trainers", "llama"), ("--gpt-range", "1,0"), ("--vision", "width")])
def test_a_flag_that_cannot_be_is_refused(arguments: tuple[str, ...], capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        parse(["--out", "x", *arguments])
    assert "must be" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tiny_benchmark_runs_and_a_second_call_trains_nothing(tmp_path: Path, capsys: Capture) -> None:
    tiny = ["--total-steps", "190", "--warmup-steps", "5", "--first-stage", "80", "--seeds", "1", "--grid", "1"]
    tiny += ["--set", "far-sighted.cooldown_fraction=0.1", "--set", "far-sighted.probe_share=0.1"]
    sizes = ["--vision", "width=2,batch=4", "--gpt", "layers=1,width=8,heads=1,context=8,batch=2,eval_batches=1"]
    rest = ["--quadratic-steps", "100", "--quadratic-seeds", "1", "--stage", "80", "--workers", ""]
    call = ["--out", str(tmp_path), *tiny, *sizes, *rest, "--json"]
    assert main(call) == 0
    told = json.loads(capsys.readouterr().out)
    needed = {"trainer", "method", "seed", "workers", "total_steps", "committed_steps", "final_loss", "seconds"}
    assert all(needed <= row.keys() for row in told["results"])
    trained = [row for row in told["results"] if row["trainer"] in ("gpt", "vision")]
    assert len(trained) == 2 * 6
    assert all(row["committed_steps"] <= row["total_steps"] <= 190 for row in trained)
    assert all(row["final_loss"] > 0 for row in trained)
    assert {row["tuning_steps"] for row in trained if row["method"] == "cosine, best of 1"} == {190}
    assert [part["trainer"] for part in told["summary"]] == ["gpt", "vision", "quadratic", "simulated"]
    for trainer in ("gpt", "vision"):
        assert (tmp_path / f"autolrs-{trainer}.png").read_bytes().startswith(b"\x89PNG")
    assert main(call) == 0
    shown = capsys.readouterr()
    again = json.loads(shown.out)
    assert again["results"] == told["results"]
    assert all("are finished already" in line for line in shown.err.splitlines())


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    jobs = quadratic.jobs_of(100, 2)
    alone = kept.results(jobs, tmp_path / "one")
    both = kept.results(jobs, tmp_path / "two", processes=2)
    for one, other in zip(alone, both, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
