"""The bounds a range test suggests for a real transformer hold its best peak LR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from autosched.curves.range_test import RangeTest, Sweep
from autosched.engine.execute import SegmentRunner
from autosched.engine.range_test import run_sweep, sweep_plan
from autosched.ledger.records import Observation, Segment
from autosched.schedules import build
from autosched.space.trainer_spec import TrainerSpec
from workers.registry import make_trainer

OPTIONS = {"layers": 1, "width": 32, "heads": 2, "context": 32, "batch": 8}
GPT = TrainerSpec(use="gpt", options=OPTIONS)
STEPS = 100


def best_peak(runner: SegmentRunner, folder: Path) -> float:
    """Of whole runs over three decades of the peak LR."""
    ends = {}
    for peak in np.geomspace(5e-4, 0.5, 7).tolist():
        lrs = build("wsd", {"peak_lr": peak, "warmup_steps": 10, "cooldown_fraction": 0.5}, steps=STEPS).lrs
        run = Segment(
            id=f"{peak:.3g}",
            trainer=GPT,
            seed=0,
            start=0,
            stop=STEPS,
            horizon=STEPS,
            eval_every=STEPS,
            lrs=lrs,
            report_from=0,
            save_uri=f"{folder}/{peak:.3g}",
        )
        seen = runner.run(run)
        assert isinstance(seen, Observation)
        ends[peak] = seen.points[-1].loss
    return min(ends, key=ends.__getitem__)


def test_the_bounds_hold_the_best_peak_lr_of_whole_runs(tmp_path: Path) -> None:
    """Of one seed; docs/records/range-test.md has ten, and whole searches."""
    runner = SegmentRunner(make_trainer)
    found = run_sweep(runner, GPT, seed=0, sweep=Sweep(), save_uri=f"{tmp_path}/swept")
    assert isinstance(found, RangeTest)
    assert found.high <= 101 * found.low
    assert found.low < best_peak(runner, tmp_path) < found.high


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
