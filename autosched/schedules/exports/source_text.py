"""What every exported Python source has in common: its head, and the LRs, as pieces or listed."""

from __future__ import annotations

import itertools

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.exports.pieces_source import pieces_source
from autosched.schedules.schedule import Schedule

SOURCE_WIDTH = 100
TUNED_WITH = "the schedule was tuned with these; train with them"


def python_source(schedule: Schedule, *, usage: str, imports: str, code: str) -> str:
    """A module: `usage` as its docstring, `imports`, the constants ``STEPS`` and ``LRS``, then `code`.

    ``LRS`` holds the schedule's float64 LRs to the last bit: computed from the pieces of its family, whatever machine
    computes them, or listed where no family says them. The source needs nothing of autosched.
    """
    # ascii() keeps a line break in a schedule file's texts from becoming a line of the program.
    constants = [
        f"# {ascii(schedule.describe())[1:-1]}",
        f"# peak LR {schedule.peak_lr!r}, last LR {schedule.final_lr!r}",
        f"# SHA-256 of the LRs (float64, little endian): {schedule.fingerprint}",
        f"STEPS = {schedule.steps}",
        *(
            [f"HYPERPARAMETERS = {dict(schedule.hyperparameters)!r}  # {TUNED_WITH}"]
            if schedule.hyperparameters
            else []
        ),
        pieces_source(schedule) or _listed(schedule),
    ]
    return "\n".join([f'"""{usage.strip()}\n"""', "", imports.strip(), "", *constants, "", "", code.strip(), ""])


def _listed(schedule: Schedule) -> str:
    runs = [f"({lr!r}, {len(list(group))})," for lr, group in itertools.groupby(schedule.lrs.tolist())]
    head = "RUNS = [  # (LR, number of updates in a row that use it)"
    lines = [f"    {line}" for line in _wrapped(runs)]
    return "\n".join([head, *lines, "]", "LRS = [lr for lr, count in RUNS for _ in range(count)]"])


def check_float32(schedule: Schedule, target: str) -> None:
    """Refuse LRs that a framework which counts in float32 would turn into infinity or zero.

    Raises:
        ScheduleError: an LR that is neither 0 nor a normal float32.
    """
    limits = np.finfo(np.float32)
    lrs = schedule.lrs
    bad = np.flatnonzero((lrs != 0) & ~((lrs >= limits.tiny) & (lrs <= limits.max)))
    if bad.size:
        step = int(bad[0])
        allowed = f"0 or from {float(limits.tiny):.3g} to {float(limits.max):.3g}"
        raise ScheduleError(
            f"{target} computes LRs in float32, where they must be {allowed}, "
            f"but update {step} has {float(lrs[step])!r}."
        )


def _wrapped(words: list[str]) -> list[str]:
    """The words in lines of at most `SOURCE_WIDTH` characters."""
    lines: list[str] = []
    line = ""
    for word in words:
        if line and len(line) + len(word) >= SOURCE_WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [*lines, line]
