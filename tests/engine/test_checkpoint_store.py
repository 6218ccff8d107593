import errno
import io
import json
import os
import pickle
import resource
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from broken_files import cut_off, flipped, made_folder, made_pipe, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from autosched.engine.answers import CHUNK, SLOWEST, TimedFile, answer
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.sealed import SEAL, SealError, SealingWriter, open_sealed
from autosched.errors import CheckpointError, UsageError


def put(data: bytes):
    return lambda file: file.write(data)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(str(tmp_path / "deep" / "er") if request.param == "folder" else f"memory://{uuid.uuid4()}")


def test_what_is_saved_can_be_read(store):
    uri = store.uri("ab12")
    assert not store.exists(uri)
    store.save(uri, put(b"weights"))
    assert store.exists(uri)
    with store.open(uri) as file:
        assert file.read() == b"weights"


def test_saving_again_replaces(store):
    uri = store.uri("ab12")
    store.save(uri, put(b"old weights"))
    store.save(uri, put(b"new"))
    with store.open(uri) as file:
        assert file.read() == b"new"
    assert store.sizes() == {uri: 3 + SEAL.size}


def test_sizes_are_listed_by_uri(store):
    assert store.sizes() == {}
    for name, data in (("b", b"12345"), ("a", b"")):
        store.save(store.uri(name), put(data))
    assert list(store.sizes().items()) == [(store.uri("a"), SEAL.size), (store.uri("b"), 5 + SEAL.size)]


def test_deleting_twice_is_no_error(store):
    uri = store.uri("ab12")
    store.save(uri, put(b"weights"))
    store.delete(uri)
    store.delete(uri)
    assert not store.exists(uri)
    assert store.sizes() == {}


def test_a_missing_checkpoint_is_named(store):
    with pytest.raises(CheckpointError, match=r"cannot read the checkpoint .*none\.ckpt: it is missing"):
        store.open(store.uri("none"))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[2:])


def unsealed(path: Path) -> None:
    path.write_bytes(b"what an earlier version wrote")


def made_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replaced, "it was stored as 'cd34', and lies under another name"),
        (cut_off, "it is cut off, or was not written by this version"),
        (emptied, "it is cut off"),
        (flipped, "it is damaged: its content does not match its checksum"),
        (shortened, "it is damaged"),
        (unsealed, "it is cut off, or was not written by this version"),
        (Path.unlink, "it is missing"),
        (made_folder, "it is a folder"),
        (made_pipe, r"it is no regular file \(a pipe or a device\)"),
        (made_device, r"it is no regular file \(a pipe or a device\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_the_whole_checkpoint_of_its_segment_is_refused_by_name(tmp_path, change, reason):
    store = CheckpointStore(str(tmp_path))
    for name, data in (("ab12", b"weights"), ("cd34", b"other weights")):
        store.save(store.uri(name), put(data))
    change(tmp_path / "ab12.ckpt")
    with pytest.raises(CheckpointError, match=rf"cannot read the checkpoint .*ab12\.ckpt: {reason}"):
        store.open(store.uri("ab12"))
    store.delete(store.uri("ab12"))
    assert not store.exists(store.uri("ab12"))
    if change is made_folder:
        with pytest.raises(CheckpointError, match="Is a directory; a folder is in its place"):
            store.save(store.uri("ab12"), put(b"new"))
        (tmp_path / "ab12.ckpt").rmdir()
    store.save(store.uri("ab12"), put(b"new"))
    with store.open(store.uri("ab12")) as file:
        assert file.read() == b"new"


@settings(deadline=None)
@given(
    payload=st.binary(max_size=300),
    changes=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=3),
    keep=st.integers(0, 500),
)
def test_whatever_happens_to_a_sealed_file_it_is_refused_or_unchanged(payload, changes, keep):
    file = io.BytesIO()
    writer = SealingWriter(file)
    writer.write(payload)
    writer.seal("ab12")
    changed = bytearray(file.getvalue()[:keep])
    for place, value in changes:
        if place < len(changed):
            changed[place] = value
    try:
        found = open_sealed(io.BytesIO(changed), "ab12").read()
    except SealError:
        assert changed != file.getvalue()
    else:
        assert found == payload


@pytest.mark.parametrize(
    ("save", "load"),
    [
        (lambda file: np.savez(file, a=np.arange(9)), lambda file: np.load(file)["a"].tolist()),
        (lambda file: torch.save(torch.arange(9), file), lambda file: torch.load(file, weights_only=True).tolist()),
        (lambda file: pickle.dump([*range(9)], file), pickle.load),
        (lambda file: json.dump([*range(9)], text := io.TextIOWrapper(file)) or text.detach(), json.load),
        (lambda file: file.write(np.arange(9)), lambda file: np.frombuffer(file.read(), int).tolist()),
    ],
    ids=["numpy", "torch", "pickle", "json", "array"],
)
def test_the_usual_ways_to_write_weights_work(store, save, load):
    store.save(store.uri("ab12"), save)
    with store.open(store.uri("ab12")) as file:
        assert load(file) == [*range(9)]


def test_storage_that_never_answers_is_given_up(tmp_path):
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        answer(never.wait, seconds=0.01)
    assert answer(lambda: 3) == 3
    with pytest.raises(KeyError):
        answer(lambda: {}["a"])
    never.set()


def test_content_that_never_gets_through_is_given_up():
    """A pipe that nobody reads, or writes, blocks as a mount does whose server is gone."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as sink:
        file = TimedFile(sink, seconds=0.01 - CHUNK / SLOWEST)
        file.write(bytes(CHUNK - 1))  # kept until there is a chunk
        with pytest.raises(TimeoutError, match="no answer within"):
            file.write(b"x")
        file.abandon()
        left = CHUNK
        while left:  # lets the thread go that was left
            left -= len(source.read(left))
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as sink:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01"):
            TimedFile(source, seconds=0.01).read(1)
        sink.write(b"x")


def test_a_writer_that_fails_leaves_nothing(store):
    def half(file):
        file.write(b"half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        store.save(store.uri("ab12"), half)
    assert store.sizes() == {}
    assert store.sweep_temporary(older_than=0.0) == 0


def test_a_writer_that_fails_keeps_the_checkpoint_that_was_there(store):
    uri = store.uri("ab12")
    store.save(uri, put(b"weights"))

    def half(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(uri, half)
    with store.open(uri) as file:
        assert file.read() == b"weights"


def test_what_a_killed_writer_left_is_swept_when_it_is_old(tmp_path):
    store = CheckpointStore(str(tmp_path))
    uri = store.uri("ab12")
    child = os.fork()
    if child == 0:
        store.save(uri, lambda file: (file.write(b"half"), file.flush(), os._exit(9)))
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    assert store.sizes() == {}
    assert not store.exists(uri)
    assert store.sweep_temporary(older_than=3600.0) == 0
    os.utime(left, (time.time() - 7200.0, time.time() - 7200.0))
    assert store.sweep_temporary(older_than=3600.0) == 1
    assert list(tmp_path.iterdir()) == []


def test_sweeping_leaves_checkpoints_and_strangers_alone(tmp_path):
    store = CheckpointStore(str(tmp_path))
    store.save(store.uri("ab12"), put(b"weights"))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    assert store.sweep_temporary(older_than=0.0) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"ab12.ckpt", "notes.txt", "folder"}
    assert list(store.sizes()) == [store.uri("ab12")]


def test_sweeping_a_store_that_was_never_used_is_no_error(tmp_path):
    assert CheckpointStore(str(tmp_path / "none")).sweep_temporary() == 0


def test_a_store_without_room_says_so(tmp_path):
    store = CheckpointStore(str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(
            CheckpointError, match=r"cannot store .*ab12\.ckpt: File too large; free some space"
        ) as info:
            store.save(store.uri("ab12"), put(bytes(100_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(info.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_found_behind_the_error_that_hides_it(tmp_path):
    store = CheckpointStore(str(tmp_path))

    def write(file):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904 - what torch's zip writer does

    with pytest.raises(CheckpointError, match="No space left on device; free some space"):
        store.save(store.uri("ab12"), write)


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    store = CheckpointStore(str(tmp_path / "file" / "checkpoints"))
    with pytest.raises(CheckpointError, match=r"cannot store the checkpoint .*; store checkpoints in a folder that"):
        store.save(store.uri("ab12"), put(b"weights"))


def test_a_relative_folder_means_the_same_in_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = CheckpointStore("checkpoints/")
    assert store.uri("ab12") == f"{tmp_path}/checkpoints/ab12.ckpt"


def test_names_that_look_like_patterns_are_taken_literally(tmp_path):
    store = CheckpointStore(str(tmp_path / "a b[1]*"))
    other = CheckpointStore(str(tmp_path / "a b1x"))
    for place in (store, other):
        place.save(place.uri("ab12"), put(b"weights"))
    store.delete(store.uri("ab12"))
    assert (list(store.sizes()), list(other.sizes())) == ([], [other.uri("ab12")])


@pytest.mark.parametrize("root", ["nosuch://bucket/x"])
def test_an_unknown_protocol_is_refused_at_once(root):
    with pytest.raises(UsageError, match=f"checkpoints must be a folder or an installed fsspec URL, but got '{root}'"):
        CheckpointStore(root)
