"""What finished work depends on besides options, seed and LRs: the trainer's own code, and the data that it names.

A fingerprint is the beginning of a SHA-256. Both kinds go by names that do not change when a folder is
moved: a module's name, and a file's path as the options have it.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, resolve_name
from itertools import islice
from pathlib import Path
from pkgutil import get_importer
from typing import Any

LENGTH = 16
"""Hexadecimal digits of a fingerprint: of a million files, two share one with a chance of 3e-8."""
WHOLE_BYTES = 1 << 26
"""A file of up to this size is read whole, in about 0.1 s; of a larger one blocks, and its time of change counts."""
BLOCKS, BLOCK_BYTES = 64, 1 << 16
MOST_FILES = 10_000
"""Files of a folder that count, in order of their names: a dataset may have millions."""
NAMED = 4
"""Files, modules and keys that a message names."""
TOOL = frozenset({"autosched", "workers"})
"""Packages whose version the ledger has anyway."""
INSTALLED = frozenset({"site-packages", "dist-packages"})


def code_fingerprints(module: str) -> dict[str, str]:
    """Fingerprints, by name, of a module and of all modules of one's own that it imports, directly or not.

    One's own is what belongs to the same package, or is neither Python's nor installed. Imports are read from the
    source, those inside functions too; nothing is executed. A module that is imported by a name made at run time, and
    files that are no modules, are not seen.

    Args:
        module: name of a module that can be imported here.
    """
    own = module.partition(".")[0]
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = _find(name, own)
        if spec is None:
            continue
        waiting += [name.rpartition(".")[0]] if "." in name else []
        if spec.origin is None or not spec.has_location:  # a package without a file of its own
            continue
        source = Path(spec.origin).read_bytes()
        found[name] = hashlib.sha256(source).hexdigest()[:LENGTH]
        if spec.origin.endswith(".py"):
            package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
            waiting += _imports(source, package)
    return dict(sorted(found.items()))


def _find(name: str, own: str) -> ModuleSpec | None:
    """Where a module of one's own lies, found without importing it; None for any other module."""
    top, *rest = name.split(".")
    if top in TOOL or top in sys.stdlib_module_names:
        return None
    spec: ModuleSpec | None = None
    with suppress(ImportError, ValueError):
        spec = find_spec(top)
    for depth, _ in enumerate(rest, start=2):
        places = [] if spec is None else [*(spec.submodule_search_locations or ())]
        spec = _find_in(places, ".".join(name.split(".")[:depth]))
    if spec is None or (top != own and INSTALLED & set(Path(spec.origin or "").parts)):
        return None
    return spec


def _find_in(places: list[str], name: str) -> ModuleSpec | None:
    """A module of a package, as Python's own path finder looks for it, which needs the package imported."""
    finders = [finder for place in places if (finder := get_importer(place)) is not None]
    specs = [spec for finder in finders if (spec := finder.find_spec(name)) is not None]
    if any(spec.loader is not None for spec in specs):
        return next(spec for spec in specs if spec.loader is not None)
    for spec in specs[1:]:  # a package without a file of its own may lie in several places
        (specs[0].submodule_search_locations or []).extend(spec.submodule_search_locations or [])
    return specs[0] if specs else None


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Names of what may be modules in the imports of a source; none for one that is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            with suppress(ImportError):  # more dots than packages
                base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
                yield from (str(base), *(f"{base}.{alias.name}" for alias in node.names))


def named_paths(options: Any) -> Iterator[str]:
    """The texts in a trainer's options, at any depth, that are paths of files or folders here."""
    if isinstance(options, Mapping):
        options = list(options.values())
    if isinstance(options, list | tuple):
        for option in options:
            yield from named_paths(option)
    elif isinstance(options, str) and options:
        with suppress(OSError, ValueError):  # too long for a path, or with a zero in it
            if Path(options).exists():
                yield options


def data_fingerprints(paths: Iterable[str | Path]) -> dict[str, str]:
    """Fingerprints of files and folders, by path; an absolute path goes by its last part. What is not there has none.

    A file counts by size and content. Of one of more than 64 MiB, 64 blocks spread evenly over it are read, and its
    time of change counts. A folder counts by the names and sizes of its first 10,000 files, and by their contents when
    they have 64 MiB or less together, else by their times of change. Pipes and devices do not count.
    """
    found: dict[str, str] = {}
    for path in sorted({Path(path).expanduser() for path in paths}):
        digest = _folder(path) if path.is_dir() else _file(path) if path.is_file() else None
        if digest is None:
            continue
        name = path.name if path.is_absolute() else str(path)
        known = found.get(name, "")  # two absolute paths may end alike
        found[name] = digest if not known else hashlib.sha256(f"{known}{digest}".encode()).hexdigest()[:LENGTH]
    return found


def _file(path: Path) -> str:
    status = path.stat()
    digest = hashlib.sha256(f"{status.st_size}|".encode())
    with path.open("rb") as file:
        if status.st_size <= WHOLE_BYTES:
            digest.update(file.read())
        else:
            digest.update(f"{status.st_mtime_ns}|".encode())
            for block in range(BLOCKS):
                file.seek((status.st_size - BLOCK_BYTES) * block // (BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()[:LENGTH]


def _folder(path: Path) -> str:
    files = list(islice(_files(path), MOST_FILES))
    whole = sum(file.stat().st_size for file in files) <= WHOLE_BYTES
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        counts = _file(file) if whole else f"{status.st_size}|{status.st_mtime_ns}"
        digest.update(f"{file.relative_to(path).as_posix()}|{counts}|".encode(errors="surrogateescape"))
    return digest.hexdigest()[:LENGTH]


def _files(folder: Path) -> Iterator[Path]:
    """Regular files of a folder and its subfolders, in the same order everywhere."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(place, name)).is_file())


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two sets of fingerprints, in words; empty when nothing does."""
    parts = []
    for what, names in (
        ("has changed", [name for name in then if name in now and then[name] != now[name]]),
        ("is gone", [name for name in then if name not in now]),
        ("is new", [name for name in now if name not in then]),
    ):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        parts += [f"{', '.join(names[:NAMED])}{more} {what}"] if names else []
    return "; ".join(parts)
