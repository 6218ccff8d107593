"""Logs as training programs write them, read as columns of numbers: nothing is chosen here, and nothing is guessed.

    kind                     who writes it                                             rows
    table (CSV, TSV)         W&B exports, Lightning, Keras, timm, people               lines
    JSON lines, JSON lists   W&B's history, many loops                                 objects; nested keys joined by /
    trainer_state.json       Hugging Face's Trainer                                    entries of log_history
    event file               TensorBoard's writers                                     scalars, one row a step
    text                     Megatron-LM, nanoGPT, llm.c, and lines such as k=1, k: 1  lines that name their update

:mod:`autosched.curves.log_columns` says which columns are the update, the LR and the loss.
"""

from __future__ import annotations

import csv
import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosched.curves.event_files import EVENTS, read_events
from autosched.errors import CurveError
from autosched.schedules.schedule import FloatArray
from autosched.text_files import opened_lines, read_document

Row = tuple[int | None, Mapping[str, float]]
"""The line that it stands in, where there are lines, and numbers by name."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Column:
    """The rows that have a number under one name, shape (n,), and the numbers, shape (n,)."""

    rows: NDArray[np.int64]
    values: FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Log:
    """A file's numbers.

    Attributes:
        kind: what it was read as, e.g. ``"JSON lines"``.
        columns: by name, in the order in which names first appear.
        lines: of each row, shape (rows,); None where the file has none.
    """

    file: Path
    kind: str
    columns: Mapping[str, Column]
    lines: NDArray[np.int64] | None


def read_log(file: Path) -> Log:
    """Read a file by what it is.

    Raises:
        CurveError: not readable, not of a kind that is known, or without any number.
    """
    kind, rows = _kind(file)
    names: dict[str, tuple[array[int], array[float]]] = {}
    lines: array[int] = array("q")
    for number, (line, found) in enumerate(rows(file)):
        lines.append(-1 if line is None else line)
        for name, value in found.items():
            where, values = names.setdefault(name, (array("q"), array("d")))
            where.append(number)
            values.append(value)
    if not names:
        raise CurveError(f"has no numbers that could be read as {kind}.", file=file)
    columns = {
        name: Column(rows=np.array(where, dtype=np.int64), values=np.array(values, dtype=np.float64))
        for name, (where, values) in names.items()
    }
    at = np.array(lines, dtype=np.int64)
    return Log(file=file, kind=kind, columns=columns, lines=None if at.size == 0 or at[0] < 0 else at)


def _kind(file: Path) -> tuple[str, Callable[[Path], Iterator[Row]]]:
    name = file.name.lower().removesuffix(".gz")
    if EVENTS in name:
        return "an event file", _event_rows
    if name.endswith((".csv", ".tsv")):
        return "a table", _table_rows
    if name.endswith((".jsonl", ".ndjson")):
        return "JSON lines", _json_line_rows
    if name.endswith(".json"):
        return "JSON", _json_rows
    return "a text log", _text_rows


# -- tables and JSON --------------------------------------------------------------------------------------------------


def _table_rows(file: Path) -> Iterator[Row]:
    with opened_lines(file, "a table", CurveError) as lines:
        reader = csv.reader(lines, delimiter="\t" if ".tsv" in file.name.lower() else ",")
        try:
            names = [name.strip() for name in next(reader, [])]
            for cells in reader:
                yield reader.line_num, _numbers(dict(zip(names, cells, strict=False)))
        except csv.Error as error:
            raise CurveError(f"cannot be read: {error}.", file=file, line=reader.line_num) from None


def _json_line_rows(file: Path) -> Iterator[Row]:
    with opened_lines(file, "a log of JSON lines", CurveError) as lines:
        for number, text in enumerate(lines, start=1):
            if text.strip():
                try:
                    found = json.loads(text)
                except (ValueError, RecursionError):
                    raise CurveError("must be a JSON object in each line.", file=file, line=number) from None
                yield number, _numbers(_flat(found)) if isinstance(found, dict) else {}


def _json_rows(file: Path) -> Iterator[Row]:
    try:
        document = json.loads(read_document(file, "a JSON log", CurveError))
    except (ValueError, RecursionError) as error:
        if isinstance(error, CurveError):
            raise
        raise CurveError("is no JSON document; JSON lines must be in a file named .jsonl.", file=file) from None
    entries = document.get("log_history") if isinstance(document, dict) else document
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CurveError("must be a list of objects, or Hugging Face's trainer_state.json (log_history).", file=file)
    for entry in entries:
        yield None, _numbers(_flat(entry))


def _flat(document: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict) and depth < 4:
            yield from _flat(value, f"{prefix}{name}/", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _numbers(named: Mapping[str, Any] | Iterator[tuple[str, Any]]) -> dict[str, float]:
    """What is a number, or a text that says one; NaN and infinities are numbers of a log."""
    found = {}
    for name, value in dict(named).items():
        if isinstance(value, bool) or not isinstance(value, int | float | str) or not name:
            continue
        try:
            found[name] = float(value)
        except (ValueError, OverflowError):
            continue
    return found


# -- text -------------------------------------------------------------------------------------------------------------

NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
UPDATE = re.compile(r"\b(?:global_step|iteration|iter|step|s)['\"]?\s*[:= ]\s*(\d+)\b(?!\.\d)", re.IGNORECASE)
"""``iteration      100/     500 |``, ``step 250:``, ``iter 10:``, ``s:250``."""
PAIR = re.compile(rf"([A-Za-z][\w/ -]*?)['\"]?\s*[:= ]\s*({NUMBER})(?![\w.])")
"""``lm loss: 6.1E+00``, ``'learning_rate': 1e-4``, ``val loss 2.2``, ``lr=0.1``."""


def _text_rows(file: Path) -> Iterator[Row]:
    with opened_lines(file, "a text log", CurveError) as lines:
        for number, text in enumerate(lines, start=1):
            update = UPDATE.search(text)
            if update is None:
                continue
            rest = f"{text[: update.start()]} | {text[update.end() :]}"
            pairs = {_plain(name): float(value) for name, value in PAIR.findall(rest)}
            yield number, {"step": float(update[1]), **{name: value for name, value in pairs.items() if name}}


def _plain(name: str) -> str:
    """A name in small letters, with single spaces."""
    return " ".join(name.split()).lower()


# -- TensorBoard ------------------------------------------------------------------------------------------------------


def _event_rows(file: Path) -> Iterator[Row]:
    for event in read_events(file):
        yield None, {"step": float(event.step), **event.values}
