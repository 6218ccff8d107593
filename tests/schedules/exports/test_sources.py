"""What all exported sources share: short where the schedule is flat, no code from a schedule file, no lost LR."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from autosched.errors import ScheduleError
from autosched.schedules import Schedule, build, export_text, family_names, get_family
from autosched.schedules.exports.pieces_source import pieces_source
from autosched.schedules.exports.targets import TARGETS
from autosched.testing.schedule_contract import family_inputs, make

SOURCES = ("torch", "huggingface", "lightning", "keras", "optax")


@pytest.mark.parametrize("target", SOURCES)
def test_a_flat_stretch_is_written_once(target: str) -> None:
    source = export_text(build("constant", {"peak_lr": 0.01}, steps=1_000_000), target)
    assert "(1000000, lambda j: 0.01)," in source
    assert len(source) < 3500


@pytest.mark.parametrize("target", SOURCES)
@pytest.mark.parametrize("text", ["\n", "\r", "\u2028", "\x0c", '"""', "{0}", "\\"])
def test_a_schedule_file_cannot_put_code_into_a_source(target: str, text: str) -> None:
    document = json.loads(build("linear", {"peak_lr": 0.01}, steps=5).to_json())
    document["family"] = f"linear{text}raise SystemExit('from a schedule file') #"
    document["params"] = {f"a{text}raise SystemExit()": "{steps}"}
    source = export_text(Schedule.from_json(json.dumps(document)), target)
    lines = [line for line in source.splitlines() if "raise SystemExit" in line]
    assert len(lines) >= 1
    assert all(line.lstrip().startswith("#") for line in lines)
    compile(source, "exported.py", "exec")


@pytest.mark.parametrize("target", ["keras", "optax"])
@pytest.mark.parametrize("lr", [1e300, 1e-300])
def test_an_lr_that_float32_cannot_hold_is_refused(target: str, lr: float) -> None:
    with pytest.raises(
        ScheduleError, match=rf"float32, .* 0 or from 1.18e-38 to 3.4e\+38, but .* {re.escape(repr(lr))}\.$"
    ):
        export_text(Schedule([0.1, lr]), target)


def test_the_keras_classes_of_two_schedules_are_registered_under_different_names() -> None:
    first, second = (export_text(Schedule([lr]), "keras") for lr in (0.1, 0.2))
    name = f"Schedule-{Schedule([0.1]).fingerprint[:16]}"
    assert name in first
    assert name not in second


def test_a_target_that_does_not_exist_is_refused_by_name() -> None:
    allowed = ", ".join(TARGETS)
    with pytest.raises(ScheduleError, match=rf"^the target must be one of {allowed}, but got 'jax'\.$"):
        export_text(Schedule([0.1]), "jax")


LISTED = {"table": {"lrs": [0.1]}, "piecewise": {"values": [0.1, 0.2], "boundaries": [5]}}
FORMULA = "min(peak, peak * 2 ** (-t / T) / max(log(t), 1)) if sin(t) > 0 else peak * (1 - t / T) ** 1.7"
SMALLEST = {"expression": {"expression": FORMULA}, "spline": {f"knot_{i}": 0.5 for i in range(1, 5)}}
HARD = {
    "wsd_s": {"checkpoints": 1000, "checkpoint_spacing": "even", "warmup_shape": "radam", "warmup_steps": 40_000},
    "step_decay": {"drops": 1000, "drop_factor": 0.97, "warmup_shape": "exponential", "warmup_steps": 40_000},
    "warm_restarts": {"cycles": 5000, "cycle_growth": 1, "cooldown_shape": "power"},
    "cyclic": {"cycles": 777.7, "cycle_shape": "exp_range", "final_height_ratio": 0.01},
    "polynomial": {"decay_power": 2.5, "warmup_shape": "logarithmic", "warmup_steps": 40_000},
}


@pytest.mark.parametrize("family", sorted(set(family_names()) - set(LISTED)))
def test_no_family_needs_more_than_50_kb_for_600_000_updates(family: str) -> None:
    for params in ({}, HARD.get(family, {})):
        schedule = build(family, {"peak_lr": 0.01, **SMALLEST.get(family, {}), **params}, steps=600_000)
        source = export_text(schedule, "torch")
        assert "RUNS" not in source
        assert len(source) <= 50_000


@pytest.mark.parametrize("family", sorted(set(family_names()) - {"table", "expression", "piecewise"}))
def test_the_pieces_of_every_family_give_its_lrs_to_the_last_bit(family: str) -> None:
    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    @given(family_inputs(get_family(family)))
    def gives_every_bit(inputs: tuple[dict[str, Any], int]) -> None:
        schedule = make(get_family(family), *inputs)
        assert lrs_of_source(pieces_source(schedule)) == schedule.lrs.tobytes()

    gives_every_bit()


@pytest.mark.parametrize(
    ("family", "params"), [("expression", {"peak_lr": 0.1, "expression": FORMULA}), ("piecewise", LISTED["piecewise"])]
)
def test_formulas_and_stages_do_so_too(family: str, params: dict[str, Any]) -> None:
    schedule = build(family, params, steps=997)
    assert lrs_of_source(pieces_source(schedule)) == schedule.lrs.tobytes()


def lrs_of_source(source: str | None) -> bytes:
    assert source is not None
    names: dict[str, list[float]] = {}
    exec(source, names)
    return np.asarray(names["LRS"], dtype=np.float64).tobytes()


def test_lrs_that_are_not_those_of_their_family_are_listed() -> None:
    made = build("linear", {"peak_lr": 0.1}, steps=10)
    lrs = made.lrs.copy()
    lrs[4] = np.nextafter(lrs[4], 1)
    edited = Schedule(lrs, made.family, dict(made.params))
    assert pieces_source(edited) is None
    assert "RUNS" in export_text(edited, "torch")


@pytest.mark.parametrize("target", SOURCES)
def test_a_listed_source_gives_every_lr_of_every_plateau(target: str) -> None:
    schedule = Schedule(np.repeat([0.1, 0.25, 0.1, 0.0], [3, 1, 40, 2]))
    source = export_text(schedule, target)
    constants = source[source.index("RUNS = [") : source.index("\n\n", source.index("LRS = ["))]
    found: dict[str, Any] = {}
    exec(constants, found)
    assert found["LRS"] == schedule.lrs.tolist()
