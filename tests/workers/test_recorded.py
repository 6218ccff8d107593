"""The recorded trainer shows what was logged, and only for schedules that were trained."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from autosched.errors import CheckpointError, UsageError, WorkError
from autosched.schedules import build
from autosched.testing.published_curves import published_curves
from workers.recorded import RecordedTrainer
from workers.registry import check_trainer, make_trainer

USE = "workers.recorded:RecordedTrainer"


def options() -> dict[str, Any]:
    return {"folder": str(published_curves()), "group": "llama124m"}


def wsd(fraction: float, *, steps: int = 25_000, peak: float = 2e-3) -> np.ndarray:
    return build("wsd", {"peak_lr": peak, "warmup_steps": 300, "cooldown_fraction": fraction}, steps=steps).lrs


def started(changes: Mapping[str, Any] | None = None) -> RecordedTrainer:
    trainer = RecordedTrainer({**options(), **(changes or {})}, seed=0, horizon=25_000)
    trainer.start()
    return trainer


def test_it_shows_the_logged_losses_however_the_updates_are_cut() -> None:
    lrs, seen = wsd(0.6), []
    for every in (200, 1000):
        trainer = started()
        losses = {}
        for stop in range(every, 25_001, every):
            trainer.train(lrs[stop - every : stop])
            losses[stop] = trainer.evaluate()
        seen.append(losses)
    assert seen[0][24_800] == 2.987809
    assert seen[0][24_600] == 2.990747
    assert {step: seen[0][step] for step in seen[1]} == seen[1]


def test_the_end_is_the_full_sets_loss_on_the_scale_of_the_log() -> None:
    ends = {}
    for fraction in (0.6, 0.8):
        trainer = started()
        trainer.train(wsd(fraction))
        ends[fraction] = trainer.evaluate()
    assert ends[0.8] - ends[0.6] == pytest.approx(3.023848 - 3.023412)
    assert ends[0.6] == pytest.approx(2.9865, abs=1e-3)


def test_between_the_last_logged_loss_and_the_end_lies_their_line() -> None:
    lrs, trainer = wsd(0.6), started()
    trainer.train(lrs[:24_900])
    between = trainer.evaluate()
    trainer.train(lrs[24_900:])
    assert between == pytest.approx((2.987809 + trainer.evaluate()) / 2)


def test_a_shared_trunk_has_one_loss_and_parts_where_the_lrs_part() -> None:
    short, long = started(), started()
    short.train(wsd(0.9)[:2500])
    long.train(wsd(0.1)[:2500])
    assert short.evaluate() == long.evaluate()
    short.train(wsd(0.9)[2500:10_000])
    long.train(wsd(0.1)[2500:10_000])
    assert short.evaluate() < long.evaluate() - 0.04


def test_a_saved_run_goes_on_as_if_it_had_not_stopped() -> None:
    lrs, file = wsd(0.4), io.BytesIO()
    first = started()
    first.train(lrs[:20_000])
    first.save(file)
    file.seek(0)
    second = make_trainer(USE, options(), 7, 25_000)
    second.load(file)
    assert second.step == 20_000
    assert second.train(lrs[20_000:]) == first.train(lrs[20_000:])


def test_a_schedule_nobody_trained_is_refused_where_it_parts() -> None:
    trainer = started()
    trainer.train(wsd(0.3)[:17_000])
    with pytest.raises(WorkError, match="no run of llama124m has these LRs at updates 17000 to 18000"):
        trainer.train(wsd(0.3)[17_000:18_000])
    assert trainer.step == 17_000


def test_a_checkpoint_of_other_recordings_or_a_damaged_one_is_refused() -> None:
    file = io.BytesIO()
    other = started({"group": "gpt25m"})
    other.save(file)
    with pytest.raises(CheckpointError, match="other recordings"):
        started().load(io.BytesIO(file.getvalue()))
    for damaged in (b"", b"{}", file.getvalue().replace(b'"step": 0', b'"step": 9')):
        with pytest.raises(CheckpointError, match="damaged"):
            other.load(io.BytesIO(damaged))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"group": "llama124m"}, "folder is missing"),
        ({"folder": 3, "group": "llama124m"}, "folder must be a text, but got 3"),
        ({"folder": "/nowhere", "group": "llama124m"}, "cannot be read"),
        ({"folder": ".", "groop": "x"}, "unknown option 'groop'"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(given: Mapping[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_trainer(USE, given)
