"""Which studies a comparison needs: one for every method and seed, on equal terms.

Every study has a folder, a ledger and checkpoints of its own, so no method profits from what another has trained. It
trains one segment after another: a search that sees every result before it proposes is at its best, whatever the
number of processes that share the studies among them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from autosched.compare.method import Method
from autosched.errors import LocatedError, SpaceError, UsageError
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import space_to_json
from autosched.space.document import OVERRIDES, Document
from autosched.space.records import Budget, Confirm, Space, Storage, Tracking
from autosched.space.trainer_spec import TrainerSpec
from autosched.space.yaml_file import read_space, run_check
from autosched.trainer.fingerprints import changes

ALGOPERF_TRIALS = 5
FULL_RUNS = 6.0
"""Budget of a study where neither the space nor whoever compares says one in updates."""
_PLACES = ("storage", "resources", "tracking")
"""Keys of a space that change no result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every method gets.

    Attributes:
        seeds: studies of each method; study i has seed i, which is also its training seed.
        budget: of one study.
        fresh_seeds: how often each study's winner is trained again, with other training seeds, beyond the budget.
        with_default: each study begins with the space's default schedule.
    """

    seeds: int
    budget: Budget
    fresh_seeds: int = 0
    with_default: bool = True

    @property
    def is_algoperf(self) -> bool:
        """Whether trials are counted, whatever their updates."""
        return self.budget.steps is None


def equal_updates(space: Space, *, full_runs: float | None = None, seeds: int = 3, fresh_seeds: int = 0) -> Terms:
    """The same number of updates for every study.

    Args:
        full_runs: how many, in full runs; default: the space's budget, or 6 where it has no limit in updates.

    Raises:
        UsageError: less than one full run, or no seed.
    """
    if full_runs is None:
        full_runs = FULL_RUNS if space.budget.steps is None else space.budget.steps / space.horizon_steps
    if not 1 <= full_runs <= 1e6:
        raise UsageError(f"full_runs must be in [1, 10**6], but got {full_runs:g}.")
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, but got {seeds}.")
    return Terms(seeds=seeds, budget=Budget(steps=round(full_runs * space.horizon_steps)), fresh_seeds=fresh_seeds)


def algoperf_terms(*, seeds: int = 3) -> Terms:
    """AlgoPerf's external tuning: every study has 5 trials, all of the method's own choosing."""
    return Terms(seeds=seeds, budget=Budget(trials=ALGOPERF_TRIALS), with_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One study to run: a method with a seed.

    Attributes:
        folder: the study's own.
        space: the whole study, named after method and seed.
    """

    method: str
    seed: int
    folder: Path
    space: Space

    def state(self) -> StudyState | None:
        """The study as its ledger has it; None before it was begun."""
        if not (self.folder / "ledger.db").exists():
            return None
        ledger = Ledger(self.space.storage.ledger, create=False)
        try:
            begun = any(row.name == self.space.study for row in ledger.studies())
            return ledger.state(self.space.study) if begun else None
        finally:
            ledger.close()


def no_fingerprints(trainer: TrainerSpec) -> Mapping[str, str]:
    """None: whoever asks sees to it that code and data do not change."""
    return {}


def plan(
    space: Space,
    methods: Sequence[Method],
    terms: Terms,
    folder: Path,
    checks: Mapping[str, Callable[[Space], object]],
    fingerprints: Callable[[TrainerSpec], Mapping[str, str]] = no_fingerprints,
) -> tuple[Job, ...]:
    """All studies of a comparison, seed by seed; nothing is written.

    Args:
        folder: where the studies are kept; finished ones in it are taken as they are.
        checks: as for :func:`autosched.space.yaml_file.load_space`; made once for each method.
        fingerprints: gives those of a trainer's code and data (:mod:`autosched.trainer.fingerprints`).

    Raises:
        UsageError: a method has a fault, or the folder holds studies on other terms, or of other code or data.
    """
    for method in methods:
        _checked(space, method, terms, folder, checks)
    jobs = tuple(_job(space, method, terms, seed, folder) for seed in range(terms.seeds) for method in methods)
    jobs = tuple(replace(job, space=with_trainer_of(job.space, fingerprints(job.space.trainer))) for job in jobs)
    for job in jobs:
        _refuse_another(job)
    return jobs


def with_trainer_of(space: Space, fingerprints: Mapping[str, str]) -> Space:
    """The space with its trainer's code and data as these fingerprints say."""
    return replace(space, trainer=replace(space.trainer, fingerprints=fingerprints))


def _checked(
    space: Space, method: Method, terms: Terms, folder: Path, checks: Mapping[str, Callable[[Space], object]]
) -> None:
    try:
        job, document = _job(space, method, terms, 0, folder), _document(space, method)
        for key, check in checks.items():
            run_check(document, key, partial(check, job.space))
    except LocatedError as error:
        if error.file != OVERRIDES:
            raise
        raise SpaceError(error.message, file=f"--variant {method.name}") from None


def _document(space: Space, method: Method) -> Document:
    """The space with the method's own changes, whose keys are those of a space file."""
    budget = replace(space.budget, stop_when=None)  # all methods have the same
    data = space_to_json(replace(space, controller=method.controller, pruner=method.pruner, budget=budget))
    if "schedule" in data:  # a list of families in JSON, a mapping in files
        data["schedule"] = {name: family for entry in data["schedule"] for name, family in entry.items()}
    return Document(data=data, places={}).with_overrides(method.overrides)


def _job(space: Space, method: Method, terms: Terms, seed: int, folder: Path) -> Job:
    name = f"{method.slug}-{seed}"
    place = folder / "studies" / name
    changed = read_space(_document(space, method))
    storage = Storage(
        ledger=f"sqlite:///{place}/ledger.db",
        checkpoints=str(place / "checkpoints"),
        checkpoints_gib=space.storage.checkpoints_gib,
        reports=str(place / "reports"),
    )
    whole = replace(
        changed,
        study=name,
        seed=seed,
        default=changed.default if terms.with_default else None,
        budget=terms.budget,
        resources=replace(changed.resources, workers=1),
        storage=storage,
        tracking=Tracking(uri="none"),
        confirm=Confirm(finalists=1, seeds=terms.fresh_seeds),
    )
    return Job(method=method.name, seed=seed, folder=place, space=whole)


def _refuse_another(job: Job) -> None:
    """Whether the folder's study of this name is the one that is asked for."""
    state = job.state()
    if state is None:
        return
    changed = "" if state.fingerprints is None else changes(state.fingerprints, job.space.trainer.fingerprints)
    if changed:
        raise UsageError(
            f"{job.folder} holds a study of other code or data ({changed}): compare into another folder, or remove "
            "that one."
        )
    wanted, found = _identity(space_to_json(job.space)), _identity(state.space)
    other = next((key for key in {**wanted, **found} if wanted.get(key) != found.get(key)), None)
    if other is not None:
        raise UsageError(
            f"{job.folder} holds a study whose {other} is another: compare into another folder, or remove that one."
        )


def _identity(document: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(document)))
    return {key: value for key, value in plain.items() if key not in _PLACES}
