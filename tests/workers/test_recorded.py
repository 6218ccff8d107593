"""The recorded trainer shows what was logged, and only for schedules that were trained."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_curves import LLAMA, made_curve

from autosched.errors import CheckpointError, UsageError, WorkError
from autosched.schedules import build
from workers.recorded import RecordedTrainer
from workers.registry import check_trainer, make_trainer

Started = Callable[..., RecordedTrainer]
USE = "workers.recorded:RecordedTrainer"


RUN = "llama124m/wsd_lr0.002_T25000_cd0.6_linear"


@pytest.fixture
def started(made_folder: Path) -> Started:
    """A trainer of the curves made from a law, with changed options."""

    def start(changes: Mapping[str, Any] | None = None) -> RecordedTrainer:
        given = {"folder": str(made_folder), "group": "llama124m", **(changes or {})}
        trainer = RecordedTrainer(given, seed=0, horizon=25_000)
        trainer.start()
        return trainer

    return start


def wsd(fraction: float, *, steps: int = 25_000, peak: float = 2e-3) -> np.ndarray:
    return build("wsd", {"peak_lr": peak, "warmup_steps": 300, "cooldown_fraction": fraction}, steps=steps).lrs


def test_it_shows_the_logged_losses_however_the_updates_are_cut(started: Started) -> None:
    lrs, seen = wsd(0.6), []
    for every in (200, 1000):
        trainer = started()
        losses = {}
        for stop in range(every, 25_001, every):
            trainer.train(lrs[stop - every : stop])
            losses[stop] = trainer.evaluate()
        seen.append(losses)
    logged = made_curve(RUN)
    assert seen[0][24_800] == pytest.approx(logged.losses[-1], abs=1e-6)
    assert seen[0][24_600] == pytest.approx(logged.losses[-2], abs=1e-6)
    assert {step: seen[0][step] for step in seen[1]} == seen[1]


def test_the_end_is_the_full_sets_loss_on_the_scale_of_the_log(started: Started) -> None:
    ends, laws = {}, {}
    for fraction in (0.6, 0.8):
        trainer = started()
        trainer.train(wsd(fraction))
        ends[fraction] = trainer.evaluate()
        laws[fraction] = LLAMA.predict(made_curve(RUN.replace("0.6", str(fraction))).schedule)[-1]
    assert ends[0.8] - ends[0.6] == pytest.approx(laws[0.8] - laws[0.6])
    assert ends[0.6] == pytest.approx(laws[0.6], abs=5e-3)


def test_between_the_last_logged_loss_and_the_end_lies_their_line(started: Started) -> None:
    lrs, trainer = wsd(0.6), started()
    trainer.train(lrs[:24_900])
    between = trainer.evaluate()
    trainer.train(lrs[24_900:])
    assert between == pytest.approx((made_curve(RUN).losses[-1] + trainer.evaluate()) / 2, abs=1e-6)


def test_a_shared_prefix_has_one_loss_and_parts_where_the_lrs_part(started: Started) -> None:
    short, long = started(), started()
    short.train(wsd(0.9)[:2500])
    long.train(wsd(0.1)[:2500])
    assert short.evaluate() == long.evaluate()
    short.train(wsd(0.9)[2500:10_000])
    long.train(wsd(0.1)[2500:10_000])
    assert short.evaluate() < long.evaluate() - 0.04


def test_a_saved_run_goes_on_as_if_it_had_not_stopped(started: Started, made_folder: Path) -> None:
    lrs, file = wsd(0.4), io.BytesIO()
    first = started()
    first.train(lrs[:20_000])
    first.save(file)
    file.seek(0)
    second = make_trainer(USE, {"folder": str(made_folder), "group": "llama124m"}, 7, 25_000)
    second.load(file)
    assert second.step == 20_000
    assert second.train(lrs[20_000:]) == first.train(lrs[20_000:])


def test_a_schedule_nobody_trained_is_refused_where_it_parts(started: Started) -> None:
    trainer = started()
    trainer.train(wsd(0.3)[:17_000])
    with pytest.raises(WorkError, match="no run of llama124m has these LRs at updates 17000 to 18000"):
        trainer.train(wsd(0.3)[17_000:18_000])
    assert trainer.step == 17_000


def test_a_checkpoint_of_other_recordings_or_a_damaged_one_is_refused(started: Started) -> None:
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
        ({"folder": "/nowhere", "group": "llama124m"}, "there is no such file"),
        ({"folder": ".", "groop": "x"}, "unknown option 'groop'"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(given: Mapping[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_trainer(USE, given)
