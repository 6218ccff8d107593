"""Where checkpoints lie: one file per segment identity, in a plain folder or behind any fsspec URL.

A checkpoint appears under its final name only when it is whole: it is written under a temporary name in the same
folder and then renamed, so a writer killed half-way leaves a file that nobody reads and that
:meth:`CheckpointStore.sweep_temporary` removes. It is sealed (:mod:`autosched.engine.sealed`): what is damaged, cut
off, or the checkpoint of another segment is found out before a trainer sees it, and is lost like one that is missing.
That is why nothing is forced to the disk (fsync): what a machine that loses power damages is trained again.

Whatever storage is asked for without content (is it there, open it, delete it) must be answered within a time limit: a
dead mount may not hold a study for ever. What is no regular file is no checkpoint, and is never opened.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec

from autosched.engine.answers import TimedFile, answer
from autosched.engine.sealed import SealError, SealingWriter, open_sealed
from autosched.errors import CheckpointError, UsageError
from autosched.urls import without_secrets

SUFFIX = ".ckpt"
TEMPORARY_SUFFIX = ".tmp"
_FULL = "free some space or store checkpoints elsewhere"
_READ_ONLY = "store checkpoints in a folder that can be written"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOTDIR: _READ_ONLY,
    errno.EISDIR: "a folder is in its place; remove or rename it",
    errno.ETIMEDOUT: "see whether it is mounted and reachable",
}


class CheckpointStore:
    """Checkpoints under one root, named by segment identity.

    Whoever holds a URI can use `save`, `open`, `exists` and `delete` without a store: they are static, because a
    worker gets whole URIs in its segments.

    Args:
        root: a folder (made absolute, so that workers in other folders find it) or an fsspec URL such as
            ``s3://bucket/study``. ``memory://`` lives in one process only: use it with the local backend.

    Raises:
        UsageError: a URL whose protocol is unknown, needs more than a URL, or whose package is not installed.

    Example:
        >>> store = CheckpointStore("memory://doctest")
        >>> store.save(store.uri("ab12"), lambda file: file.write(b"weights"))
        >>> store.sizes()
        {'memory://doctest/ab12.ckpt': 135}
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") if "://" in root else str(Path(root).expanduser().absolute())
        try:
            self._files, self._folder = _locate(self.root)
        except Exception as error:  # each of fsspec's protocols wants arguments and packages of its own
            raise UsageError(
                f"checkpoints must be a folder or an installed fsspec URL, but got {without_secrets(root)!r}: "
                f"{_one_line(error)}"
            ) from None

    def uri(self, segment_id: str) -> str:
        """Where the state with this identity is stored, whether or not it is there yet."""
        return f"{self.root}/{segment_id}{SUFFIX}"

    @staticmethod
    def exists(uri: str) -> bool:
        """Whether a whole checkpoint lies at `uri`.

        Raises:
            CheckpointError: the storage cannot be reached.
        """
        with _storage_errors("look for", uri):
            return _kind(*_locate(uri)) == "file"

    @staticmethod
    def save(uri: str, write: Callable[[BinaryIO], object]) -> None:
        """Store what `write` puts into the file it is given; all of it or nothing. Replaces what is there.

        The file takes bytes in order; it can neither be read nor seek.

        Raises:
            CheckpointError: the storage is full, read-only or away, or a folder is in the file's place. Other errors
                of `write` pass through.
        """
        with _storage_errors("store", uri):
            files, path = _locate(uri)
            if _kind(files, path) == "directory":  # a file would be moved into it
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            temporary = f"{path}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
            answer(lambda: files.makedirs(path.rpartition("/")[0], exist_ok=True))
            file = TimedFile(cast(BinaryIO, answer(lambda: files.open(temporary, "wb"))))
            try:
                sealing = SealingWriter(cast(BinaryIO, file))
                write(cast(BinaryIO, sealing))
                sealing.seal(_name(uri))
                file.close()
                answer(lambda: files.mv(temporary, path), size=sealing.tell())
            except BaseException:
                file.abandon()
                with suppress(OSError):
                    answer(lambda: files.rm_file(temporary))
                raise

    @staticmethod
    def open(uri: str) -> BinaryIO:
        """The checkpoint at `uri`, open for reading.

        Raises:
            CheckpointError: it is missing, damaged, the checkpoint of another segment, no regular file, or cannot be
                read.
        """
        with _storage_errors("read", uri):
            files, path = _locate(uri)
            kind = _kind(files, path)
            if kind not in {"file", "missing"}:
                what = "a folder" if kind == "directory" else "no regular file (a pipe or a device)"
                raise CheckpointError(f"cannot read the checkpoint {uri}: it is {what}.")
            file = cast(BinaryIO, TimedFile(cast(BinaryIO, answer(lambda: files.open(path, "rb")))))
            try:
                return open_sealed(file, _name(uri))
            except BaseException as error:
                file.close()
                if isinstance(error, SealError):
                    raise CheckpointError(f"cannot read the checkpoint {uri}: {error}.") from None
                raise

    @staticmethod
    def delete(uri: str) -> None:
        """Remove the checkpoint at `uri`; it is no error when it is already gone. What is no file stays.

        Raises:
            CheckpointError: it is there but cannot be removed.
        """
        with _storage_errors("delete", uri):
            files, path = _locate(uri)
            with suppress(FileNotFoundError):
                if _kind(files, path) == "file":
                    answer(lambda: files.rm_file(path))

    def sizes(self) -> dict[str, int]:
        """Bytes of every whole checkpoint in the store, by URI, in order of URI.

        Raises:
            CheckpointError: the storage cannot be read.
        """
        whole = sorted((name, int(info["size"])) for name, info in self._listing() if name.endswith(SUFFIX))
        return {f"{self.root}/{name}": size for name, size in whole}

    def oldest_first(self) -> list[str]:
        """URIs of all whole checkpoints, by when they were written.

        Raises:
            CheckpointError: the storage cannot be read.
        """
        with _storage_errors("list", self.root):
            dated = [(self._modified(info), name) for name, info in self._listing() if name.endswith(SUFFIX)]
        return [f"{self.root}/{name}" for _, name in sorted(dated)]

    def sweep_temporary(self, *, older_than: float = 3600.0) -> int:
        """Remove what killed writers left behind.

        Args:
            older_than: age in seconds from which a temporary file counts as abandoned; must exceed the time it takes
                to write one checkpoint, because other workers may be writing now.

        Returns:
            How many files were removed.

        Raises:
            CheckpointError: the storage cannot be read.
        """
        now = datetime.now(UTC)
        removed = 0
        for name, info in self._listing():
            if not name.endswith(TEMPORARY_SUFFIX):
                continue
            with suppress(OSError):  # another sweeper, or its writer, was quicker
                if (now - self._modified(info)).total_seconds() >= older_than:
                    self._files.rm_file(info["name"])
                    removed += 1
        return removed

    def _modified(self, info: dict[str, Any]) -> datetime:
        time: datetime = self._files.modified(info["name"])
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)

    def _listing(self) -> list[tuple[str, dict[str, Any]]]:
        with _storage_errors("list", self.root):
            try:
                entries = answer(lambda: self._files.ls(self._folder, detail=True))
            except FileNotFoundError:
                return []
            return [(info["name"].rpartition("/")[2], info) for info in entries if info["type"] == "file"]


def _name(uri: str) -> str:
    """The identity in a URI, which the file's seal must bear."""
    return uri.rpartition("/")[2].removesuffix(SUFFIX)


def _kind(files: Any, path: str) -> str:
    """What lies at a path: ``file``, ``directory``, ``other`` (a pipe, a device) or ``missing``."""
    try:
        return str(answer(lambda: files.info(path))["type"])
    except (FileNotFoundError, NotADirectoryError):
        return "missing"


def _locate(uri: str) -> tuple[Any, str]:
    # Other processes write here too, so a cached listing would be wrong.
    files, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    return files, str(path)


@contextmanager
def _storage_errors(verb: str, uri: str) -> Iterator[None]:
    """Turn what a file system raises into one line; let other errors pass."""
    try:
        yield
    except Exception as error:
        cause = _storage_cause(error)
        if cause is None:
            raise
        if isinstance(cause, FileNotFoundError) and verb == "read":
            raise CheckpointError(f"cannot read the checkpoint {uri}: it is missing.") from error
        advice = _ADVICE.get(cause.errno or 0)
        reason = cause.strerror or _one_line(cause)
        raise CheckpointError(
            f"cannot {verb} the checkpoint {uri}: {reason}{f'; {advice}' if advice else ''}."
        ) from error


def _storage_cause(error: BaseException | None) -> OSError | None:
    # torch.save hides a full disk behind a RuntimeError of its zip writer; the OSError is further down the chain.
    while error is not None:
        if isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
