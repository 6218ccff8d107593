"""Batches that double during a run: where, and how many updates that leaves."""

import math

import pytest

from autosched.errors import ScheduleError
from autosched.schedules import Schedule, build
from autosched.schedules.batch_ramp import group_at, serial_updates
from autosched.transfer.carry import carried

RUN = {"peak_lr": 0.01, "warmup_steps": 30}


def halvings(step: int, steps: int) -> int:
    cosine = (1 + math.cos(math.pi * (step - 30) / (steps - 30))) / 2
    return min(4, math.floor(-math.log2(cosine) + 1e-9))


@pytest.mark.parametrize("steps", [600, 2400, 100_000])
def test_seesaw_falls_by_the_root_of_two_and_doubles_the_batch_where_a_cosine_halves(steps: int) -> None:
    schedule = build("seesaw", RUN, steps=steps)
    doubles = schedule.hyperparameters["double_batch_at"]
    assert len(doubles) == 4
    for k, at in enumerate(doubles, start=1):
        assert schedule.lr_at([at - 1, at]) == pytest.approx([0.01 * 2 ** (-(k - 1) / 2), 0.01 * 2 ** (-k / 2)])
        assert halvings(at + 16, steps) >= k > halvings(at - 16, steps)  # to half of the largest batch
    stages = [*doubles, steps]
    assert all((stages[k] - stages[k - 1]) % 2**k == 0 for k in range(1, 5))
    assert serial_updates(steps, doubles) / steps == pytest.approx(0.64, abs=0.02)  # 2 / pi for ever smaller stages


def test_a_short_run_doubles_as_often_as_whole_updates_fit() -> None:
    for steps in range(1, 40):
        schedule = build("seesaw", {"peak_lr": 0.01}, steps=steps)
        doubles = schedule.hyperparameters.get("double_batch_at", [])
        assert schedule.lrs[0] == 0.01
        assert [0, *doubles] == sorted({0, *doubles})
        assert group_at(steps - 1, doubles)[1] == steps


def test_updates_are_counted_as_a_trainer_makes_them() -> None:
    for doubles in ([], [0], [3], [2, 4], [3, 3], [5, 9]):
        for steps in range(1, 14):
            ends = {group_at(step, doubles)[1] for step in range(steps)}
            assert serial_updates(steps, doubles) == sum(end <= steps for end in ends)
    described = build("seesaw", RUN, steps=600).beside({"weight_decay": 0.1}).describe()
    assert described.endswith(", warmup_steps=30) in 387 updates of the weights with weight_decay=0.1")


def test_the_ramp_belongs_to_the_schedule_and_goes_with_it_into_files_and_to_other_horizons() -> None:
    schedule = build("seesaw", RUN, steps=600)
    bare = Schedule(schedule.lrs)
    assert schedule.bare == bare != schedule
    assert schedule.fingerprint != bare.fingerprint
    assert Schedule.from_json(schedule.to_json()) == schedule
    searched = schedule.beside({"weight_decay": 0.1})
    assert searched.hyperparameters.keys() == {"double_batch_at", "weight_decay"}
    longer = carried(searched, steps=1200)
    assert longer == build("seesaw", RUN, steps=1200).beside({"weight_decay": 0.1})
    with pytest.raises(ScheduleError, match="double_batch_at counts the updates of one horizon"):
        carried(bare.beside({"double_batch_at": [300]}), steps=1200)
