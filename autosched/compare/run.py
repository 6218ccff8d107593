"""Runs the studies of a comparison: those that are not finished, several at a time, each in one process.

A study is a function of its space, so it does not matter which process runs it, nor how often it was interrupted: the
same call goes on where the last one ended. The processes end with the one that started them, however that ends.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autosched.compare.plan import Job, with_trainer_of
from autosched.compare.processes import in_processes
from autosched.compare.trace import Trace, trace_of
from autosched.engine import assembly
from autosched.engine.backend import Backend
from autosched.engine.journal import Journal
from autosched.engine.threads import same_sums
from autosched.ledger.events import Stamped, StudyCreated, TrialEnded
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.printed import tell
from autosched.report.text import clock_text
from autosched.space import space_to_json
from autosched.space.records import Space

Teller = Callable[[str], object]


def no_news(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What studies are run with; nothing here changes a result.

    Attributes:
        make_backend: makes the backend of one study; importable in other processes.
        versions: of what decides a study's numbers, for its first event.
        processes: studies at the same time.
        tell: takes a line of news about a study that ended.
        quiet: do not print a line on stderr whenever a study finds something better.
    """

    make_backend: Callable[[Space], Backend]
    versions: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    tell: Teller = no_news
    quiet: bool = False


def run_jobs(jobs: Sequence[Job], means: Means) -> list[Trace]:
    """Run what is not finished; returns the traces of all jobs, in their order.

    Raises:
        UsageError: another process runs one of the studies, or a trainer's options have a fault.
        WorkError: a study failed, or a process died; what was committed stays, and the same call goes on.
        KeyboardInterrupt: the same call goes on.
    """
    started = time.monotonic()
    left = [job for job in jobs if not _finished(job)]
    if len(left) < len(jobs):
        means.tell(f"{len(jobs) - len(left)} of {len(jobs)} studies are finished already")
    for done, job in enumerate(_run(left, means), start=len(jobs) - len(left) + 1):
        means.tell(f"{clock_text(time.monotonic() - started)} {done} of {len(jobs)}: {_outcome(read_trace(job))}")
    return [read_trace(job) for job in jobs]


def read_trace(job: Job) -> Trace:
    """The trace of a job's study as it stands."""
    ledger = Ledger(job.space.storage.ledger, create=False)
    try:
        return trace_of(job.method, job.seed, ledger.place, job.space.study, ledger.read(job.space.study))
    finally:
        ledger.close()


def run_job(job: Job, means: Means) -> None:
    """Run one study to its end in this process, from where it is."""
    job.folder.mkdir(parents=True, exist_ok=True)
    ledger, name = Ledger(job.space.storage.ledger), job.space.study
    try:
        with ledger.lease(name), same_sums(job.space.resources.cpus):
            if all(row.name != name for row in ledger.studies()):
                fingerprints = job.space.trainer.fingerprints
                created = StudyCreated(
                    space=space_to_json(job.space), versions=means.versions, fingerprints=fingerprints
                )
                ledger.append(name, 0, [created])
            journal = Journal(ledger, name, [] if means.quiet else [_News(job).seen])
            if journal.state.finished is None:
                _train(job, means, ledger, journal)
        shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)  # nothing goes on from a finished study
    finally:
        ledger.close()


def _train(job: Job, means: Means, ledger: Ledger, journal: Journal) -> None:
    backend = means.make_backend(job.space)
    space = with_trainer_of(job.space, journal.state.fingerprints or {})  # as it began
    try:
        assembly.run_study(space, ledger, journal, backend, reuse=False)
    finally:
        backend.close()


def _finished(job: Job) -> bool:
    state = job.state()
    return state is not None and state.finished is not None


def _run(jobs: Sequence[Job], means: Means) -> Iterator[Job]:
    """Run jobs; gives each when it is done."""
    if means.processes == 1 or len(jobs) <= 1:
        for job in jobs:
            run_job(job, means)
            yield job
        return
    silent = Means(make_backend=means.make_backend, versions=means.versions, quiet=means.quiet)
    yield from in_processes(run_job, jobs, silent, processes=means.processes)


class _News:
    """A line on stderr whenever a study finds something better."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, TrialEnded) and event.status == "complete" and state.best == event.trial:
            runs = state.steps_scheduled / self._job.space.horizon_steps
            found = f"{event.value:.4f} by trial {event.trial}, after {runs:.1f} full runs"
            tell(f"  {self._job.method}, seed {self._job.seed}: {found}", sys.stderr)


def _outcome(trace: Trace) -> str:
    found = f"best loss {trace.best:.4f}" if trace.ends else "no trial was complete"
    runs, trials = trace.spent / trace.horizon, len(trace.curves)
    return f"{trace.method}, seed {trace.seed}: {found}; {runs:.1f} full runs, {trials} trials"
