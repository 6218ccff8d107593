"""Where a study's files are: beside its ledger, whatever folder a command is started in, or where its space says.

A study whose ledger is a file can be moved or copied with its folder and goes on there. A ledger on a server has no
folder: there the places are made absolute when the study is begun.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from autosched.space.records import Space
from autosched.urls import database_url, sqlite_file, sqlite_url


def placed(space: Space, folder: Path | None) -> Space:
    """The space with its folders and its tracking database as seen from the current folder.

    Args:
        folder: of the ledger; None for a ledger on a server, whose studies have absolute places.
    """
    if folder is None:
        return space
    storage = replace(
        space.storage,
        checkpoints=_beside(folder, space.storage.checkpoints),
        reports=_beside(folder, space.storage.reports),
    )
    return replace(space, storage=storage, tracking=replace(space.tracking, uri=_database(folder, space.tracking.uri)))


def tracked(space: Space, uri: str | None) -> Space:
    """The space with another tracking store, one that has moved, say; None for its own."""
    return space if uri is None else replace(space, tracking=replace(space.tracking, uri=uri))


def _beside(folder: Path, place: str) -> str:
    return place if "://" in place or place.startswith("~") else str(folder / place)


def _database(folder: Path, uri: str) -> str:
    if not uri.startswith("sqlite:"):
        return uri
    file = sqlite_file(database_url(uri, "the tracking uri", ("sqlite",)))
    return uri if file is None or folder / file == file else sqlite_url(folder / file)
