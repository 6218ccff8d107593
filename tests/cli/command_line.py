"""Runs the program inside the test, on studies that take a fraction of a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autosched.cli.app import run
from autosched.ledger.events import Stamped
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import load_space
from autosched.study.progress import PlainProgress
from autosched.study.run import RunOptions, run_study
from autosched.study.start import create_study

SPACE = """\
study: s
trainer:
  use: simulated
  with: {noise: 0.0}
horizon_steps: 40
eval_every: 10
checkpoint_every: 20
schedule:
  wsd:
    peak_lr: {low: 1e-3, high: 1e-1, scale: log}
    warmup_steps: 4
    cooldown_fraction: [0.25, 0.5]
    cooldown_shape: [linear, sqrt]
default:
  wsd: {peak_lr: 1e-2, warmup_steps: 4}
controller: random
pruner: none
budget: {trials: 5}
resources: {workers: 2}
tracking: none
"""
TUNE = ("tune", "--space", "space.yaml", "--backend", "local", "--json")
PREFIX = "autosched: error: "


def write_space(changes: Mapping[str, str] | None = None) -> None:
    """``space.yaml`` in the current folder, with some of its text replaced."""
    text = SPACE
    for old, new in (changes or {}).items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    Path("space.yaml").write_text(text)


def files() -> dict[Path, bytes]:
    """Every file below the current folder but databases and their locks, which are read and not compared."""
    return {
        path: path.read_bytes()
        for path in Path().rglob("*")
        if path.is_file() and not {".db", ".lock"} & set(path.suffixes) and ".db-" not in path.name
    }


def events(url: str = "sqlite:///autosched.db") -> dict[str, list[Stamped]]:
    """All studies of a ledger with all their events."""
    ledger = Ledger(url)
    try:
        return {row.name: list(ledger.read(row.name)) for row in ledger.studies()}
    finally:
        ledger.close()


def refuse(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], *says: str, code: int = 2) -> str:
    """Run a command that must fail with one line that says all this, nothing on stdout, and no file changed."""
    before = files()
    capsys.readouterr()
    assert run(list(arguments)) == code
    shown = capsys.readouterr()
    assert shown.err.startswith(PREFIX), shown.err
    assert shown.err.count("\n") == 1, shown.err
    assert shown.err.endswith("\n")
    assert shown.out == ""
    for part in says:
        assert part in shown.err, shown.err
    after = files()
    assert {path: after.get(path) for path in before} == before
    return shown.err.removeprefix(PREFIX).rstrip("\n")


class Interrupting(PlainProgress):
    """Stands for Ctrl-C after a number of events."""

    def __init__(self, after: int) -> None:
        self._after = after

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        if stamped.number == self._after:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Nothing was opened."""


def interrupted(after: int = 20, space: Path = Path("space.yaml")) -> None:
    """Start the study of a space file, and stop it after so many events."""
    loaded = load_space(space)
    ledger = Ledger(loaded.storage.ledger)
    try:
        name = create_study(ledger, loaded).study
        with pytest.raises(KeyboardInterrupt):
            run_study(ledger, name, RunOptions(backend="local"), Interrupting(after))
        assert ledger.state(name).finished is None
    finally:
        ledger.close()


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command prints with ``--json``."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)
