"""Megatron's arguments, as bash passes them on, give the schedule's LRs by Megatron's own formula."""

from __future__ import annotations

import argparse
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosched.errors import ScheduleError
from autosched.schedules import Schedule, build, export_text
from autosched.schedules.exports.megatron_arguments import megatron_arguments

BATCH = 48
EXPRESSED = {
    "constant": build("constant", {"peak_lr": 0.3}, steps=50),
    "constant, warmup": build("constant", {"peak_lr": 0.3, "warmup_steps": 7}, steps=50),
    "linear": build("linear", {"peak_lr": 1e-3}, steps=50),
    "linear, warmup, floor": build("linear", {"peak_lr": 1e-3, "warmup_steps": 7, "final_lr_ratio": 0.1}, steps=50),
    "cosine": build("cosine", {"peak_lr": 1e-3, "final_lr_ratio": 0.1}, steps=50),
    "cosine, warmup": build("cosine", {"peak_lr": 1e-3, "warmup_steps": 1}, steps=50),
    "wsd": build("wsd", {"peak_lr": 0.013, "warmup_steps": 5}, steps=97),
    "wsd sqrt": build("wsd", {"peak_lr": 0.013, "warmup_steps": 5, "cooldown_shape": "sqrt"}, steps=97),
    "wsd cosine": build("wsd", {"peak_lr": 0.013, "cooldown_shape": "cosine", "final_lr_ratio": 0.05}, steps=97),
    "2 * 0.5**u - 1": Schedule([0.2] * 10 + [0.02 + 0.18 * (2 * 0.5 ** (j / 20) - 1) for j in range(20)]),
    "inverse square root": Schedule([0.1 * t / 8 for t in range(8)] + [0.1 * (8 / t) ** 0.5 for t in range(8, 90)]),
    "warmup from 0, cosine": Schedule(
        [t / 10 for t in range(10)] + [0.5 + 0.5 * math.cos(math.pi * j / 30) for j in range(30)]
    ),
    "flat end": Schedule([0.1] * 20 + [0.02 + 0.08 * (1 - j / 10) for j in range(10)] + [0.02] * 15),
    "one update": Schedule([0.1]),
}


def scheduler_lrs(arguments: argparse.Namespace) -> list[float]:
    """LR of every update as ``OptimizerParamScheduler.get_lr`` of Megatron-LM works it out, update by update.

    Restated from megatron/core/optimizer_param_scheduler.py (commit 00caa53); ``training.py`` multiplies every number
    of iterations with the global batch size, and the scheduler counts in samples.
    """
    warmup, end = arguments.lr_warmup_iters * BATCH, arguments.lr_decay_iters * BATCH
    peak, floor = arguments.lr, arguments.min_lr
    assert 0 <= floor <= peak
    assert arguments.lr_warmup_init <= peak
    assert 0 <= warmup < end
    shapes = {
        "linear": lambda u: 1.0 - u,
        "cosine": lambda u: 0.5 * (math.cos(math.pi * u) + 1.0),
        "exponential": lambda u: 2.0 * math.pow(0.5, u) - 1.0,
        "minus_sqrt": lambda u: 1.0 - math.sqrt(u),
    }

    def lr(samples: int) -> float:
        if warmup > 0 and samples <= warmup:
            return float(arguments.lr_warmup_init + (peak - arguments.lr_warmup_init) * samples / warmup)
        if arguments.lr_decay_style == "constant":
            return float(peak)
        if samples > end:
            return float(floor)
        if arguments.lr_decay_style == "inverse-square-root":
            return float(max(floor, peak * max(warmup, 1) ** 0.5 / max(samples, 1) ** 0.5))
        if arguments.lr_decay_style == "WSD":
            length = arguments.lr_wsd_decay_iters * BATCH
            begin = end - length
            done = (samples - begin) / length
            coefficient = 1.0 if samples <= begin else shapes[arguments.lr_wsd_decay_style](done)
        else:
            coefficient = shapes[arguments.lr_decay_style]((samples - warmup) / (end - warmup))
        return float(floor + coefficient * (peak - floor))

    return [lr(update * BATCH) for update in range(arguments.train_iters)]


def parsed(words: list[str]) -> argparse.Namespace:
    """The arguments with the names, types and choices that Megatron-LM declares."""
    parser = argparse.ArgumentParser()
    for name in ("lr", "min-lr", "lr-warmup-init"):
        parser.add_argument(f"--{name}", type=float, required=True)
    for name in ("train-iters", "lr-decay-iters", "lr-warmup-iters"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--lr-wsd-decay-iters", type=int)
    styles = ["constant", "linear", "cosine", "inverse-square-root", "WSD"]
    parser.add_argument("--lr-decay-style", choices=styles, required=True)
    parser.add_argument("--lr-wsd-decay-style", choices=["exponential", "linear", "cosine", "minus_sqrt"])
    return parser.parse_args(words)


def words_of(text: str, folder: Path) -> list[str]:
    """What a program that is started with ``"${LR_ARGS[@]}"`` gets."""
    (folder / "lr_args.sh").write_text(text)
    command = 'set -u; source ./lr_args.sh; printf "%s\\n" "${LR_ARGS[@]}"'
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("name", EXPRESSED)
def test_the_arguments_give_the_schedule_s_lrs_to_float32(name: str, tmp_path: Path) -> None:
    schedule = EXPRESSED[name]
    seen = scheduler_lrs(parsed(words_of(export_text(schedule, "megatron"), tmp_path)))
    np.testing.assert_allclose(seen, schedule.lrs, rtol=2**-23, atol=1e-12 * schedule.peak_lr)


@pytest.mark.parametrize("name", EXPRESSED)
def test_nemo_gets_the_same_settings_under_its_own_names(name: str, tmp_path: Path) -> None:
    schedule = EXPRESSED[name]
    given_to_nemo = dict(word.split("=") for word in words_of(export_text(schedule, "nemo"), tmp_path))
    groups = {"train_iters": "train", "lr": "optimizer", "min_lr": "optimizer"}
    settings_ = megatron_arguments(schedule).settings()
    assert given_to_nemo == {f"{groups.get(key, 'scheduler')}.{key}": str(value) for key, value in settings_.items()}


@settings(max_examples=60, deadline=None)
@given(
    peak=st.floats(1e-6, 1),
    warmup=st.integers(0, 20),
    shape=st.sampled_from(["linear", "sqrt", "cosine"]),
    fraction=st.floats(0.05, 1),
    ratio=st.floats(0, 0.9),
    steps=st.integers(40, 300),
)
def test_every_wsd_of_these_shapes_is_expressed(
    peak: float, warmup: int, shape: str, fraction: float, ratio: float, steps: int
) -> None:
    params = {
        "peak_lr": peak,
        "warmup_steps": warmup,
        "cooldown_shape": shape,
        "cooldown_fraction": fraction,
        "final_lr_ratio": ratio,
    }
    schedule = build("wsd", params, steps=steps)
    found = argparse.Namespace(**{"lr_wsd_decay_iters": None} | megatron_arguments(schedule).settings())
    np.testing.assert_allclose(scheduler_lrs(found), schedule.lrs, rtol=2**-23, atol=1e-12 * peak)


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        (
            build("wsd", {"peak_lr": 0.1, "cooldown_shape": "exponential", "final_lr_ratio": 0.1}, steps=100),
            r"nearest, WSD \(minus_sqrt\), is off by up to 0\.0\d+ of the peak LR \(update 8\d\)\.$",
        ),
        (
            build("piecewise", {"values": [0.1, 0.05, 0.2], "boundaries": [30, 60]}, steps=90),
            r"it has constant, linear, cosine, inverse-square-root and WSD .* is off by up to",
        ),
        (Schedule([0.0, 0.0]), r"cannot express table\(2 steps, peak 0\): it has constant.*exponential\)\.$"),
    ],
    ids=["exponential", "piecewise", "all zero"],
)
@pytest.mark.parametrize("target", ["megatron", "nemo"])
def test_what_it_cannot_express_is_refused_in_one_line(schedule: Schedule, says: str, target: str) -> None:
    with pytest.raises(ScheduleError, match=says) as refused:
        export_text(schedule, target)
    assert "\n" not in str(refused.value)


def test_a_schedule_file_cannot_put_a_command_into_the_arguments(tmp_path: Path) -> None:
    schedule = Schedule([0.1, 0.1], "constant\necho broken; $(echo broken)", {"peak_lr": "\nexit 3"})
    assert "broken" not in words_of(export_text(schedule, "megatron"), tmp_path)
