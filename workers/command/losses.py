"""Reads losses out of what a command leaves behind, while it runs.

A reader is fed bytes as they come and gives the reports that they complete; a line that is none of its kind is passed
over, because a log holds other things, too.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from autosched.curves.event_files import EVENTS, read_events
from autosched.errors import CurveError
from workers.command.options import LossOptions

LONGEST_LINE = 1 << 16
"""A line that is longer is no report: a progress bar may never end its own."""


class Report(NamedTuple):
    """A loss after so many updates."""

    step: float
    loss: float


LineReader = Callable[[str], Report | None]


class Lines:
    """Cuts a stream of bytes into lines and reads each.

    Progress bars end their lines with a carriage return.
    """

    def __init__(self, read: LineReader) -> None:
        self._read, self._rest = read, b""

    def feed(self, data: bytes, *, last: bool = False) -> list[Report]:
        """The reports of the lines that are whole now; at the `last` the rest counts as one."""
        text = (self._rest + data).replace(b"\r", b"\n")  # a regular expression takes 20 times as long
        *lines, self._rest = text.split(b"\n")
        if last or len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        found = (self._read(line.decode(errors="replace")) for line in lines if 0 < len(line) <= LONGEST_LINE)
        return [report for report in found if report is not None]


class File:
    """Reads what is added to a file; one that is not there yet is empty, one that shrank begins again."""

    def __init__(self, path: Path, lines: Lines) -> None:
        self._path, self._lines, self._offset = path, lines, 0

    def news(self, *, last: bool = False) -> list[Report]:
        """The reports since the last call."""
        try:
            size = self._path.stat().st_size
        except OSError:
            return []
        if size == self._offset and not last:
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset if size >= self._offset else 0)
            data = file.read()
            self._offset = file.tell()
        return self._lines.feed(data, last=last)


class EventFiles:
    """Reads what is added to TensorBoard's event files in a folder, those in folders below it too."""

    def __init__(self, folder: Path, tag: str) -> None:
        self._folder, self._tag = folder, tag
        self._ends: dict[Path, int] = {}

    def news(self, *, last: bool = False) -> list[Report]:
        """The reports since the last call."""
        found = []
        for file in sorted(self._folder.rglob(f"*{EVENTS}*")):
            with suppress(CurveError):  # another file, which holds no events
                for event in read_events(file, self._ends.get(file, 0)):
                    self._ends[file] = event.end
                    if self._tag in event.values:
                        found.append(Report(float(event.step), event.values[self._tag]))
        return found


def line_reader(options: LossOptions) -> LineReader:
    """What reads a line of the format that the options name."""
    if options.format == "csv":
        return _Csv(options.step, options.loss)
    if options.format == "text":
        return _pattern(re.compile(options.pattern or ""))
    return _json(options.step, options.loss)


def _json(step: str, loss: str) -> LineReader:
    def read(line: str) -> Report | None:
        if not line.startswith("{"):
            return None
        try:
            document = json.loads(line)
            return Report(float(document[step]), float(document[loss]))
        except (ValueError, KeyError, TypeError):
            return None

    return read


def _pattern(pattern: re.Pattern[str]) -> LineReader:
    def read(line: str) -> Report | None:
        match = pattern.search(line)
        try:
            return None if match is None else Report(_number(match["step"]), _number(match["loss"]))
        except (ValueError, TypeError):
            return None

    return read


def _number(text: str) -> float:
    return float(text.replace(",", ""))


class _Csv:
    """Rows under a header with the two columns; a row with an empty cell, as of a table of several metrics, is none."""

    def __init__(self, step: str, loss: str) -> None:
        self._names = (step, loss)
        self._places: tuple[int, int] | None = None

    def __call__(self, line: str) -> Report | None:
        row = [cell.strip() for cell in next(csv.reader([line]), [])]
        if set(self._names) <= set(row):
            self._places = (row.index(self._names[0]), row.index(self._names[1]))
            return None
        try:
            step, loss = self._places or (len(row), len(row))
            return Report(float(row[step]), float(row[loss]))
        except (ValueError, IndexError):
            return None
