"""`submit`, `logs`, `stop`: studies as jobs of a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.options import JsonOption, LedgerOption, kept_for_json, show
from autosched.ledger.store import Ledger
from autosched.printed import tell, tell_error
from autosched.study.start import Settings, ledger_url
from autosched.study.submission import Submission, packed, packed_again
from autosched.study.supervisor import RESTARTS
from workers.ray_jobs import Job, RayJobs

JobsAddress = Annotated[
    str, typer.Option("--address", help="The Ray cluster's dashboard, e.g. http://head:8265.", metavar="URL")
]
SubmittedArgument = Annotated[str, typer.Argument(help="A study that was submitted.", metavar="STUDY")]


def submit(
    space: Annotated[
        Path, typer.Option("--space", help="The space file, or the name of one of `autosched spaces`.", metavar="FILE")
    ],
    address: JobsAddress,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Override one value, e.g. budget.trials=8.", metavar="KEY=VALUE")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Study name; default: the file's.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Segments trained at the same time.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the study.")] = None,
    ledger: LedgerOption = None,
    restarts: Annotated[
        int, typer.Option("--restarts", min=0, help="How often a driver that is killed is started again.")
    ] = RESTARTS,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the study to its end.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Run a study as a job of a Ray cluster; a study that is there under this name goes on.

    Example: autosched submit --space search_spaces/wsd.yaml --address http://head:8265 --wait
    """
    settings = Settings(overrides=override or [], name=name, seed=seed, workers=workers, ledger=ledger)
    with kept_for_json(as_json), packed(space, settings, restarts=restarts) as job:
        sent = _send(RayJobs(address), job)
    return _told(sent, as_json=as_json, wait=wait)


def resubmit(study: str, address: str, ledger: str | None, options: Sequence[str], *, as_json: bool) -> int:
    """`resume` by a cluster's dashboard: the same as a job there.

    Raises:
        UsageError: there is no such ledger, study or address, or a job of the study runs.
        WorkError: the ledger or the cluster cannot be reached.
    """
    url = ledger_url(ledger)
    store = Ledger(url, create=False)
    use = str(store.state(study).space["trainer"]["use"])
    store.close()
    with kept_for_json(as_json), packed_again(study, use, url, options, restarts=RESTARTS) as job:
        sent = _send(RayJobs(address), job)
    return _told(sent, as_json=as_json)


def logs(
    study: SubmittedArgument,
    address: JobsAddress,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job has ended.")] = False,
) -> int:
    """Print what the last job of a study has printed.

    Example: autosched logs wsd-demo --address http://head:8265 --follow
    """
    jobs = RayJobs(address)
    job = jobs.last(study)
    if follow:
        return _ended(jobs.follow(job.id, _write), study)
    _write(jobs.logs(job.id))
    return 0


def stop(study: SubmittedArgument, address: JobsAddress, as_json: JsonOption = False) -> int:
    """End the job of a study; what it has committed stays, and `resume` goes on from there.

    Example: autosched stop wsd-demo --address http://head:8265
    """
    jobs = RayJobs(address)
    job = jobs.last(study)
    running = jobs.stop(job.id)
    said = (
        f"the study {study!r} is told to stop." if running else f"the job of {study!r} had ended: {job.status.lower()}."
    )
    show(as_json, {"study": study, "job": job.id, "stopped": running}, [said])
    return 0


@dataclass(frozen=True, slots=True)
class _Sent:
    jobs: RayJobs
    study: str
    job: str


def _send(jobs: RayJobs, submission: Submission) -> _Sent:
    return _Sent(jobs, submission.study, jobs.submit(submission.study, submission.command, submission.folder))


def _told(sent: _Sent, *, as_json: bool, wait: bool = False) -> int:
    study, address = sent.study, sent.jobs.address
    lines = [
        f"submitted the study {study}.",
        f"autosched logs {study} --address {address} --follow   # what it says",
        f"autosched status {study} --ledger URL                 # how it stands, from anywhere",
    ]
    if not wait:
        show(as_json, {"study": study, "job": sent.job, "address": address}, lines)
        return 0
    tell(f"autosched: submitted the study {study}.", sys.stderr)
    ended = sent.jobs.follow(sent.job, lambda text: tell(text.rstrip("\n"), sys.stderr) if as_json else _write(text))
    if as_json:
        show(True, {"study": study, "job": sent.job, "address": address, "status": ended.status.lower()}, [])
    return _ended(ended, study)


def _write(text: str) -> None:
    if text.strip():
        tell(text.rstrip("\n"))


def _ended(job: Job, study: str) -> int:
    if job.status == "SUCCEEDED":
        return 0
    tell_error(f"the job of {study!r} has {job.status.lower()}: {job.message}")
    return 1
