"""The one door for text files that people name: what is no such file is said before a byte of it is believed.

Only regular files are opened (a pipe or device may never end), UTF-8 with or without a byte order mark; gzip is read as
the text inside. Lines and whole documents have a largest size, so that no file can fill the memory.
"""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from autosched.errors import LocatedError

MOST_DOCUMENT_BYTES = 1 << 28
"""Of a file that is read as a whole: a schedule of 10,000,000 updates has fewer."""
MOST_LINE_CHARACTERS = 1 << 16
ZERO_BYTE = "must be a text file in UTF-8, but has a zero byte here (binary data?)."
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or save it as CSV",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it first, or use gzip",
    b"\xfd7zXZ": "compressed by xz: unpack it first, or use gzip",
    b"BZh": "compressed by bzip2: unpack it first, or use gzip",
    b"PAR1": "a Parquet file: save it as CSV",
    b"SQLite format 3": "an SQLite database",
    b"\x89PNG": "a picture",
}
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe: write it to a file first"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


@contextmanager
def opened_lines(path: Path, what: str, fault: type[LocatedError]) -> Iterator[Iterator[str]]:
    """The file's lines, each with its line break.

    Args:
        what: what is expected, e.g. ``"a CSV file"``.
        fault: what to raise.

    Raises:
        LocatedError: of the kind `fault`, with file and, inside it, line: the file is missing, unreadable, no regular
            file, not text in UTF-8, damaged gzip, or has a line of more than 65,536 characters.
    """
    with _opened(path, what, fault) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield _lines(path, text, fault)


def read_document(path: Path, what: str, fault: type[LocatedError], *, most_bytes: int = MOST_DOCUMENT_BYTES) -> str:
    """The whole text of a file; arguments and what is raised are those of :func:`opened_lines`.

    Args:
        most_bytes: above which the file is refused.
    """
    with _opened(path, what, fault) as stream:
        try:
            raw = stream.read(most_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise fault(f"cannot be read: {_reason(error)}.", file=path) from None
    if len(raw) > most_bytes:
        raise fault(f"must be at most {most_bytes} bytes, but is larger.", file=path)
    zero = raw.find(b"\0")
    if zero >= 0:
        raise fault(ZERO_BYTE, file=path, line=raw.count(b"\n", 0, zero) + 1)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        line = raw.count(b"\n", 0, error.start) + 1
        raise fault(f"must be UTF-8 text, but has byte 0x{bad:02x} here.", file=path, line=line) from None


def other_than_a_file(path: Path) -> str | None:
    """What is there instead of a regular file, e.g. ``"a folder"``; None for a file.

    Raises:
        OSError: nothing is there, or it cannot be asked.
    """
    mode = path.stat().st_mode
    return next((name for is_kind, name in _KINDS if is_kind(mode)), None)


@contextmanager
def _opened(path: Path, what: str, fault: type[LocatedError]) -> Iterator[BinaryIO]:
    try:
        kind = other_than_a_file(path)
        if kind is not None:
            raise fault(f"must be {what}, but is {kind}.", file=path)
        stream = path.open("rb")
    except FileNotFoundError:
        raise fault("there is no such file.", file=path) from None
    except (OSError, ValueError) as error:
        raise fault(f"cannot be read: {_reason(error)}.", file=path) from None
    with stream:
        start = stream.peek(16)
        foreign = next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), None)
        if foreign is not None:
            raise fault(f"must be {what}, but is {foreign}.", file=path)
        yield cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if start.startswith(_GZIP) else stream


def _lines(path: Path, text: io.TextIOWrapper, fault: type[LocatedError]) -> Iterator[str]:
    line = 0
    try:
        while found := text.readline(MOST_LINE_CHARACTERS):
            line += 1
            if len(found) == MOST_LINE_CHARACTERS:
                raise fault(f"a line must have fewer than {MOST_LINE_CHARACTERS} characters.", file=path, line=line)
            if "\0" in found:
                raise fault(ZERO_BYTE, file=path, line=line)
            yield found
    except UnicodeDecodeError as error:
        bad, ahead = error.object[error.start], error.object.count(b"\n", 0, error.start)
        message = f"must be UTF-8 text, but has byte 0x{bad:02x} here."
        raise fault(message, file=path, line=line + 1 + ahead) from None
    except (OSError, EOFError, zlib.error) as error:
        raise fault(f"cannot be read: {_reason(error)}.", file=path, line=line + 1) from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
