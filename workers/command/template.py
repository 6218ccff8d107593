"""Fills ``{names}`` into a command, word by word and without a shell, so that no value can become another word.

name                        stands for
--------------------------  ----------------------------------------------------------------------------------
lrs                         a text file of one LR per update of the whole run, one a line
lrs_csv                     the same as CSV with the columns step and lr
lrs_json                    the same as a JSON list
lrs_py                      the same as a Python module with the list LRS
start, stop                 the updates to train: from `start` up to, but not including, `stop`
horizon                     updates of the whole run
eval_every                  updates between the evaluations that autosched wants
seed                        of the model's initial weights and its batches
trial                       the trial's number
out                         a folder of the command's own, which is removed with it
checkpoint_in               the file or folder that was saved at `start`; empty when `start` is 0
checkpoint_out              where to save, as a file or a folder
family, peak_lr, …          the schedule's family and its parameters, for a script with a scheduler of its own
weight_decay, …             the space's hyperparameters, and those of the option `hyperparameters`
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from autosched.schedules.schedule import Schedule

LRS: Mapping[str, tuple[str, Callable[[list[float]], str]]] = {
    "lrs": ("lrs.txt", lambda lrs: "".join(f"{lr!r}\n" for lr in lrs)),
    "lrs_csv": ("lrs.csv", lambda lrs: "step,lr\n" + "".join(f"{i},{lr!r}\n" for i, lr in enumerate(lrs))),
    "lrs_json": ("lrs.json", json.dumps),
    "lrs_py": ("lrs.py", lambda lrs: f"LRS = {lrs!r}\n"),
}
"""Forms of the file of LRs: its name, and how it is written. repr() of a float reads back as the same float."""
PLAIN = ("start", "stop", "horizon", "eval_every", "seed", "trial", "out", "checkpoint_in", "checkpoint_out")
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")


def fields_of(text: str) -> list[str]:
    """The names in braces, in order; ``{{`` and ``}}`` stand for braces."""
    return [match[1] for match in _FIELD.finditer(text) if match[1]]


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its fields filled in."""

    def value(match: re.Match[str]) -> str:
        return values[match[1]] if match[1] else match[0][0]

    return _FIELD.sub(value, text)


def filled(run: Sequence[str] | str, values: Mapping[str, str]) -> Sequence[str] | str:
    """A command with its fields filled in: word by word, or, for a shell, quoted."""
    if isinstance(run, str):
        return fill(run, {name: shlex.quote(value) for name, value in values.items()})
    return [fill(word, values) for word in run]


def write_lrs(folder: Path, schedule: Schedule, names: Iterable[str]) -> dict[str, str]:
    """Write the files of LRs that a command names; returns their paths by field."""
    lrs = schedule.lrs.tolist()
    paths = {}
    for name in LRS.keys() & set(names):
        file, form = LRS[name]
        (folder / file).write_text(form(lrs))
        paths[name] = str(folder / file)
    return paths


def parameters(schedule: Schedule) -> dict[str, str]:
    """The schedule's family and parameters by name, numbers in full precision."""
    return {"family": schedule.family, **{name: str(value) for name, value in schedule.params.items()}}


def hyperparameters(values: Mapping[str, object]) -> dict[str, str]:
    """Hyperparameters by name, numbers in full precision, true and false and lists as in JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
