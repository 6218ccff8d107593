"""What a person sees in a terminal: the program in real ones of two sizes, captured by tmux.

    python benchmarks/terminal.py > pictures.json

Studies of the simulated trainer, slowed down, and one whose losses are so noisy that no law describes them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVER = ("tmux", "-L", "autosched-captures", "-f", "/dev/null")
SIZES = {"80x24": (80, 24), "200x50": (200, 50)}
PATIENCE_SECONDS = 400
DEMO = """\
study: demo
trainer: {use: simulated, with: {seconds_per_step: 0.002}}
horizon_steps: 400
schedule:
  wsd:
    peak_lr: {low: 1.0e-3, high: 0.3, scale: log}
    warmup_steps: 20
    cooldown_fraction: {low: 0.1, high: 0.5}
default: {wsd: {peak_lr: 0.01, warmup_steps: 20, cooldown_fraction: 0.2}}
budget: {full_runs: 6}
confirm: {finalists: 1, seeds: 2}
resources: {workers: 2}
tracking: none
"""
NOISY = """\
study: noisy
trainer: {use: simulated, with: {noise: 0.7}}
horizon_steps: 200
eval_every: 10
checkpoint_every: 20
schedule:
  wsd:
    peak_lr: {low: 1.0e-3, high: 1.0, scale: log}
    warmup_steps: 10
    cooldown_fraction: {low: 0.05, high: 1.0}
default: {wsd: {peak_lr: 0.03, warmup_steps: 10, cooldown_fraction: 0.2}}
budget: {full_runs: 4}
resources: {workers: 2}
tracking: none
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture: the command, and the text at which it is taken."""

    name: str
    command: str
    until: str


SHOTS = (
    Shot(name="empty", command="status --ledger sqlite:///empty.db", until="$"),
    Shot(name="running", command="tune --space demo.yaml --backend local", until="pruned at"),
    Shot(name="finished", command="status demo", until="$"),
    Shot(name="best", command="best demo", until="$"),
    Shot(name="lawless", command="tune --space noisy.yaml --backend local", until="$"),
    Shot(
        name="compare",
        command="compare demo.yaml --methods law,tpe+none --seeds 2 --full-runs 3 --out compared",
        until="$",
    ),
)


def captured(session: str) -> list[str]:
    """The lines of the terminal, without the empty ones below."""
    done = subprocess.run([*SERVER, "capture-pane", "-p", "-t", session], capture_output=True, text=True, check=True)
    return [line.rstrip() for line in done.stdout.rstrip().splitlines()]


def started(session: str, size: tuple[int, int], command: str, folder: Path) -> None:
    """A command in a terminal of its own, which says ``$`` at the end and stays."""
    program = f"{sys.executable} -m autosched {command}; echo '$'; sleep {PATIENCE_SECONDS}"
    shell = f"cd {folder} && export PYTHONPATH={ROOT} && unset CI; {program}"
    width, height = map(str, size)
    subprocess.run([*SERVER, "new-session", "-d", "-s", session, "-x", width, "-y", height, shell], check=True)


def awaited(session: str, until: str) -> list[str]:
    """The terminal when it shows a text, or the command has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        lines = captured(session)
        if lines and (lines[-1] == "$" or any(until in line for line in lines)):
            return lines[:-1] if lines[-1] == "$" else lines
        time.sleep(0.2)
    raise SystemExit(f"{session}: {until!r} was not seen: {captured(session)}")


def pictures() -> dict[str, dict[str, list[str]]]:
    """All pictures, by size and name."""
    with tempfile.TemporaryDirectory() as name:
        found: dict[str, dict[str, list[str]]] = {size: {} for size in SIZES}
        try:
            for size, columns in SIZES.items():
                folder = Path(name) / size  # of its own: what was trained before is not trained again
                folder.mkdir()
                (folder / "demo.yaml").write_text(DEMO)
                (folder / "noisy.yaml").write_text(NOISY)
                (folder / "empty.db").touch()
                for shot in SHOTS:
                    session = f"{shot.name}-{size}"
                    started(session, columns, shot.command, folder)
                    found[size][shot.name] = awaited(session, shot.until)
                    if shot.name == "running":
                        awaited(session, "$")
        finally:
            subprocess.run([*SERVER, "kill-server"], check=False)
    return found


if __name__ == "__main__":
    print(json.dumps(pictures(), indent=1, ensure_ascii=False))
