"""Studies as jobs of a Ray cluster, by its Jobs API over HTTP.

A job carries its study's name as metadata, so whoever knows the study finds the job; the cluster keeps no other list.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autosched.errors import BackendError, StudyError, UsageError
from autosched.urls import without_secrets
from workers.ray_cluster import connect, last_line

STUDY = "autosched_study"
"""Name of the metadata that says whose job it is."""
IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray for what a job runs."""
STUDIES = "studies"
"""A resource that a cluster's head may offer: so many studies run at once, each takes one, and others wait in line."""
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
LOOK_SECONDS = 1.0
"""Between looks at a job that is ending."""


def is_jobs_address(address: str | None) -> bool:
    """Whether an address is a cluster's dashboard, which takes jobs, and not one that a driver connects to."""
    return address is not None and urlsplit(address).scheme in {"http", "https"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A study's job: its id in the cluster, Ray's word for how it stands, and Ray's sentence about that."""

    id: str
    status: str
    message: str

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status in ENDED


class RayJobs:
    """The jobs of one cluster.

    Args:
        address: of its dashboard, ``http://head:8265``.

    Raises:
        UsageError: no such address, or nothing says how to show who we are.
        BackendError: nobody answers there, or we are refused.
    """

    def __init__(self, address: str) -> None:
        if not is_jobs_address(address) or urlsplit(address).hostname is None:
            shown = without_secrets(address)
            raise UsageError(f"--address must be a Ray dashboard's, e.g. http://head:8265, but got {shown!r}.")
        self.address = without_secrets(address)
        check_token(os.environ)
        # Ray lets these variables win over what it is told; the person has just said where.
        os.environ["RAY_API_SERVER_ADDRESS"] = address
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        from ray.job_submission import JobSubmissionClient

        for chatty in (
            "dashboard.modules.dashboard_sdk",
            "dashboard.modules.job.sdk",
            "_private.runtime_env.packaging",
        ):
            logging.getLogger(f"ray.{chatty}").setLevel(logging.ERROR)
        with self._said("reach"):
            self._client: Any = JobSubmissionClient(address)

    def submit(self, study: str, command: Sequence[str], folder: Path) -> str:
        """Run a command on the cluster, in a copy of `folder`; returns the job's id.

        Raises:
            StudyError: a job of the study has not ended.
            BackendError: the cluster does not take it.
        """
        running = [job for job in self.jobs(study) if not job.ended]
        places = {STUDIES: 1.0} if self._limits_studies() else None
        if running:
            raise StudyError(
                f"the study {study!r} has a job on {self.address} already, {running[0].id}: follow it with `autosched "
                f"logs {study}`, or end it with `autosched stop {study}`."
            )
        with self._said("submit a job to"):
            return str(
                self._client.submit_job(
                    entrypoint=shlex.join(command),
                    runtime_env={"working_dir": str(folder)},
                    metadata={STUDY: study},
                    entrypoint_resources=places,
                )
            )

    def _limits_studies(self) -> bool:
        """Whether a node offers places for studies; a job that asks for what nobody has would wait for ever."""
        with self._said("ask"):
            answer = self._client._do_request("GET", "/nodes?view=summary")  # the client has no other way to it
            nodes = answer.json()["data"]["summary"]
        return any(STUDIES in node["raylet"].get("resourcesTotal", {}) for node in nodes)

    def jobs(self, study: str | None = None) -> list[Job]:
        """All jobs of a study, or of all studies, that the cluster remembers, the newest first."""
        with self._said("ask"):
            listed = [(job, (job.metadata or {}).get(STUDY)) for job in self._client.list_jobs()]
        found = [job for job, whose in listed if whose is not None and study in (None, whose)]
        found.sort(key=lambda job: job.start_time or 0, reverse=True)
        return [_job(job) for job in found if job.submission_id]

    def last(self, study: str) -> Job:
        """The newest job of a study.

        Raises:
            StudyError: the cluster knows none.
        """
        jobs = self.jobs(study)
        if not jobs:
            raise StudyError(f"the cluster at {self.address} has no job of a study {study!r}.")
        return jobs[0]

    def logs(self, job: str) -> str:
        """What a job has printed so far."""
        with self._said("read logs of"):
            return str(self._client.get_job_logs(job))

    def follow(self, job: str, write: Callable[[str], object]) -> Job:
        """Hand on what a job prints until it has ended; returns how it ended."""

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(job):
                write(lines)
            while not self._look(job).ended:  # the log ends a moment before
                await asyncio.sleep(LOOK_SECONDS)

        with self._said("follow a job of"):
            asyncio.run(tail())
        return self._look(job)

    def stop(self, job: str) -> bool:
        """Tell a job to end; whether it was still running."""
        with self._said("stop a job of"):
            return bool(self._client.stop_job(job))

    def _look(self, job: str) -> Job:
        with self._said("ask"):
            return _job(self._client.get_job_info(job))

    @contextmanager
    def _said(self, doing: str) -> Iterator[None]:
        """Whatever the client raises, as one line."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError:
            raise BackendError(
                f"the Ray cluster at {self.address} refuses the token: is RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) the "
                "cluster's?"
            ) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise BackendError(f"cannot {doing} the Ray cluster at {self.address}: {last_line(error)}") from None


@contextmanager
def job_is_kept() -> Iterator[None]:
    """Keep the folder of the Ray job that this process is: Ray removes it when the job's last driver has died.

    Does nothing in a process that is no job.

    Raises:
        BackendError: Ray cannot be reached.
    """
    if IN_A_JOB not in os.environ:
        yield
        return
    ray, _ = connect("auto", cores=0)
    try:
        yield
    finally:
        ray.shutdown()


def check_token(environment: Mapping[str, str]) -> None:
    """Whether the environment says with which token to speak to a cluster.

    Raises:
        UsageError: it says nothing, or names a file that others may read.
    """
    file = environment.get("RAY_AUTH_TOKEN_PATH")
    if environment.get("RAY_AUTH_MODE") == "disabled" or (file is None and environment.get("RAY_AUTH_TOKEN")):
        return
    if file is None:
        raise UsageError(
            "set RAY_AUTH_TOKEN_PATH to a file with the cluster's token, or RAY_AUTH_MODE=disabled for a cluster that "
            "has none, where whoever reaches the dashboard may run anything."
        )
    try:
        mode = Path(file).stat().st_mode
    except OSError as error:
        raise UsageError(f"RAY_AUTH_TOKEN_PATH: {file} cannot be read: {error.strerror}.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"RAY_AUTH_TOKEN_PATH: others may read {file}; keep it to yourself with `chmod 600 {file}`.")


def _job(found: Any) -> Job:
    status = getattr(found.status, "value", found.status)
    return Job(id=str(found.submission_id), status=str(status), message=" ".join(str(found.message or "").split()))
