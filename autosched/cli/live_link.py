"""Where the live page of a study is."""

from __future__ import annotations

from urllib.parse import quote

from autosched.space.records import Storage

PORT = 8377
"""Of `autosched serve`, unless another is named."""


def study_path(study: str | None) -> str:
    """Of a study's page on its server; of the list of all for None."""
    return "/" if study is None else f"/study/{quote(study, safe='')}"


def live_link(study: str, ledger: str) -> str:
    """How to see a study as it runs, in a line.

    Example:
        >>> live_link("demo", "sqlite:///autosched.db")
        '`autosched serve demo` shows it live: http://127.0.0.1:8377/study/demo'
    """
    other = "" if ledger == Storage().ledger else f" --ledger {ledger}"
    return f"`autosched serve {study}{other}` shows it live: http://127.0.0.1:{PORT}{study_path(study)}"
