"""A file is written whole or not at all."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autosched.whole_files import write_whole


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Files of more bytes than this cannot be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("content", ["text ü", b"\0bytes", ""])
def test_what_is_written_can_be_read_and_nothing_else_is_left(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "a b%1.json"
    path.write_text("old")
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", ["old", None])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "law.json"
    if before is not None:
        path.write_text(before)
    with full_disk(4096), pytest.raises(OSError, match="File too large"):
        write_whole(path, "x" * 100_000)
    assert [file.read_text() for file in tmp_path.iterdir()] == ([before] if before else [])


def test_a_killed_writer_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "law.json"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        os.fsync = lambda _: os._exit(9)  # dies with all bytes written and nothing renamed
        write_whole(path, "new")
    os.waitpid(child, 0)
    assert path.read_text() == "old"


def test_a_link_stays_one_and_a_pipe_gets_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"bytes")
    assert os.read(reader, 99) == b"bytes"
    os.close(reader)


def test_a_folder_in_its_place_or_none_for_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, "x")
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "x", "x")
