"""Which files a command's results depend on: those that it names, and the modules beside a Python script."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def named_files(words: Iterable[str], cwd: Path) -> Iterator[Path]:
    """The files among a command's words, modules after ``-m`` too, and the Python modules beside scripts.

    The program itself, when it is given by a whole path as in ``/usr/bin/python``, is none of them.
    """
    seen: set[Path] = set()
    for index, word in enumerate(words):
        places = [cwd / word, cwd / f"{word.replace('.', '/')}.py"]
        found = next((path for path in places if word and path.is_file()), None)
        if found is not None and not (index == 0 and Path(word).is_absolute()):
            yield from _with_modules(found, seen)


def _with_modules(path: Path, seen: set[Path]) -> Iterator[Path]:
    if path in seen:
        return
    seen.add(path)
    yield path
    if path.suffix == ".py":
        for name in _imported(path):
            for place in (path.parent / f"{name}.py", path.parent / name / "__init__.py"):
                if place.is_file():
                    yield from _with_modules(place, seen)


def _imported(path: Path) -> Iterator[str]:
    """Modules that a script imports, as paths beside it; none of one that is no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1) if name)
