"""The log of a trial: what its commands print, up to a limit, and the end of what came after."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import BinaryIO

TAIL_BYTES = 1 << 16


class LogFile:
    """Takes any amount of output and keeps a file of limited size: its beginning, and its last 64 KiB.

    Args:
        path: the file, which several commands of one trial add to; None keeps only the tail, in memory.
        limit: bytes of the file from which on output goes into the tail.
        title: a line to begin with.
    """

    def __init__(self, path: Path | None, limit: int, title: str) -> None:
        self._file: BinaryIO | None = None
        self._room = limit
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._file.write(f"== {title}\n".encode())
            self._room = max(0, limit - self._file.tell())
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0

    def write(self, data: bytes) -> None:
        """Take some output in."""
        if self._file is not None and self._room:
            head, rest = data[: self._room], data[self._room :]
            self._file.write(head)
            self._room -= len(head)
            self._left_out += len(rest)
        else:
            self._left_out += len(data)
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())

    def last_lines(self, count: int) -> list[str]:
        """The last lines that are not empty, of this command alone."""
        text = b"".join(self._tail)[-TAIL_BYTES:].decode(errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()][-count:]

    def close(self) -> None:
        """Add the end of what did not fit, and how much is missing before it."""
        if self._file is None:
            return
        end = b"".join(self._tail)[-TAIL_BYTES:][-self._left_out :] if self._left_out else b""
        if self._left_out:
            self._file.write(f"\n[{self._left_out - len(end):,} bytes are left out here]\n".encode() + end)
        self._file.close()
        self._file = None
