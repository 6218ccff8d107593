"""`export`: take a schedule away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.options import JsonOption, LedgerOption, show, write_file
from autosched.errors import CurveError, ScheduleError, UsageError
from autosched.schedules.exports.targets import TARGETS, export_text
from autosched.schedules.schedule import Schedule
from autosched.study.results import Study
from autosched.text_files import read_document


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
        str, typer.Option("--to", help=f"One of {', '.join(TARGETS)}; see docs/how-to/export.md.", metavar="TARGET")
    ] = "json",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file instead of stdout.")] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a schedule away in the form another program reads.

    Python sources and arguments run without autosched.

    Example: autosched export wsd-demo --to torch --out schedule.py
    """
    if to not in TARGETS:
        raise UsageError(f"--to must be one of {', '.join(TARGETS)}, but got {to!r}.")
    path = Path(source)
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
    show(as_json, document, [text.rstrip("\n") if out is None else f"wrote {out}"])
