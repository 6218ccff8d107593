"""`spaces`: the search spaces that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from autosched.cli.options import JsonOption, show
from autosched.errors import UsageError
from autosched.space.section import closest
from autosched.space.shipped import about, shipped_spaces


def spaces(
    name: Annotated[
        str | None, typer.Argument(help="A space to print; without one, all are listed.", metavar="[NAME]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the search spaces that come with autosched, or print one, to change and keep.

    Example: autosched spaces wsd > mine.yaml
    """
    found = shipped_spaces()
    if name is None:
        width = max(map(len, found))
        document = [{"space": space, "file": str(file), "about": about(file)} for space, file in found.items()]
        show(as_json, document, [f"{row['space']:<{width}}  {row['about']}" for row in document])
    elif name in found:
        text = found[name].read_text(encoding="utf-8")
        show(as_json, {"space": name, "file": str(found[name]), "text": text}, [text.rstrip("\n")])
    else:
        hint = closest(name, found) or "."
        raise UsageError(f"NAME must be one of {', '.join(found)}, but got {name!r}{hint}")
