"""One sound space file, line by line, so that tests can change a line and know which one is at fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LINES = """\
study: demo
seed: 0
trainer:
  use: simulated
  with: {noise: 0.0}
horizon_steps: 600
eval_every: 20
checkpoint_every: 40
schedule:
  wsd:
    peak_lr: {low: 1e-3, high: 1e-1, scale: log}
    warmup_steps: 30
    cooldown_fraction: {low: 0.05, high: 1.0}
    cooldown_shape: [linear, sqrt, power]
    final_lr_ratio: 0.0
default:
  wsd:
    peak_lr: 1e-2
    warmup_steps: 30
    cooldown_shape: linear
controller: tpe
pruner: law
budget: {trials: 24}
resources: {workers: 2}
storage: {ledger: "sqlite:///autosched.db"}
tracking: {uri: none}
confirm: {finalists: 2, seeds: 3}
""".splitlines()
"""Lines 1 to 27."""


def written(folder: Path, changes: Mapping[int, str] | None = None) -> Path:
    """The file with some lines (counted from 1) replaced; a replacement may be several lines, or empty to drop one."""
    lines = list(LINES)
    for number, text in sorted((changes or {}).items(), reverse=True):
        lines[number - 1 : number] = text.splitlines()
    path = folder / "space.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
