"""`schedules`: which schedule families there are, and what one of them takes."""

from __future__ import annotations

from typing import Annotated

import typer

from autosched.cli.options import JsonOption, show
from autosched.errors import UsageError
from autosched.printed import tell
from autosched.report.families import (
    families_document,
    families_lines,
    families_markdown,
    family_document,
    family_lines,
)
from autosched.schedules.registry import family_names, get_family
from autosched.space.section import closest


def schedules(
    name: Annotated[str | None, typer.Argument(help="A family; without one, all are listed.", metavar="[NAME]")] = None,
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of docs/reference/families.md.")
    ] = False,
) -> None:
    """List the schedule families, or explain one: formula, source, parameters with defaults and search bounds.

    Example: autosched schedules wsd
    """
    if markdown:
        if name is not None or as_json:
            raise UsageError("--markdown prints the table of all families; leave NAME and --json out.")
        tell(families_markdown().rstrip("\n"))
    elif name is None:
        show(as_json, families_document(), families_lines())
    else:
        check_name(name)
        show(as_json, family_document(get_family(name)), family_lines(get_family(name)))


def check_name(name: str) -> None:
    """Refuse what is no family.

    Raises:
        UsageError: as said; the text names the nearest one and all of them.
    """
    if name not in family_names():
        hint = closest(name, family_names()) or "."
        raise UsageError(f"family must be one of {', '.join(family_names())}, but got {name!r}{hint}")
