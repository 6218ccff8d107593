from __future__ import annotations

import inspect

import autosched


def test_the_public_names_are_complete_and_sorted() -> None:
    public = [
        name for name, value in vars(autosched).items() if not name.startswith("_") and not inspect.ismodule(value)
    ]
    assert sorted(public) == autosched.__all__


def test_every_public_name_says_what_it_is() -> None:
    silent = [name for name in autosched.__all__ if not inspect.getdoc(getattr(autosched, name))]
    assert silent == []
