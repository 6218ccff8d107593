"""A space file for a command line: what `autosched tune --run` writes and uses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path, PurePath

from autosched.errors import UsageError
from autosched.space.trainer_spec import TrainerSpec

WARMUP_SHARE, COOLDOWN_LOW = 0.05, 0.05
"""Warmup and the shortest cooldown, as shares of the run. Source: search_spaces/wsd.yaml, the demo."""
_FORM = """\
# Written by `autosched tune --run`; change it as you like and give it to `autosched tune --space`.
study: {study}
trainer:
  use: command
  with:
    run: {run}
horizon_steps: {steps}
schedule:
  wsd:
    peak_lr: {{low: {low!r}, high: {high!r}, scale: log}}
    warmup_steps: {warmup}
    cooldown_fraction: {{low: {cooldown!r}, high: 1.0}}
controller: {controller}
"""


def command_space(run: str, *, steps: int, peak_lr: str, name: str | None = None) -> tuple[Path, str]:
    """The space of a command, as the name of a file and its text.

    Args:
        run: the command, with its fields in braces.
        steps: updates of a run.
        peak_lr: the peak LRs to search, as ``LOW:HIGH``.
        name: of the study; None for that of the command's script.

    Raises:
        UsageError: `peak_lr` has another form.
    """
    low, high = _bounds(peak_lr)
    study = name or _name(run)
    resumes = TrainerSpec(use="command", options={"run": run}).resumes
    text = _FORM.format(
        study=study,
        run=json.dumps(run),  # a JSON text is a YAML text
        steps=steps,
        low=low,
        high=high,
        warmup=round(WARMUP_SHARE * steps),
        cooldown=COOLDOWN_LOW,
        controller="law" if resumes else "tpe  # law goes to and fro between trials, for which a run needs checkpoints",
    )
    return Path(f"{study}.yaml"), text


def written_space(run: str, *, steps: int, peak_lr: str, name: str | None = None) -> Path:
    """Write the space of a command into the working directory; see :func:`command_space`.

    Raises:
        UsageError: there is another file of this name, or it cannot be written.
    """
    path, text = command_space(run, steps=steps, peak_lr=peak_lr, name=name)
    try:
        if path.exists() and path.read_text() != text:
            raise UsageError(f"{path} is there already, with another content: use it with --space, or give --name.")
        path.write_text(text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}.") from None
    return path


def _bounds(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        bounds = float(low), float(high)
    except ValueError:
        bounds = (0.0, 0.0)
    if not 0 < bounds[0] < bounds[1] < float("inf"):
        raise UsageError(f"--peak-lr must be LOW:HIGH with 0 < LOW < HIGH, e.g. 1e-4:1e-2, but got {text!r}.")
    return bounds


def _name(run: str) -> str:
    """The script's name without its ending, in letters that a study may have."""
    try:
        words = shlex.split(run)
    except ValueError:
        words = run.split()
    script = next((word for word in words if PurePath(word).suffix in {".py", ".sh"}), words[0] if words else "command")
    return re.sub(r"[^A-Za-z0-9._-]", "-", PurePath(script).stem).lstrip("._-")[:64] or "command"
