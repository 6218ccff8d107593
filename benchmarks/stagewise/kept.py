"""Jobs whose results are small files, so that a benchmark can be interrupted and called again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from autosched.compare.processes import in_processes


class Job(Protocol):
    """A frozen dataclass that says all that its result depends on."""

    @property
    def label(self) -> str:
        """For a person, and the beginning of the file's name."""

    def run(self) -> dict[str, Any]:
        """The result, JSON data."""


def file_of(job: Job, folder: Path) -> Path:
    """Where the result lies: another name for anything that is not the same in the job."""
    assert dataclasses.is_dataclass(job)
    assert not isinstance(job, type)
    spec = json.dumps(dataclasses.asdict(job), sort_keys=True)
    digest = hashlib.sha256(f"{type(job).__name__}{spec}".encode()).hexdigest()[:10]
    return folder / f"{job.label.replace(', ', '-').replace(' ', '-')}-{digest}.json"


def results(
    jobs: Sequence[Job], folder: Path, *, processes: int = 1, tell: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """Run what has no file yet; the results of all jobs in their order.

    Raises:
        WorkError: a process died; what is finished stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left, began = [job for job in jobs if not file_of(job, folder).exists()], time.monotonic()
    if len(left) < len(jobs):
        tell(f"{len(jobs) - len(left)} of {len(jobs)} runs are finished already")
    for done, job in enumerate(_ended(left, folder, processes), start=len(jobs) - len(left) + 1):
        tell(f"[{time.monotonic() - began:5.0f}s] {done} of {len(jobs)}: {job.label}")
    return [json.loads(file_of(job, folder).read_text()) for job in jobs]


def keep(job: Job, folder: Path) -> None:
    """Run a job and write its file, whole or not at all."""
    file = file_of(job, folder)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(job.run(), allow_nan=False))
    part.replace(file)


def _ended(jobs: Sequence[Job], folder: Path, processes: int):
    if processes == 1 or len(jobs) <= 1:
        for job in jobs:
            keep(job, folder)
            yield job
        return
    yield from in_processes(keep, jobs, folder, processes=processes)
