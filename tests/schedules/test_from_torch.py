"""A torch scheduler's LRs become a schedule, and the scheduler does not notice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

from autosched.errors import ScheduleError
from autosched.schedules import Schedule, build, from_torch, to_lambda_lr

STEPS = 30


def optimizer_of(*lrs: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.ones(3))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=lrs[0], momentum=0.9)


def trained(optimizer: torch.optim.Optimizer, scheduler: Any, updates: int, group: int = 0) -> list[float]:
    """LRs that a training loop really uses."""
    seen = []
    for _ in range(updates):
        seen.append(float(optimizer.param_groups[group]["lr"]))
        for weights in (weight for item in optimizer.param_groups for weight in item["params"]):
            weights.grad = torch.ones_like(weights)
        optimizer.step()
        scheduler.step()
    return seen


def sequential(optimizer: torch.optim.Optimizer) -> Any:
    warmup = schedulers.LinearLR(optimizer, 0.1, total_iters=5)
    return schedulers.SequentialLR(optimizer, [warmup, schedulers.CosineAnnealingLR(optimizer, 25)], [5])


SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "step": lambda o: schedulers.StepLR(o, 7, gamma=0.3),
    "cosine": lambda o: schedulers.CosineAnnealingLR(o, STEPS, eta_min=1e-4),
    "one-cycle": lambda o: schedulers.OneCycleLR(o, max_lr=0.2, total_steps=STEPS + 1),
    "triangular2": lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=4, mode="triangular2"),
    "own cycle": lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=4, scale_fn=lambda cycle: 0.9**cycle),
    "warm restarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 5, T_mult=2),
    "sequential": sequential,
    "chained": lambda o: schedulers.ChainedScheduler([schedulers.ExponentialLR(o, 0.9), schedulers.StepLR(o, 9)]),
    "lambda": lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + step)),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_schedule_is_what_training_uses(name: str) -> None:
    optimizer = optimizer_of(0.1, 0.02)
    scheduler = SCHEDULERS[name](optimizer)
    schedule = [from_torch(scheduler, STEPS, group=group) for group in (0, 1)]
    assert schedule[0] == Schedule(trained(optimizer, scheduler, STEPS))
    other = optimizer_of(0.1, 0.02)
    assert schedule[1] == Schedule(trained(other, SCHEDULERS[name](other), STEPS, group=1))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_in_the_middle_of_a_run_is_read_and_goes_on_as_if_it_had_not_been(name: str) -> None:
    optimizer, alone = optimizer_of(0.1), optimizer_of(0.1)
    scheduler, untouched = SCHEDULERS[name](optimizer), SCHEDULERS[name](alone)
    assert trained(optimizer, scheduler, 10) == trained(alone, untouched, 10)
    weights = copy.deepcopy(optimizer.state_dict())
    rest = from_torch(scheduler, 20)
    assert str(optimizer.state_dict()) == str(weights)
    used = trained(optimizer, scheduler, 20)
    assert rest.lrs.tolist() == used == trained(alone, untouched, 20)
    assert str(optimizer.state_dict()) == str(alone.state_dict())


def test_an_exported_schedule_comes_back_to_the_last_bit() -> None:
    schedule = build("wsd", {"peak_lr": 0.013, "warmup_steps": 3, "cooldown_shape": "sqrt"}, steps=97)
    assert from_torch(to_lambda_lr(schedule, optimizer_of(0.1)), 97) == schedule


def test_an_lr_that_is_a_tensor_is_left_alone() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=torch.tensor(0.5, dtype=torch.float64))
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    assert from_torch(scheduler, 3).lrs.tolist() == [0.5, 0.25, 0.125]
    assert optimizer.param_groups[0]["lr"].item() == 0.5


def test_the_weights_and_the_optimizer_s_state_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = optimizer_of(0.1)
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    trained(optimizer, scheduler, 2)

    def copied(tensor: torch.Tensor, memo: object) -> torch.Tensor:
        raise AssertionError("a tensor was copied")

    monkeypatch.setattr(torch.Tensor, "__deepcopy__", copied)
    monkeypatch.setattr(torch.nn.Parameter, "__deepcopy__", copied)
    assert from_torch(scheduler, 2).lrs.tolist() == [0.025, 0.0125]


@pytest.mark.parametrize(
    ("make", "arguments", "says"),
    [
        (SCHEDULERS["step"], {"steps": 0}, r"^steps must be >= 1, but got 0\.$"),
        (SCHEDULERS["step"], {"steps": 5, "group": 1}, r"^group must be 0 to 0, but got 1\.$"),
        (schedulers.ReduceLROnPlateau, {"steps": 5}, r"^ReduceLROnPlateau follows the loss"),
        (
            SCHEDULERS["one-cycle"],
            {"steps": STEPS + 9},
            rf"^the scheduler ends after {STEPS + 2} updates: Tried to step",
        ),
        (
            lambda o: schedulers.LambdaLR(o, lambda t: -float(t)),
            {"steps": 5},
            r"finite and >= 0, but update 1 has -0\.1",
        ),
    ],
    ids=["no steps", "no such group", "plateau", "too long", "negative"],
)
def test_what_is_no_schedule_is_refused(make: Any, arguments: dict[str, int], says: str) -> None:
    with pytest.raises(ScheduleError, match=says):
        from_torch(make(optimizer_of(0.1)), **arguments)
