"""Files that tell whether they are whole, and whether they are the file they are taken for.

A sealed file is a payload and a seal of 128 bytes behind it, so that it can be written in one go to storage that does
not seek::

    name    64 bytes   what the file was stored as, in UTF-8, filled up with zeros
    digest  32 bytes   SHA-256 of the payload
    size     8 bytes   of the payload, little-endian
    magic   24 bytes   the format and its version

A checksum tells damage, the name tells that two sound files were exchanged, or restored from another place.
"""

from __future__ import annotations

import hashlib
import io
import struct
from typing import Any, BinaryIO, cast

MAGIC = b"autosched.sealed.1\n".ljust(24, b"\0")
SEAL = struct.Struct("<64s32sQ24s")
_CHUNK = 1 << 20


class SealError(ValueError):
    """The file is not the whole file of this name; the text says why, to follow a name and a colon."""


class SealingWriter(io.RawIOBase):
    """A file to write a payload into, once and in order; :meth:`seal` ends it.

    Args:
        file: open for writing; stays open.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self._size = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._digest.update(view)
        self._size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written."""
        return self._size

    def seal(self, name: str) -> None:
        """End the file under the name that it is stored as."""
        self._file.write(SEAL.pack(_packed(name), self._digest.digest(), self._size, MAGIC))


def open_sealed(file: BinaryIO, name: str) -> BinaryIO:
    """The payload of a sealed file, checked from its first byte to its last.

    Args:
        file: open for reading, seekable; closed with the payload.
        name: what the file must have been stored as.

    Raises:
        SealError: it is cut off, damaged, of another name, or no sealed file.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(max(end - SEAL.size, 0))
    seal = file.read(SEAL.size)
    if len(seal) < SEAL.size or not seal.endswith(MAGIC):
        raise SealError("it is cut off, or was not written by this version")
    stored, digest, size, _ = SEAL.unpack(seal)
    if size != end - SEAL.size or digest != _digest(file, size):
        raise SealError("it is damaged: its content does not match its checksum")
    if stored != _packed(name):
        theirs = stored.rstrip(b"\0").decode(errors="replace")
        raise SealError(f"it was stored as {theirs!r}, and lies under another name")
    file.seek(0)
    return cast(BinaryIO, io.BufferedReader(_Payload(file, size), _CHUNK))


def _packed(name: str) -> bytes:
    return name.encode()[:64].ljust(64, b"\0")


def _digest(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.digest()


class _Payload(io.RawIOBase):
    """The first `size` bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._file.read(min(view.nbytes, max(self._size - self._file.tell(), 0)))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._size}[whence]
        return self._file.seek(max(base + offset, 0))

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
