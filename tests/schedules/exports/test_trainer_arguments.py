"""Trainer's own schedules: our formulas are transformers', and what is found in an array gives that array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from autosched.schedules import Schedule, build, family_names, get_family
from autosched.schedules.exports.trainer_arguments import TrainerArguments, trainer_arguments
from autosched.schedules.schedule import FloatArray

STEPS = 60
NATIVE: dict[str, tuple[str, int, Mapping[str, float | int | str]]] = {
    "constant": ("constant", 0, {}),
    "constant, warmup": ("constant_with_warmup", 9, {}),
    "linear": ("linear", 0, {}),
    "linear, warmup": ("linear", 9, {}),
    "cosine": ("cosine", 9, {}),
    "cosine, floor": ("cosine_with_min_lr", 9, {"min_lr_rate": 0.1}),
    "restarts": ("cosine_with_restarts", 4, {"num_cycles": 3}),
    "polynomial": ("polynomial", 9, {"power": 1.7, "lr_end": 1e-5}),
    "straight to a floor": ("polynomial", 0, {"power": 1.0, "lr_end": 1e-5}),
    "inverse square root": ("inverse_sqrt", 9, {"timescale": 25}),
    "wsd, linear": ("warmup_stable_decay", 9, {"num_decay_steps": 20, "decay_type": "linear", "min_lr_ratio": 0.0}),
    "wsd, sqrt": ("warmup_stable_decay", 9, {"num_decay_steps": 20, "decay_type": "1-sqrt", "min_lr_ratio": 0.1}),
    "wsd, cosine, flat end": (
        "warmup_stable_decay",
        9,
        {"num_decay_steps": 20, "num_stable_steps": 15, "decay_type": "cosine", "min_lr_ratio": 0.1},
    ),
    "cosine, warmup from 1/W": ("cosine_warmup_with_min_lr", 5, {"warmup_lr_rate": 0.2, "min_lr_rate": 0.1}),
}


def arguments_of(name: str) -> TrainerArguments:
    kind, warmup, options = NATIVE[name]
    return TrainerArguments(
        learning_rate=1e-3, lr_scheduler_type=kind, warmup_steps=warmup, max_steps=STEPS, lr_scheduler_kwargs=options
    )


def transformers_lrs(arguments: TrainerArguments) -> list[float]:
    """LR of every update from transformers' own scheduler."""
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=arguments.learning_rate)
    options: dict[str, Any] = dict(arguments.lr_scheduler_kwargs)
    total: dict[str, Any] = {"num_training_steps": arguments.max_steps}
    scheduler = get_scheduler(
        arguments.lr_scheduler_type,
        optimizer,
        num_warmup_steps=arguments.warmup_steps,
        scheduler_specific_kwargs=options,
        **(total if "num_stable_steps" not in options else {}),
    )
    seen = []
    for _ in range(arguments.max_steps):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("name", NATIVE)
def test_the_formulas_are_those_of_transformers(name: str) -> None:
    arguments = arguments_of(name)
    np.testing.assert_allclose(arguments.lrs(), transformers_lrs(arguments), rtol=1e-12, atol=1e-18)


def assert_same_to_float32(found: FloatArray, schedule: Schedule) -> None:
    np.testing.assert_allclose(found, schedule.lrs, rtol=2**-23, atol=1e-12 * schedule.peak_lr)


@pytest.mark.parametrize("name", NATIVE)
def test_a_native_schedule_is_recognised_by_its_lrs_alone(name: str) -> None:
    schedule = Schedule(arguments_of(name).lrs())
    found = trainer_arguments(schedule)
    assert found is not None
    assert found.equal
    assert_same_to_float32(found.arguments.lrs(), schedule)
    assert found.arguments.lr_scheduler_type == NATIVE[name][0]
    assert dict(found.arguments.lr_scheduler_kwargs) == NATIVE[name][2]


@pytest.mark.parametrize(
    ("family", "params", "kind"),
    [
        ("constant", {"warmup_steps": 7}, "warmup_stable_decay"),  # its ratio can shape the warmup alone
        ("cosine", {"warmup_steps": 10, "final_lr_ratio": 0.1}, "warmup_stable_decay"),  # ratio and 1/W agree
        ("wsd", {"cooldown_shape": "power", "cooldown_power": 1.5, "cooldown_fraction": 1.0}, "polynomial"),
        ("linear", {"final_lr_ratio": 0.1}, "polynomial"),
        ("linear", {"warmup_steps": 9, "warmup_shape": "ramp"}, "linear"),
        ("cosine", {"warmup_steps": 9, "warmup_shape": "ramp", "final_lr_ratio": 0.1}, "cosine_with_min_lr"),
        ("inverse_sqrt", {"warmup_steps": 9, "warmup_shape": "ramp", "timescale_steps": 9}, "inverse_sqrt"),
        ("wsd", {"warmup_steps": 9, "warmup_shape": "ramp", "cooldown_shape": "sqrt"}, "warmup_stable_decay"),
    ],
)
def test_a_schedule_of_ours_that_trainer_has_under_another_name_is_found(
    family: str, params: dict[str, Any], kind: str
) -> None:
    schedule = build(family, {"peak_lr": 3e-3, **params}, steps=200)
    found = trainer_arguments(schedule)
    assert found is not None
    assert found.equal
    assert found.arguments.lr_scheduler_type == kind
    assert_same_to_float32(found.arguments.lrs(), schedule)


PLAIN = [
    name
    for name in family_names()
    if all(item.name == "peak_lr" or item.default is not None for item in get_family(name).parameters.values())
]


@pytest.mark.slow
@pytest.mark.parametrize("warmup", [{}, {"warmup_steps": 6}, {"warmup_steps": 6, "warmup_shape": "ramp"}])
def test_no_family_is_taken_for_native_when_transformers_gives_other_lrs(warmup: dict[str, Any]) -> None:
    native = []
    for name in PLAIN:
        if set(warmup) <= set(get_family(name).parameters):
            schedule = build(name, {"peak_lr": 3e-3, **warmup}, steps=120)
            found = trainer_arguments(schedule)
            if found is not None and found.equal:
                native.append(name)
                assert_same_to_float32(np.asarray(transformers_lrs(found.arguments)), schedule)
    assert "constant" in native
    assert "one_cycle" not in native


def test_our_linear_warmup_is_not_trainer_s_and_the_difference_is_said() -> None:
    found = trainer_arguments(build("linear", {"peak_lr": 3e-3, "warmup_steps": 8}, steps=200))
    assert found is not None
    assert not found.equal
    assert found.step == 0
    assert found.share == pytest.approx(1 / 8)


def test_a_schedule_without_any_lr_has_no_arguments() -> None:
    assert trainer_arguments(Schedule([0.0, 0.0])) is None
