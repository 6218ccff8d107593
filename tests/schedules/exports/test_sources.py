"""What all exported sources share: short where the schedule is flat, no code from a schedule file, no lost LR."""

from __future__ import annotations

import json
import re

import pytest

from autosched.errors import ScheduleError
from autosched.schedules import Schedule, build, export_text
from autosched.schedules.exports.targets import TARGETS

SOURCES = ("torch", "huggingface", "lightning", "keras", "optax")


@pytest.mark.parametrize("target", SOURCES)
def test_a_flat_stretch_is_written_once(target: str) -> None:
    source = export_text(build("constant", {"peak_lr": 0.01}, steps=1_000_000), target)
    assert "(0.01, 1000000)," in source
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
