"""Checkpoints on a real S3 server: the study is the one with a folder, whatever is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from studies import Interruption, Study, picture, trained_twice, wsd_space

from autosched.ledger.events import SegmentFailed, SegmentFinished
from autosched.space.records import Budget, Confirm, Space

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("runs")
        yield "s3://runs"
    server.stop()


def small(folder: Path) -> Space:
    return wsd_space(folder, budget=Budget(trials=3), confirm=Confirm(), checkpoint_every=40)


def on_s3(folder: Path, bucket: str, name: str) -> Space:
    (folder / name).mkdir()
    space = small(folder / name)
    return replace(space, storage=replace(space.storage, checkpoints=f"{bucket}/{name}"))


@pytest.fixture
def calm(tmp_path: Path) -> list[tuple[object, ...]]:
    (tmp_path / "folder").mkdir()
    return picture(Study(small(tmp_path / "folder")).run())


def test_a_study_is_the_one_with_a_folder_although_its_driver_dies(
    tmp_path: Path, bucket: str, calm: list[tuple[object, ...]]
) -> None:
    study = Study(on_s3(tmp_path, bucket, "dies"))
    with suppress(Interruption):
        study.run(die_after=30)
    assert picture(study.run()) == calm
    assert trained_twice(study.events()) == []
    kept = fsspec.filesystem("s3").find(f"{bucket}/dies")
    assert 0 < len(kept) < sum(isinstance(each.event, SegmentFinished) for each in study.events())


def test_checkpoints_that_are_damaged_or_gone_are_made_up_for(
    tmp_path: Path, bucket: str, calm: list[tuple[object, ...]]
) -> None:
    study = Study(on_s3(tmp_path, bucket, "lost"))
    with suppress(Interruption):
        study.run(die_after=30)
    files = fsspec.filesystem("s3")
    kept = files.find(f"{bucket}/lost")
    assert len(kept) >= 2
    for number, path in enumerate(kept):
        if number % 2:
            files.rm(path)
        else:
            files.pipe(path, files.cat(path)[:-9])
    assert picture(study.run()) == calm
    failed = [each.event.failure.kind for each in study.events() if isinstance(each.event, SegmentFailed)]
    assert set(failed) == {"checkpoint_lost"}
