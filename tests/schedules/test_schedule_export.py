"""What leaves autosched is the same array: in a function, a torch scheduler, a source file without autosched, a CSV."""

import copy
import csv
import io
import json
import subprocess
import sys

import pytest
import torch

from autosched.errors import ScheduleError
from autosched.schedules import Schedule, build, to_csv, to_function, to_lambda_lr, to_torch_source

SCHEDULES = {
    "constant": build("constant", {"peak_lr": 0.3, "warmup_steps": 7}, steps=50),
    "linear": build("linear", {"peak_lr": 1e-3, "warmup_steps": 7}, steps=50),
    "cosine": build("cosine", {"peak_lr": 0.01, "final_lr_ratio": 0.1}, steps=50),
    **{
        f"wsd-{shape}": build(
            "wsd",
            {"peak_lr": 0.013, "warmup_steps": 3, "cooldown_shape": shape, "final_lr_ratio": 0.07},
            steps=97,
        )
        for shape in ("linear", "sqrt", "cosine", "exponential", "power")
    },
    "piecewise": build("piecewise", {"values": [0.1, 0.0, 0.2], "boundaries": [3, 9]}, steps=20),
    "table": Schedule([5e-324, 1e-300, 0.1, 1 / 3, 1e300]),
}


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return SCHEDULES[request.param]


def optimizer_of(*lrs, default=1e-3):
    groups = [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=default)


def lrs_seen(optimizer, scheduler, updates):
    """LRs of each group at each update of a training loop."""
    seen = []
    for _ in range(updates):
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


def test_the_function_gives_every_lr(schedule):
    lr_at = to_function(schedule)
    assert [lr_at(step) for step in range(schedule.steps)] == schedule.lrs.tolist()
    assert lr_at(schedule.steps) == schedule.final_lr


@pytest.mark.parametrize("step", [-1, 52])
def test_the_function_knows_no_step_outside_the_schedule(step):
    with pytest.raises(ScheduleError, match=rf"must be in \[0, 50\], but got {step}\.$"):
        to_function(SCHEDULES["linear"])(step)


@pytest.mark.parametrize("reference", [1.0, 1e-3, 0.3, 3.3e-5])
def test_torch_uses_every_lr_to_the_last_bit_whatever_the_optimizer_s_own_lr(schedule, reference):
    optimizer = optimizer_of(reference, default=reference)
    seen = lrs_seen(optimizer, to_lambda_lr(schedule, optimizer), schedule.steps)
    assert [lr for (lr,) in seen] == schedule.lrs.tolist()


def test_parameter_groups_keep_their_ratio_to_the_optimizer_s_lr():
    schedule = SCHEDULES["cosine"]
    optimizer = optimizer_of(1e-3, 5e-4, 2e-3)
    seen = lrs_seen(optimizer, to_lambda_lr(schedule, optimizer), schedule.steps)
    assert seen == [[lr, 0.5 * lr, 2 * lr] for lr in schedule.lrs.tolist()]


def test_an_lr_that_is_a_tensor_is_changed_in_place_and_stays_a_tensor():
    schedule = SCHEDULES["wsd-sqrt"]
    lr = torch.tensor(0.02, dtype=torch.float64)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=lr)
    seen = lrs_seen(optimizer, to_lambda_lr(schedule, optimizer), schedule.steps)
    assert [lr for (lr,) in seen] == schedule.lrs.tolist()
    assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor)


def test_a_run_resumed_from_saved_states_uses_the_same_lrs():
    schedule = SCHEDULES["wsd-power"]
    first = optimizer_of(1e-3, 5e-4)
    scheduler = to_lambda_lr(schedule, first)
    lrs_seen(first, scheduler, 40)
    states = copy.deepcopy((first.state_dict(), scheduler.state_dict()))
    second = optimizer_of(1e-3, 5e-4)
    resumed = to_lambda_lr(schedule, second)
    second.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert lrs_seen(second, resumed, 57) == lrs_seen(first, scheduler, 57)


def test_torch_is_told_when_training_goes_on_after_the_schedule_s_end():
    schedule = SCHEDULES["linear"]
    optimizer = optimizer_of(1e-3)
    scheduler = to_lambda_lr(schedule, optimizer)
    lrs_seen(optimizer, scheduler, schedule.steps)
    with pytest.raises(ScheduleError, match="the schedule has 50 steps"):
        scheduler.step()


@pytest.mark.parametrize(
    ("family", "theirs"),
    [
        ("cosine", lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200, eta_min=0.001)),
        ("linear", lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=200)),
    ],
)
def test_decays_count_their_updates_as_torch_does(family, theirs):
    schedule = build(family, {"peak_lr": 0.01, "final_lr_ratio": 0.1}, steps=200)
    optimizer = optimizer_of(0.01)
    seen = [lr for (lr,) in lrs_seen(optimizer, theirs(optimizer), 200)]
    assert schedule.lrs.tolist() == pytest.approx(seen, rel=1e-12, abs=0)


def test_an_optimizer_without_an_lr_to_refer_to_is_refused():
    with pytest.raises(ScheduleError, match=r"must be > 0, but got 0\.0\.$"):
        to_lambda_lr(SCHEDULES["linear"], optimizer_of(1e-3, default=0.0))


def test_an_optimizer_that_is_scheduled_already_is_refused():
    optimizer = optimizer_of(1e-3)
    to_lambda_lr(SCHEDULES["linear"], optimizer)
    with pytest.raises(ScheduleError, match="already has a scheduler or a loaded state"):
        to_lambda_lr(SCHEDULES["linear"], optimizer)


def test_the_csv_reads_back_to_the_same_bits(schedule):
    rows = list(csv.DictReader(io.StringIO(to_csv(schedule))))
    assert [int(row["step"]) for row in rows] == list(range(schedule.steps))
    assert [float(row["lr"]) for row in rows] == schedule.lrs.tolist()


def namespace_of(source):
    namespace = {}
    exec(compile(source, "exported.py", "exec"), namespace)
    return namespace


def test_the_source_gives_every_lr(schedule):
    exported = namespace_of(to_torch_source(schedule))
    assert exported["LRS"] == schedule.lrs.tolist()
    assert [exported["lr_at"](step) for step in range(schedule.steps + 1)] == [
        *schedule.lrs.tolist(),
        schedule.final_lr,
    ]


def test_the_source_s_scheduler_does_what_the_exported_one_does():
    schedule = SCHEDULES["wsd-exponential"]
    ours, theirs = optimizer_of(1e-3, 5e-4), optimizer_of(1e-3, 5e-4)
    exported = namespace_of(to_torch_source(schedule))["make_scheduler"](theirs)
    assert lrs_seen(theirs, exported, schedule.steps) == lrs_seen(ours, to_lambda_lr(schedule, ours), schedule.steps)
    with pytest.raises(ValueError, match="the schedule has 97 steps"):
        exported.step()
    with pytest.raises(ValueError, match="already has a scheduler"):
        namespace_of(to_torch_source(schedule))["make_scheduler"](theirs)


def test_the_source_writes_a_flat_stretch_once():
    long = build("wsd", {"peak_lr": 0.01, "warmup_steps": 10, "cooldown_fraction": 0.01}, steps=100_000)
    source = to_torch_source(build("constant", {"peak_lr": 0.01}, steps=1_000_000))
    assert "(1000000, lambda j: 0.01)," in source
    assert len(source) < 2500
    assert len(to_torch_source(long)) < 50_000
    assert max(len(line) for line in to_torch_source(long).splitlines()) <= 120


@pytest.mark.parametrize("break_", ["\n", "\r", "\u2028", "\x0c", "\0"])
def test_a_schedule_file_cannot_put_code_into_the_source(break_):
    document = json.loads(SCHEDULES["linear"].to_json())
    document["family"] = f"linear{break_}raise SystemExit('from a schedule file') #{{}}"
    document["params"] = {f"a{break_}raise SystemExit()": "{steps}"}
    exported = namespace_of(to_torch_source(Schedule.from_json(json.dumps(document))))
    assert exported["STEPS"] == 50


@pytest.mark.slow
def test_importing_the_schedules_imports_no_torch():
    command = "import sys, autosched.schedules; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True, timeout=60)
