"""`new`: the beginning of a trainer of one's own, with a space that tunes it."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated

import typer

from autosched.errors import UsageError
from autosched.printed import tell

KINDS = ("trainer",)
SPACE = """\
study: {name}
trainer: {{use: {name}:MyTrainer}}
horizon_steps: 300
schedule:
  wsd:
    peak_lr: {{low: 1.0e-4, high: 1.0e-1, scale: log}}
    warmup_steps: 15
    cooldown_fraction: [0.2, 0.5, 1.0]
default:
  wsd: {{peak_lr: 1.0e-3, warmup_steps: 15}}
budget: {{full_runs: 4}}
confirm: {{seeds: 2}}
"""


def new(
    kind: Annotated[str, typer.Argument(help="trainer", metavar="KIND")],
    file: Annotated[Path, typer.Argument(help="The module to write; the space goes beside it.", metavar="FILE")] = Path(
        "my_trainer.py"
    ),
) -> None:
    """Write the beginning of a trainer of your own, and a space that tunes it.

    Example: autosched new trainer my_trainer.py
    """
    if kind not in KINDS:
        raise UsageError(f"KIND must be {', '.join(KINDS)}, but got {kind!r}.")
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise UsageError(f"FILE must be the name of a Python module, as my_trainer.py, but got {str(file)!r}.")
    space = file.with_suffix(".yaml")
    for there in (file, space):
        if there.exists():
            raise UsageError(f"{there} is there already; name another file.")
    source = importlib.resources.files("autosched.trainer").joinpath("skeleton.py").read_text()
    try:
        file.write_text(source)
        space.write_text(SPACE.format(name=file.stem))
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}.") from None
    tell(f"wrote {file} and {space}: put in your model, data and loss, then")
    tell(f"  autosched check-trainer {space}")
    tell(f"  autosched tune --space {space}")
