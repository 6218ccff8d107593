"""HTML as values: text becomes HTML only through :func:`tag`, which escapes it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from importlib import resources


class Html(str):
    """Text that is HTML already; everything else is escaped on its way into a page."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: str) -> Html:
    """An element; children that are no `Html` are escaped, None is left out, ``class_`` stands for ``class``.

    Example:
        >>> tag("p", "1 < 2", tag("b", "!"), class_="note")
        '<p class="note">1 &lt; 2<b>!</b></p>'
    """
    written = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str | None]) -> Html:
    """Pieces one after another, escaped where they are plain text."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts if part is not None))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset()) -> Html:
    """A table that scrolls on its own when it is wide; columns whose index is in `numbers` are set to the right."""

    def cells(name: str, row: Sequence[str]) -> Html:
        return join(tag(name, cell, class_="number" if i in numbers else "text") for i, cell in enumerate(row))

    head = tag("thead", tag("tr", cells("th", heads)))
    body = tag("tbody", join(tag("tr", cells("td", row)) for row in rows))
    return tag("div", tag("table", head, body), class_="wide")


def picture(png: bytes, *, alt: str, caption: str) -> Html:
    """A PNG inside the page, with a caption."""
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    image = Html(f'<img src="{source}" alt="{html.escape(alt)}">')
    return tag("figure", image, tag("figcaption", caption))


def section(identity: str, title: str, *children: str | None) -> Html:
    """A part of the page that links can point to."""
    return tag("section", tag("h2", title), *children, id=identity)


def page(title: str, *children: str | None) -> str:
    """A whole page in the report's style; it loads nothing and runs no script."""
    style = Html(resources.files("autosched.report").joinpath("report.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", style),
    )
    body = tag("body", tag("main", *children))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
