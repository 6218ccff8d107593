"""From what a person gives (a space and options) to a study in a ledger that can be run."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.errors import StudyError, UsageError
from autosched.ledger.events import StudyCreated
from autosched.ledger.fold import fold
from autosched.ledger.store import BACKENDS, Ledger, ledger_folder
from autosched.search import select as search_select
from autosched.space import space_to_json
from autosched.space.records import Space, Storage
from autosched.space.shipped import shipped_note
from autosched.space.yaml_file import checked_space
from autosched.study.identity import changed_limits, limits_note, with_fingerprints
from autosched.study.places import placed, tracked
from autosched.study.run import space_of, versions
from autosched.study.sources import SpaceSource, override_texts, read_source
from autosched.study.trainer_check import check_new_trainer
from autosched.study.warm_start import with_old_runs
from autosched.tracking.select import make_tracker
from autosched.urls import database_url, redacted, without_password, without_secrets
from workers.registry import check_hyperparameters, check_ramps, check_trainer_space

PROBE = "probe"
"""What a checkpoint is called that is stored only to see whether it can be."""


def _check_hyperparameters(space: Space) -> None:
    search_select.CHECKS["hyperparameters"](space)
    check_hyperparameters(space)


def _check_schedule(space: Space) -> None:
    search_select.CHECKS["schedule"](space)
    check_ramps(space)


CHECKS: Mapping[str, Callable[[Space], object]] = {
    "trainer": check_trainer_space,
    **search_select.CHECKS,
    "schedule": _check_schedule,
    "hyperparameters": _check_hyperparameters,
    "storage": lambda space: (
        CheckpointStore(space.storage.checkpoints),
        database_url(space.storage.ledger, "the ledger", BACKENDS),
    ),
    "tracking": lambda space: make_tracker(space.tracking),
}
"""What a space file can name that only its owner can check, by the key of the space file; touches no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a person wants otherwise than the space says; what is None or empty stays as it is.

    Attributes:
        overrides: ``key.path=value`` texts, or a mapping from dotted keys to values.
        name, seed, workers: of the study; segments trained at the same time.
        ledger: URL; the environment's AUTOSCHED_LEDGER stands where it is None.
        warm_start, warm_start_other: sources of old runs, of the same model and of another.
    """

    overrides: Sequence[str] | Mapping[str, Any] = ()
    name: str | None = None
    seed: int | None = None
    workers: int | None = None
    ledger: str | None = None
    warm_start: Sequence[str] = ()
    warm_start_other: Sequence[str] = ()

    def texts(self) -> list[str]:
        """All as overrides, so that they pass the checks of a file and are kept in the ledger."""
        sources = [{"from": source, "model": "same"} for source in self.warm_start]
        sources += [{"from": source, "model": "other"} for source in self.warm_start_other]
        given = {
            "study": self.name,
            "resources.workers": self.workers,
            "seed": self.seed,
            "storage.ledger": chosen_ledger(self.ledger),
            "warm_start": sources or None,
        }
        said = (f"{path}={json.dumps(value)}" for path, value in given.items() if value is not None)
        return [*override_texts(self.overrides), *said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A study that can be run.

    Attributes:
        ledger: open; whoever runs the study closes it.
        notes: lines for a person: what a warm start took, that the study got another name.
        backend: what it ran on last; empty when it never ran.
    """

    ledger: Ledger
    study: str
    notes: tuple[str, ...] = ()
    backend: str = ""


def start(
    source: SpaceSource,
    settings: Settings,
    *,
    resume: bool = False,
    reuse_anyway: bool = False,
    trust_trainer: bool = False,
    on_cluster: bool = False,
) -> Started:
    """Check everything that can be checked before work, and enter the study in its ledger.

    Args:
        resume: take the study that is there under this name, finished or not, if it has this space; one that is not
            finished may get another budget and number of workers, which the ledger notes.
        reuse_anyway: let results of other code or data count.
        trust_trainer: do not train the few updates that show whether a new trainer keeps its promises.
        on_cluster: the study is to run where an address says. Results are decided about as they come then, unless the
            space says otherwise, and a new trainer is trusted: the cluster may have what this machine lacks.

    Raises:
        UsageError: the space has a fault (SpaceError), a folder cannot be written, the study is unfinished
            (StudyError) or has another space, or a source of a warm start is none.
        WorkError: the ledger or the tracker cannot be reached.
    """
    space = checked_space(read_source(source), settings.texts(), CHECKS)
    folder = ledger_folder(space.storage.ledger)
    if folder is None:  # whoever goes on with the study may do so anywhere
        space = placed(space, Path.cwd())
    preflight(placed(space, folder))
    ledger = Ledger(space.storage.ledger)
    try:
        if resume and space.study in {row.name for row in ledger.studies()}:
            return Started(ledger=ledger, study=space.study, notes=_gone_on_with(space, ledger))
        if on_cluster and space.resources.order is None:
            space = dataclasses.replace(space, resources=dataclasses.replace(space.resources, order="arrival"))
        known, notes = with_fingerprints(space, ledger, reuse_anyway=reuse_anyway)
        notes += [] if trust_trainer or on_cluster else check_new_trainer(known, ledger)
        warm, taken = with_old_runs(known, ledger)
        notes += taken
        shipped = shipped_note(source) if isinstance(source, str | Path) else None
        notes += [] if shipped is None else [shipped]
        created = create_study(ledger, warm).study
    except BaseException:
        ledger.close()
        raise
    if created != space.study:
        notes.append(f"the study {space.study!r} is finished; this one is {created!r}.")
    return Started(ledger=ledger, study=created, notes=tuple(notes))


def _gone_on_with(space: Space, ledger: Ledger) -> tuple[str, ...]:
    """Note in the ledger that a study goes on with another budget or number of workers; returns what to say of it."""
    if changed_limits(space, ledger.state(space.study)) is None:
        return ()
    with ledger.lease(space.study):  # nobody else writes what is added to
        state = ledger.state(space.study)
        changed = changed_limits(space, state)
        if changed is None:
            return ()
        ledger.append(space.study, state.events, [changed])
        return (limits_note(changed, state),)


def reopen(study: str, ledger: str | None, *, tracking: str | None = None) -> Started:
    """A study that is there, after the checks of what it needs.

    Args:
        ledger: URL; None for the environment's, or the default.
        tracking: the store that runs are shown in; None for the space's.

    Raises:
        UsageError: there is no such ledger or study, or a folder or module that it needs has gone.
        WorkError: the ledger or the tracker cannot be reached.
    """
    store = Ledger(ledger_url(ledger), create=False)
    try:
        state = store.state(study)
        preflight(tracked(space_of(state, store.folder), tracking))
    except BaseException:
        store.close()
        raise
    return Started(ledger=store, study=study, backend=state.backend)


def create_study(ledger: Ledger, space: Space) -> Space:
    """Enter a new study in the ledger; returns the space under the name it got.

    A finished study keeps its name: the new one is numbered (``wsd-demo-2``) and reuses its work. One that has
    tried nothing, because its workers could not be had, say, is replaced.

    Raises:
        StudyError: a study of this name is unfinished, or is being run.
    """
    rows = {row.name: row for row in ledger.studies()}
    name, number = space.study, 1
    while name in rows and (rows[name].finished or number > 1):
        number += 1
        name = f"{space.study}-{number}"
    named = dataclasses.replace(space, study=name)
    fingerprints = space.trainer.fingerprints
    shown = dataclasses.replace(named.storage, ledger=without_password(named.storage.ledger))  # it is read by that URL
    space_now = space_to_json(dataclasses.replace(named, storage=shown))
    created = StudyCreated(space=space_now, versions=versions(), fingerprints=fingerprints)
    with ledger.lease(name):  # another process may begin it in this moment
        _check_untried(ledger, name)
        ledger.append(name, 0, [created], anew=True)
    return named


def _check_untried(ledger: Ledger, study: str) -> None:
    state = fold(study, ledger.read(study))
    if state.trials or state.observations:
        raise StudyError(
            f"the study {study!r} is unfinished: go on with `autosched resume {study}`, or start another with --name."
        )


def preflight(space: Space) -> None:
    """Find out before any work what would fail later: names, options, folders, the tracker.

    Raises:
        UsageError: the controller, the pruner or the trainer has a fault, or a folder cannot be written.
        TrackingError: the tracking store is away or damaged.
    """
    for check in CHECKS.values():
        check(space)
    check_folder(Path(space.storage.reports), "storage.reports")
    if "://" in space.storage.checkpoints:
        check_address(space.storage.checkpoints)
    else:
        check_folder(Path(space.storage.checkpoints), "storage.checkpoints")
    tracker = make_tracker(space.tracking)
    if tracker is not None:
        tracker.check()  # in the main thread: MLflow is loaded before the mirror's thread and Ray run side by side
        tracker.close()


def check_address(checkpoints: str) -> None:
    """Whether checkpoints can be stored at a URL: one is, and removed.

    Raises:
        UsageError: they cannot.
    """
    store = CheckpointStore(checkpoints)
    try:
        store.save(store.uri(PROBE), lambda file: file.write(b"autosched"))
        store.delete(store.uri(PROBE))
    except Exception as error:  # fsspec's protocols raise whatever their packages do
        shown = without_secrets(checkpoints)
        reason = " ".join(redacted(str(error), checkpoints).split()) or type(error).__name__
        raise UsageError(f"cannot write into storage.checkpoints {shown!r}: {reason.rstrip('.')}.") from None


def check_folder(folder: Path, what: str) -> None:
    """Whether files can be made in a folder (it is made when missing).

    Raises:
        UsageError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot write into {what} {str(folder)!r}: {error.strerror}.") from None


def chosen_ledger(given: str | None) -> str | None:
    """The ledger that was named, by an argument or by the environment's AUTOSCHED_LEDGER; None when none was."""
    return given or os.environ.get("AUTOSCHED_LEDGER") or None


def ledger_url(given: str | None) -> str:
    """The ledger to look into: the one that was named, or the default."""
    return chosen_ledger(given) or Storage().ledger
