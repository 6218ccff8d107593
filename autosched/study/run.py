"""Runs a study of a ledger from where it is to its end, and leaves its results behind."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autosched.engine import assembly
from autosched.engine.backend import Backend
from autosched.engine.dispatcher import LOGS, log_name
from autosched.engine.journal import Journal, Listener
from autosched.engine.local_backend import LocalBackend
from autosched.engine.threads import same_sums, with_threads
from autosched.errors import SpaceError, UsageError, WorkError
from autosched.interruption import terminable
from autosched.laws.files import SavedLaw
from autosched.laws.fit import FitFailure
from autosched.ledger.events import TrialProposed
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.report.html import write_report
from autosched.report.law_fit import misfit_note, study_law
from autosched.report.moments import Story
from autosched.report.plain import json_safe
from autosched.report.sharing import sharing_note
from autosched.report.summary import summarise, winner
from autosched.schedules.schedule import Schedule
from autosched.space import build_schedule, space_from_json
from autosched.space.auto_bounds import with_bounds
from autosched.space.records import ScheduleSpec, Space
from autosched.study.identity import check_unchanged
from autosched.study.places import placed, tracked
from autosched.study.progress import Progress
from autosched.study.target import TargetResult, on_target
from autosched.tracking.mirror import Mirror
from autosched.tracking.select import make_tracker
from autosched.tracking.tracker import STUDY
from autosched.whole_files import write_whole
from workers.registry import make_trainer

PACKAGES = ("autosched", "torch", "optuna", "ray", "mlflow", "numpy", "scipy")
BACKENDS = ("ray", "local")
SYNC_SECONDS = 60.0
"""How long the end of a study waits for a tracker that takes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run, as against what: nothing here changes a result.

    Attributes:
        backend: ``ray`` or ``local``.
        address: a Ray cluster; None starts Ray on this machine.
        reuse: take segments from other studies of the ledger.
        reuse_anyway: count results of other code or data as this trainer's.
        tracking: where runs are shown in this session; None for where the space says.
    """

    backend: str = "ray"
    address: str | None = None
    reuse: bool = True
    reuse_anyway: bool = False
    tracking: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise UsageError(f"backend must be one of {', '.join(BACKENDS)}, but got {self.backend!r}.")
        if self.backend == "local" and self.address is not None:
            raise UsageError("address belongs to backend ray, but the backend is local.")
        if self.reuse_anyway and not self.reuse:
            raise UsageError("reuse-anyway takes old results, and fresh takes none: give one of them.")


def versions() -> dict[str, str]:
    """Versions of what decides a study's numbers."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def space_of(state: StudyState, folder: Path | None = None) -> Space:
    """The space a study was created with, with its trainer's fingerprints and the bounds its range test found.

    Args:
        folder: of the ledger, for the places of the study's files, see :func:`autosched.study.places.placed`.

    Raises:
        SpaceError: what the ledger holds is no space that this version knows.
    """
    try:
        space, tested = placed(space_from_json(dict(state.space)), folder), state.range_test
    except SpaceError as error:
        raise SpaceError(error.message, file=f"the space of study {state.name!r} in the ledger") from None
    space = replace(space, trainer=replace(space.trainer, fingerprints=state.fingerprints or {}))
    return space if tested is None or tested.bounds is None else with_bounds(space, *tested.bounds)


def make_backend(space: Space, options: RunOptions, tell: Callable[[str], object] = lambda line: None) -> Backend:
    """The backend the options ask for.

    Args:
        tell: told in a line when other studies of a cluster have to be waited for.

    Raises:
        BackendError: Ray cannot be started or reached, or the resources are not there.
    """
    resources = space.resources
    if options.backend == "local":
        return LocalBackend(with_threads(make_trainer, resources.cpus), workers=resources.workers)
    from workers.ray_backend import RayBackend

    return RayBackend(
        workers=resources.workers, cpus=resources.cpus, gpus=resources.gpus, address=options.address, tell=tell
    )


def report_folder(space: Space) -> Path:
    """Where the report and the winning schedule go."""
    return Path(space.storage.reports) / space.study


def make_mirror(space: Space) -> Mirror | None:
    """The thread that mirrors the study to its tracker; None when tracking is off."""
    tracker = make_tracker(space.tracking)
    if tracker is None:
        return None

    def schedule_of(event: TrialProposed) -> Schedule:
        point = {**event.params, **event.hyperparameters}
        return build_schedule(space, ScheduleSpec(family=event.family, params=point))

    return Mirror(tracker, space.study, schedule_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run left behind: the study, its summary for people and machines, events the tracker has not got yet."""

    state: StudyState
    summary: dict[str, Any]
    untracked: int
    tracking_error: str | None


def run_study(ledger: Ledger, name: str, options: RunOptions, progress: Progress) -> Outcome:
    """Run a study from where it is to its end; also brings the tracker and the report up to date.

    Raises:
        StudyError: another process runs it, or it was begun with other code or data.
        WorkError: the work failed; what was committed stays.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP; everything is put away and the study can be resumed.
    """
    with ExitStack() as stack:
        stack.enter_context(ledger.lease(name))
        stack.enter_context(terminable())
        state = ledger.state(name)
        space = tracked(space_of(state, ledger.folder), options.tracking)
        stack.enter_context(same_sums(space.resources.cpus))
        if state.finished is None and not options.reuse_anyway:
            check_unchanged(state, space.trainer)
        mirror = make_mirror(space)
        listeners: list[Listener] = [progress.seen]
        if mirror is not None:
            listeners.append(lambda state, stamped: mirror.put(stamped))
        journal = Journal(ledger, name, listeners)
        if mirror is not None:
            mirror.start(journal.past)
        try:
            if journal.state.finished is None:
                _train(ledger, journal, space, options, progress)
            return _finish(ledger, journal.state, options, mirror)
        except BaseException:
            if mirror is not None:
                mirror.stop(SYNC_SECONDS / 4)
            raise


def _train(ledger: Ledger, journal: Journal, space: Space, options: RunOptions, progress: Progress) -> None:
    with ExitStack() as stack:
        backend = make_backend(space, options, progress.note)
        stack.callback(backend.close)
        if options.address not in (None, "local"):
            from workers.ray_metrics import RayMetrics

            journal.listen(RayMetrics(space).seen)
        assembly.run_study(space, ledger, journal, backend, reuse=options.reuse)


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """A file that cannot be written as one line; those that are there stay as they were."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise WorkError(f"cannot write into {folder}: {why}; nothing is lost: mend that, then resume.") from None


def _write_winner(
    state: StudyState, space: Space, law: SavedLaw | FitFailure, folder: Path
) -> tuple[dict[str, str], list[str]]:
    """Write the winner's schedule and the law; returns where the files of a study are, and notes on what is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts, notes = {"report": str(folder / "report.html")}, []
    best = winner(state)
    if best is not None:
        write_whole(folder / "schedule.json", best.schedule.to_json())
        artifacts["schedule"] = str(folder / "schedule.json")
    if isinstance(law, SavedLaw):
        write_whole(folder / "law.json", law.to_json())
        artifacts["law"] = str(folder / "law.json")
        missed = misfit_note(law)
        notes += [] if missed is None else [missed]
    elif best is not None:
        notes.append(f"there is no law: {law.reason}")
    shared = sharing_note(state, space)
    notes += [] if shared is None else [shared]
    return artifacts, notes


def _write_target(ledger: Ledger, state: StudyState, space: Space, folder: Path) -> tuple[TargetResult | None, str]:
    """Write the schedules of the target; returns what is known of it, and the path of its schedule."""
    if space.target is None:
        return None, ""
    below = [ledger.state(name) for name in space.target.rungs if name in {row.name for row in ledger.studies()}]
    found = on_target((state, space), [(rung, space_of(rung, ledger.folder)) for rung in below])
    if found is None or found.carried is None:
        return found, ""
    write_whole(folder / "target.json", found.carried.schedule.to_json())
    if found.carried.others is not None:
        write_whole(folder / "target-others.json", found.carried.others.to_json())
    return found, str(folder / "target.json")


def _finish(ledger: Ledger, state: StudyState, options: RunOptions, mirror: Mirror | None) -> Outcome:
    """Write the winner and the report, hand both to the tracker, and wait for it."""
    space = tracked(space_of(state, ledger.folder), options.tracking)
    folder, law = report_folder(space), study_law(state, space)
    with _said(folder):
        artifacts, notes = _write_winner(state, space, law, folder)
        target, schedule = _write_target(ledger, state, space, folder)
    artifacts |= {"target": schedule} if schedule else {}
    notes += [] if target is None else target.notes
    behind = 0 if mirror is None else mirror.flush(SYNC_SECONDS)
    run_id = None if mirror is None or behind else mirror.run_id
    notes += [] if mirror is None else mirror.notes
    tracking = {"uri": space.tracking.uri, "experiment": space.tracking.experiment, "run_id": run_id}
    summary = summarise(state, space, artifacts=artifacts, tracking=tracking, notes=notes)
    summary["target"] = None if target is None else json_safe(target.document())
    with _said(folder):
        write_report(Story.of(state.name, ledger.read(state.name)), space, summary, folder, law=law)
    if mirror is None:
        return Outcome(state=state, summary=summary, untracked=0, tracking_error=None)
    for path in sorted(folder.iterdir()):
        if path.suffix in {".html", ".json"}:
            mirror.put_artifact(STUDY, path.name, path.read_bytes())
    for trial in state.trials:
        log = folder / LOGS / log_name(trial.number)
        if log.is_file():
            mirror.put_artifact(trial.number, log.name, log.read_bytes())
    if not behind:  # one that is away was waited for already
        mirror.flush(SYNC_SECONDS)
    left = mirror.close(1.0)
    error = mirror.last_error or "it has not answered yet"
    return Outcome(state=state, summary=summary, untracked=left, tracking_error=error if left else None)
