"""The page as a file or as a server gives it: the same style and scripts, with or without what they show inside.

The frozen file needs nothing else: it carries its document and plotly.js, compressed, and a content policy that lets
its own scripts run and nothing else, loads nothing and sends nothing.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

SCRIPTS = (
    *("dom.js", "moments.js", "fold.js", "charts.js", "pictures.js", "explore.js"),
    *("sections.js", "study_facts.js", "list.js", "comparison.js", "main.js"),
)
PLOTLY = "plotly-cartesian.min.js"
"""As the package plotly.js-cartesian-dist-min of npm ships it, whose licence lies beside it."""
EMPTY = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""Of nothing: plotly.js makes empty style elements and fills them rule by rule, which the policy lets pass."""
PLOTLY_STYLE = '<style id="plotly.js-style-global" class="no-inline-styles"></style>'
"""Tells plotly.js that the page's own style has its rules."""


@cache
def style() -> str:
    """The page's style sheet."""
    return _resource("page.css")


@cache
def script() -> str:
    """The page's script: its files, one after another, in a scope of their own."""
    return '(() => {\n"use strict";\n' + "\n".join(_resource(name) for name in SCRIPTS) + "\n})();\n"


@cache
def plotly_script() -> str:
    """plotly.js with charts on two axes alone: the whole of it takes a browser three times as long to begin."""
    return _resource(PLOTLY)


def frozen_page(title: str, document: Mapping[str, Any]) -> str:
    """A whole page in one file, about 0.7 MB and what its document takes."""
    policy = (
        f"default-src 'none'; script-src {' '.join(_hash(text) for text in (script(), plotly_script()))}; "
        f"style-src {_hash(style())} '{EMPTY}'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    carried = json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    rule = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
    without = "<noscript>This page draws itself, with scripts that it carries: let it run them.</noscript>"
    parts = [
        _head(title, rule, f"<style>{style()}</style>"),
        f"<body><main>{without}</main>",
        f'<script type="text/plain" id="document">{packed(carried)}</script>',
        f'<script type="text/plain" id="plotly">{_packed_plotly()}</script>',
        f"<script>{script()}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def served_page(title: str, live: str) -> str:
    """The page without its document, which it asks of its server, below the path `live`."""
    links = [
        '<link rel="stylesheet" href="/page.css">',
        '<script src="/page.js" defer></script>',
    ]
    return _head(title, *links) + f'\n<body data-live="{html.escape(live)}"><main></main></body></html>\n'


def packed(text: str) -> str:
    """Text as gzip in base64; the same text gives the same."""
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode("ascii")


@cache
def _packed_plotly() -> str:
    return packed(plotly_script())


def _head(title: str, *more: str) -> str:
    about = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    name = f"<title>{html.escape(title)}</title>"
    return "\n".join(["<!doctype html>", '<html lang="en"><head>', about, name, *more, PLOTLY_STYLE, "</head>"])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _resource(name: str) -> str:
    return resources.files("autosched.report").joinpath("page", name).read_text(encoding="utf-8")
