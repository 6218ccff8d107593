"""`export`: take a schedule away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.options import JsonOption, LedgerOption, show, write_file
from autosched.errors import CurveError, ScheduleError, UsageError
from autosched.printed import tell
from autosched.schedules.exports.targets import TARGETS, export_text
from autosched.schedules.schedule import Schedule
from autosched.study.results import Study
from autosched.text_files import read_document

CHECKPOINT = "checkpoint"
"""The target that is no text: a study's trained model."""


def load_schedule(path: Path) -> Schedule:
    """Read a schedule file.

    Raises:
        CurveError, ScheduleError: the file cannot be read or is no schedule; the line names it.
    """
    text = read_document(path, "a schedule file", CurveError)
    try:
        return Schedule.from_json(text)
    except ScheduleError as error:
        raise ScheduleError(f"{path}: {error}") from None


def export(
    source: Annotated[str, typer.Argument(help="A study's name, or a schedule file.", metavar="STUDY|FILE")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help=f"One of {', '.join(TARGETS)}, or {CHECKPOINT}; see docs/how-to/export.md.",
            metavar="TARGET",
        ),
    ] = "json",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file instead of stdout.")] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a schedule away in the form another program reads, or the winner's trained model.

    Python sources and arguments run without autosched. A checkpoint is what `init_from` of the torch trainers takes.

    Example: autosched export wsd-demo --to torch --out schedule.py
    """
    if to not in (*TARGETS, CHECKPOINT):
        raise UsageError(f"--to must be one of {', '.join((*TARGETS, CHECKPOINT))}, but got {to!r}.")
    path = Path(source)
    if to == CHECKPOINT:
        if out is None or path.suffix == ".json":
            raise UsageError(f"--to {CHECKPOINT} needs a study, and --out FILE to write its winner's model to.")
        _export_checkpoint(Study(source, ledger=ledger), out, as_json)
        return
    whole = path.suffix == ".json" or path.is_file()
    schedule = load_schedule(path) if whole else Study(source, ledger=ledger).schedule()
    text = export_text(schedule, to)
    if out is not None:
        write_file(out, text.encode())
    document = {
        "target": to,
        "steps": schedule.steps,
        "fingerprint": schedule.fingerprint,
        "out": None if out is None else str(out),
        "text": text if out is None else None,
    }
    if schedule.hyperparameters:
        document["hyperparameters"] = dict(schedule.hyperparameters)
        told = ", ".join(f"{name}={value}" for name, value in schedule.hyperparameters.items())
        tell(f"autosched: the schedule was tuned with {told}; train with them.", sys.stderr)
    show(as_json, document, [text.rstrip("\n") if out is None else f"wrote {out}"])


def _export_checkpoint(study: Study, out: Path, as_json: bool) -> None:
    best = study.trial()
    content = study.checkpoint()
    write_file(out, content)
    document = {"target": CHECKPOINT, "trial": best.number, "step": best.step, "bytes": len(content), "out": str(out)}
    show(as_json, document, [f"wrote {out}, trial {best.number} of {study.name} after {best.step} updates"])
