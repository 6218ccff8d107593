"""The bounds a range test suggests for a real transformer hold the best peak LR that a search finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autosched.curves.range_test import RangeTest, Sweep
from autosched.engine.assembly import run_study
from autosched.engine.execute import SegmentRunner
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.engine.range_test import run_sweep, sweep_plan
from autosched.ledger.events import StudyCreated
from autosched.ledger.records import Observation, Segment
from autosched.ledger.store import Ledger
from autosched.space import Space, space_from_json, space_to_json
from autosched.space.trainer_spec import TrainerSpec
from workers.registry import make_trainer

OPTIONS = {"layers": 1, "width": 32, "heads": 2, "context": 32, "batch": 8}
GPT = TrainerSpec(use="gpt", options=OPTIONS)


def wide_space(folder: Path, seed: int) -> Space:
    """A search of three decades of the peak LR alone."""
    return space_from_json(
        {
            "study": "s",
            "seed": seed,
            "trainer": {"use": "gpt", "with": OPTIONS},
            "horizon_steps": 200,
            "schedule": {
                "wsd": {
                    "peak_lr": {"low": 5e-4, "high": 0.5, "scale": "log"},
                    "warmup_steps": 10,
                    "cooldown_fraction": 0.5,
                }
            },
            "budget": {"trials": 12},
            "storage": {"ledger": f"sqlite:///{folder}/ledger.db", "checkpoints": str(folder / "checkpoints")},
        }
    )


def tuned_peak(space: Space) -> float:
    ledger = Ledger(space.storage.ledger)
    ledger.append("s", 0, [StudyCreated(space=space_to_json(space), versions={})])
    journal = Journal(ledger, "s")
    run_study(space, ledger, journal, LocalBackend(make_trainer))
    ledger.close()
    best = journal.state.best_trial()
    assert best is not None
    peak = best.params["peak_lr"]
    assert isinstance(peak, float)
    return peak


@pytest.mark.slow
def test_the_bounds_hold_the_best_peak_lr_that_tune_finds(tmp_path: Path) -> None:
    seed = 0  # docs/records/range-test.md has ten
    runner = SegmentRunner(make_trainer)
    found = run_sweep(runner, GPT, seed=seed, sweep=Sweep(), save_uri=f"{tmp_path}/swept")
    assert isinstance(found, RangeTest)
    assert found.high <= 101 * found.low
    assert found.low < tuned_peak(wide_space(tmp_path, seed)) < found.high


def test_a_segment_without_validation_has_the_training_loss_and_gradient_norm_of_every_update(tmp_path: Path) -> None:
    sweep = Sweep(low=1e-4, high=1e-2, steps=20)
    plan = sweep_plan(GPT, seed=0, sweep=sweep)
    segment = Segment(
        id=plan.ids[20],
        trainer=GPT,
        seed=0,
        start=0,
        stop=20,
        horizon=20,
        eval_every=1,
        lrs=plan.schedule.lrs,
        report_from=0,
        save_uri=f"{tmp_path}/swept",
    )
    seen = SegmentRunner(make_trainer).run(replace(segment, validate=False))
    assert isinstance(seen, Observation)
    assert [point.step for point in seen.points] == list(range(1, 21))
    assert all(point.loss == point.metrics["train_loss"] for point in seen.points)
    assert all(point.metrics["grad_norm"] > 0 for point in seen.points)
