"""Before a trainer of one's own is tuned for the first time, a few updates show whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import run

import autosched
from autosched.errors import UsageError

GOOD = """\
from workers.simulated import SimulatedTrainer

class Mine(SimulatedTrainer):
    pass
"""
WRONG = """\
from workers.simulated import SimulatedTrainer

class Mine(SimulatedTrainer):
    def train(self, lrs):
        return super().train(lrs * 0 + 0.01)
"""
HANGS = """\
import time
from workers.simulated import SimulatedTrainer

class Mine(SimulatedTrainer):
    def train(self, lrs):
        time.sleep(3600)
"""


@pytest.fixture
def space(folder: Path, mapping: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(folder))
    return mapping | {"trainer": {"use": f"sound_{folder.name.translate(str.maketrans('[]-', '___'))}:Mine"}}


def write(space: dict[str, Any], text: str) -> None:
    Path(f"{space['trainer']['use'].partition(':')[0]}.py").write_text(text)


def test_a_wrong_trainer_is_refused_before_anything_is_kept_unless_it_is_trusted(space: dict[str, Any]) -> None:
    write(space, WRONG)
    with pytest.raises(UsageError, match=r"Update i uses lrs\[i\], but in a call of 4 updates, halving"):
        autosched.tune(space, backend="local", progress=False)
    trusted = autosched.tune(space, backend="local", progress=False, trust_trainer=True)
    assert trusted.status == "finished"
    again = autosched.tune(space, backend="local", progress=False)  # its identity is known by now
    assert again.name == f"{trusted.name}-2"


def test_one_that_hangs_is_given_no_more_than_the_budgets_minutes(space: dict[str, Any]) -> None:
    write(space, HANGS)
    with pytest.raises(UsageError, match=r"was still being checked when the budget's 0\.002 minutes were over"):
        autosched.tune(space | {"budget": {"minutes": 0.002}}, backend="local", progress=False)


@pytest.mark.parametrize(("text", "code", "mark"), [(GOOD, 0, "ok"), (WRONG, 2, "WRONG")])
def test_the_command_tells_every_promise_and_fails_where_one_is_broken(
    space: dict[str, Any], capsys: pytest.CaptureFixture[str], text: str, code: int, mark: str
) -> None:
    write(space, text)
    assert run(["check-trainer", "space.yaml", "--set", f"trainer.use={space['trainer']['use']}"]) == code
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert len(lines) == 13
    assert f"{mark:<8}Update i uses lrs[i]" in lines
