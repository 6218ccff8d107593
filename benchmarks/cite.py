"""Figures in the pages come from measurements: one JSON file each in ``benchmarks/results``, cited by name.

    python benchmarks/cite.py --check             # exit code 1 and one line for each figure that a page has wrong
    python benchmarks/cite.py --write             # put the figures into the pages
    python benchmarks/cite.py --measure NAME      # run the command of benchmarks/results/NAME.json again, then --write
    python benchmarks/cite.py --measure NAME --seeds "0 to 24" -- python benchmarks/replay.py --methods law --json

A file of results holds the `command`, the `date`, the `machine`, the `seeds` and the `values`: what the command printed
as JSON, or else its lines. A page cites between two comments that no reader sees::

    needs <!-- figure: replay-25000.results[prefix_reuse=true].median:.2f -->1.52<!-- /figure --> runs

The name of the file is followed by keys; ``[key=value]`` chooses from a list, ``:.2f`` is a format of Python's. A list
of mappings becomes a table with their keys as its head, or with the head and the row that the comment ends with::

    <!-- figure: replay-25000.results
    | method | median, 90th percentile |
    |---|---|
    | {method} | {median:.1f}, {p90:.1f} |
    -->

A list of texts becomes a block of them, null a dash, and ``NAME@origin`` the command, date, seeds and machine.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FIELDS = ("command", "date", "machine", "seeds", "values")
FIGURE = re.compile(r"(<!-- figure: ([^\n]*?)(?: -->|\n(.*?)-->))(.*?)(<!-- /figure -->)", re.DOTALL)
PLACEHOLDER = re.compile(r"\{([\w.-]+)(?::([^}]*))?\}")
PROGRESS = re.compile(r"(\d+ days?, )?\d+:\d\d:\d\d |\d+% of the budget: ")
"""What the program says while a study runs."""
OUT = "OUT"
STEP = re.compile(r"[^.[\]]+|\[[^]]*\]")


class CitationError(Exception):
    """A page cites what is not there; the text says which."""


def pages() -> list[Path]:
    """The pages that may cite."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def result(name: str, *, folder: Path = RESULTS) -> dict[str, Any]:
    """A file of results.

    Raises:
        CitationError: there is none of this name, or it lacks a field.
    """
    file = folder / f"{name}.json"
    if not file.exists():
        raise CitationError(f"there is no {file.name} in {folder.name}")
    data: dict[str, Any] = json.loads(file.read_text())
    missing = [field for field in FIELDS if field not in data]
    if missing:
        raise CitationError(f"{file.name} lacks {', '.join(missing)}")
    return data


def value(reference: str) -> Any:
    """What ``name.key[key=value].key`` stands for.

    Raises:
        CitationError: there is no such key, or a key of several rows.
    """
    first, *steps = STEP.findall(reference)
    found = result(first)["values"]
    for step in steps:
        try:
            found = _chosen(found, step[1:-1]) if step.startswith("[") else _only(found)[step]
        except (KeyError, TypeError):
            raise CitationError(f"{reference}: there is no {step}") from None
    return found


def _chosen(rows: Sequence[Mapping[str, Any]], condition: str) -> list[Mapping[str, Any]]:
    wanted = [part.split("=", 1) for part in re.split(r",(?=[\w ]+=)", condition)]
    return [row for row in rows if all(_text(row[key], "").lower() == text.lower() for key, text in wanted)]


def _only(found: Any) -> Any:
    if isinstance(found, list) and len(found) == 1:
        return found[0]
    if isinstance(found, list):
        raise CitationError(f"must choose one of a list, but {len(found)} match")
    return found


def _text(found: Any, form: str) -> str:
    if found is None:
        return "–"
    return format(found, form) if form or not isinstance(found, bool) else str(found).lower()


def shown(reference: str, template: str | None) -> str:
    """What a page shows between the two comments."""
    name, _, form = reference.strip().partition(":")
    if name.endswith("@origin"):
        return origin(name.removesuffix("@origin"))
    found = value(name)
    if isinstance(found, list) and found and isinstance(found[0], str):
        return "\n```text\n" + "\n".join(found) + "\n```\n"
    if not isinstance(found, list):
        return _text(found, form)
    if not found:
        raise CitationError(f"{name}: there is nothing")
    if len(found) == 1 and not isinstance(found[0], Mapping):
        return _text(found[0], form)
    return "\n" + "\n".join(table(found, template)) + "\n"


def table(found: Sequence[Mapping[str, Any]], template: str | None) -> list[str]:
    """The lines of a table, one row for each mapping."""
    if template is None:
        keys = list(found[0])
        rows = [f"| {' | '.join(_text(item[key], '') for key in keys)} |" for item in found]
        return [f"| {' | '.join(keys)} |", "|" + "---|" * len(keys), *rows]
    *head, row = template.strip().splitlines()
    return head + [PLACEHOLDER.sub(lambda match, item=item: _cell(item, *match.groups()), row) for item in found]


def _cell(item: Any, keys: str, form: str | None) -> str:
    for key in keys.split("."):
        item = None if item is None else item[key]
    return _text(item, form or "")


def origin(name: str) -> str:
    """Command, date, seeds, machine and file of what was measured, as a record in docs/records begins."""
    data = result(name)
    command = "" if data["command"] is None else f"```sh\n{data['command']}\n```\n\n"
    link = f"[`{name}.json`](../../benchmarks/results/{name}.json)"
    return f"\n{command}{data['date']} · seeds: {data['seeds']} · {data['machine']} · {link}\n"


def cited(text: str) -> tuple[str, list[str]]:
    """A page with the figures of the results, and what was wrong in it."""
    wrong: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        opening, reference, template, old, closing = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        try:
            new = shown(reference, template)
        except (CitationError, KeyError, ValueError) as error:
            wrong.append(f"{line}: {error}")
            return match[0]
        begins = match.start() == 0 or text[match.start() - 1] == "\n"
        if begins != new.startswith("\n"):
            wrong.append(
                f"{line}: {reference} must {'not ' if begins else ''}begin a line, or Markdown reads on as HTML"
            )
        if new != old:
            wrong.append(f"{line}: {reference} is {' '.join(new.split())[:80]}, but the page has another text")
        return f"{opening}{new}{closing}"

    return FIGURE.sub(replaced, text), wrong


def check(*, write: bool) -> int:
    """Check every page, or put the figures in; the exit code."""
    failed = 0
    for page in pages():
        old = page.read_text()
        new, wrong = cited(old)
        if write and new != old:
            page.write_text(new)
            new, wrong = cited(new)
        for line in wrong:
            print(f"{page.relative_to(ROOT)}:{line}", file=sys.stderr)
        failed += len(wrong)
    return 1 if failed else 0


def measure(name: str, command: str | None, seeds: str | None, *, folder: Path = RESULTS) -> None:
    """Run a command and keep what it prints.

    Args:
        command: None for that of the file; OUT in it stands for a file of JSON to write, FOLDER for a folder that an
            interrupted run finds again.

    Raises:
        CitationError: the command failed.
    """
    old = {"seeds": seeds} if command else result(name, folder=folder)
    command = command or old["command"]
    if not command:
        raise CitationError(f"{name} keeps no command")
    runs = Path(tempfile.gettempdir()) / f"autosched-{name}"
    runs.mkdir(exist_ok=True)
    done = started(command, runs)
    if done.returncode:
        raise CitationError(f"{command} ended with exit code {done.returncode}")
    text = (runs / OUT).read_text() if OUT in shlex.split(command) else done.stdout
    try:
        values = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError:
        values = {"lines": [line for line in text.splitlines() if not PROGRESS.match(line)]}
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    document = {"command": command, "date": date, "machine": machine, "seeds": seeds or old["seeds"], "values": values}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def started(command: str, runs: Path) -> subprocess.CompletedProcess[str]:
    """A command with what its words stand for, in the project's folder; the program in a new one, where it writes."""
    there = {"python": sys.executable, OUT: str(runs / OUT), "FOLDER": str(runs)}
    words = [there.get(word, word) for word in shlex.split(command)]
    assigned = list(itertools.takewhile(re.compile(r"[A-Z_]+=").match, words))
    settings = dict(word.split("=", 1) for word in assigned)
    if "PYTHONPATH" in settings:
        settings["PYTHONPATH"] = os.pathsep.join([str(ROOT / settings["PYTHONPATH"]), str(ROOT)])
    words, place = words[len(assigned) :], ROOT
    if words[0] == "autosched":
        place = Path(tempfile.mkdtemp(dir=runs))
        files = [str(ROOT / word) if (ROOT / word).is_file() else word for word in words[1:]]
        words = [sys.executable, "-m", "autosched", *files]
    environment = {**os.environ, **settings}
    return subprocess.run(words, cwd=place, env=environment, stdout=subprocess.PIPE, text=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say which figures are wrong (the default)")
    what.add_argument("--write", action="store_true", help="put the figures into the pages")
    what.add_argument("--measure", metavar="NAME", help="run the command of a file of results, or the one after --")
    parser.add_argument("--seeds", help="which seeds the command after -- has, in words")
    parser.add_argument("command", nargs="*", help="another command, whose standard output is kept")
    given = parser.parse_args(arguments)
    try:
        if given.measure:
            measure(given.measure, shlex.join(given.command) if given.command else None, given.seeds)
    except CitationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return check(write=given.write or given.measure is not None)


if __name__ == "__main__":
    sys.exit(main())
