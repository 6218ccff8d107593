"""What is sent to a cluster when a study is submitted: its space, its trainer's code, and the command that runs it.

The job's folder is a copy that vanishes with the job, so whatever a study leaves behind must be kept elsewhere. No
secret is sent: a job's command and environment are shown to all who may see the cluster's dashboard.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from autosched.errors import UsageError
from autosched.space import space_to_json
from autosched.space.records import Space
from autosched.space.yaml_file import checked_space
from autosched.study.sources import SpaceSource, read_source
from autosched.study.start import CHECKS, Settings
from autosched.urls import database_url, without_password
from workers.registry import BUILT_IN

SPACE_FILE = "autosched-space.json"
LEFT_BEHIND = (".*", "__pycache__", "*.db", "*.db-*", "*.lock", "reports", "mlartifacts", "mlruns", "node_modules")
"""What is not copied of the current folder; a ``.gitignore`` in it is respected by Ray besides."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A study that can be sent: its name, the folder to send, and the command to run there."""

    study: str
    folder: Path
    command: Sequence[str]


@contextmanager
def packed(source: SpaceSource, settings: Settings, *, restarts: int) -> Iterator[Submission]:
    """A new study, with the current folder where its trainer is not one of autosched's own.

    Args:
        restarts: how often a driver that dies is started again.

    Raises:
        UsageError: the space has a fault (SpaceError), or keeps something in the job's folder.
    """
    given = checked_space(read_source(source), settings.texts(), CHECKS)
    check_lasting(given)
    space, ledger = without_passwords(given)
    with _folder(space.trainer.use) as folder:
        (folder / SPACE_FILE).write_text(json.dumps(space_to_json(space), indent=1))
        tune = ["tune", "--space", SPACE_FILE, "--resume", "--address", "auto"]
        yield Submission(study=space.study, folder=folder, command=supervised(tune, ledger, restarts=restarts))


@contextmanager
def packed_again(
    study: str, use: str, ledger: str | None, options: Sequence[str], *, restarts: int
) -> Iterator[Submission]:
    """A study that is in the ledger already, see :func:`packed`.

    Args:
        use: its trainer.
        options: of `resume`.
    """
    with _folder(use) as folder:
        (folder / "README").write_text(f"autosched: the study {study} goes on.\n")  # Ray refuses an empty folder
        resume = ["resume", study, "--address", "auto", *options]
        shown = None if ledger is None else without_password(ledger)
        yield Submission(study=study, folder=folder, command=supervised(resume, shown, restarts=restarts))


def supervised(command: Sequence[str], ledger: str | None, *, restarts: int) -> list[str]:
    """The command that runs one of autosched's on the cluster, see :mod:`autosched.study.supervisor`."""
    named = [] if ledger is None else ["--ledger", ledger]
    return ["python", "-m", "autosched.study.supervisor", "--restarts", str(restarts), *named, "--", *command]


def check_lasting(space: Space) -> None:
    """Whether all that a study keeps lies outside of the job's folder; its ledger is the supervisor's to check.

    Raises:
        UsageError: it does not; the text names the key.
    """
    tracking = space.tracking.uri
    relative = {
        "storage.checkpoints": "://" not in space.storage.checkpoints
        and not Path(space.storage.checkpoints).is_absolute(),
        "storage.reports": not Path(space.storage.reports).is_absolute(),
        "tracking.uri": is_in_folder(tracking),
    }
    for key, vanishes in relative.items():
        if vanishes:
            advice = "http://mlflow:5000, or none" if key == "tracking.uri" else f"/shared/{key.partition('.')[2]}"
            raise UsageError(
                f"{key} would vanish with the job's folder: name a place that all nodes reach, as --set {key}={advice}."
            )


def is_in_folder(url: str) -> bool:
    """Whether a URL is that of an SQLite file that is named by its place in the current folder."""
    if not url.startswith("sqlite"):
        return False
    return not Path(str(database_url(url, "the database", ("sqlite",)).database).removeprefix("file:")).is_absolute()


def without_passwords(space: Space) -> tuple[Space, str | None]:
    """The space as it may be sent, and the ledger that it names; None for one that the cluster must name itself."""
    storage = dataclasses.replace(space.storage, ledger=without_password(space.storage.ledger))
    for key, url in {"storage.checkpoints": storage.checkpoints, "tracking.uri": space.tracking.uri}.items():
        if without_password(url) != url:
            raise UsageError(
                f"{key} has a secret in it, which a job would show: put it into the environment of the cluster's nodes."
            )
    named = None if is_in_folder(storage.ledger) else storage.ledger
    return dataclasses.replace(space, storage=storage), named


@contextmanager
def _folder(use: str) -> Iterator[Path]:
    """A folder to send: a copy of the current one where the trainer's code may be there, else an empty one."""
    with tempfile.TemporaryDirectory(prefix="autosched-") as place:
        folder = Path(place, "job")
        if use in BUILT_IN and use != "command":
            folder.mkdir()
        else:
            shutil.copytree(os.curdir, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        yield folder
