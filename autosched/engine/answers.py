"""Storage that may never answer: a time limit for every call, and for the content of files in proportion to its size.

A call to a mount whose server is gone does not return, and cannot be broken off. So it is made in a thread of its own,
which is left to itself when the time is over; it does not keep the process.
"""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

ANSWER_SECONDS = 60.0
"""How long storage may take to answer; the timeout that S3's own client has (botocore: 60 s for a read)."""
SLOWEST = 2**20
"""[bytes / s] Content may take so much longer: slower storage than this holds no checkpoints."""
CHUNK = 4 * 2**20
"""[bytes] Written at once."""
Answer = TypeVar("Answer")


def answer(ask: Callable[[], Answer], seconds: float | None = None, *, size: int = 0) -> Answer:
    """What storage answers.

    Args:
        seconds: its time, before what the content takes; None for :data:`ANSWER_SECONDS`.
        size: of the content that goes to and fro, bytes.

    Raises:
        TimeoutError: it has not answered in time. What `ask` raises is raised.
    """
    seconds = (ANSWER_SECONDS if seconds is None else seconds) + size / SLOWEST
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # to be raised where it was asked
            errors.append(error)

    thread = threading.Thread(target=run, name="storage", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors.pop()  # kept in the list, it would be part of a cycle that holds the callers' trainer
    if not answers:
        raise TimeoutError(errno.ETIMEDOUT, f"no answer within {seconds:g} s")
    return answers[0]


class TimedFile(io.RawIOBase):
    """A file whose reads, writes and seeks have the time limits of :func:`answer`.

    Args:
        file: open for reading, or for writing in order; closed with this one, unless it has not answered.
        seconds: for an answer beside the content's time.
    """

    def __init__(self, file: BinaryIO, seconds: float | None = None) -> None:
        self._file, self._seconds = file, seconds
        self._unwritten = bytearray()
        self._written = 0
        self._lost = False

    def _ask(self, ask: Callable[[], Answer], size: int = 0) -> Answer:
        try:
            return answer(ask, self._seconds, size=size)
        except TimeoutError:
            self._lost = True
            raise

    def writable(self) -> bool:
        """As the file is."""
        return self._file.writable()

    def readable(self) -> bool:
        """As the file is."""
        return self._file.readable()

    def seekable(self) -> bool:
        """As the file is."""
        return self._file.seekable()

    def write(self, data: Any) -> int:
        """Take all of `data`; it is written when there is a chunk of it, and when the file is closed."""
        view = memoryview(data).cast("B")
        self._unwritten += view
        if len(self._unwritten) >= CHUNK:
            self._write_out()
        return view.nbytes

    def _write_out(self) -> None:
        chunk, self._unwritten = bytes(self._unwritten), bytearray()
        self._written += len(chunk)
        self._ask(lambda: self._file.write(chunk), len(chunk))

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; fewer at the end."""
        return self._ask(lambda: self._file.read(size), max(size, 0))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._ask(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def abandon(self) -> None:
        """Close without writing what was not written."""
        self._unwritten.clear()
        with suppress(Exception):  # what matters has been raised
            self.close()

    def close(self) -> None:
        """Write what is left, and close the file; storage that sends content only now has the time for all of it."""
        if self.closed:
            return
        try:
            if self._unwritten and not self._lost:
                self._write_out()
            if not self._lost:
                self._ask(self._file.close, self._written)
        finally:
            super().close()
