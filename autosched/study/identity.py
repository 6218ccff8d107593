"""What a study began with: its trainer's code and data, and its space; and whether they are the same now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autosched.errors import StudyError
from autosched.ledger.events import LimitsChanged, StudyCreated
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import space_from_json, space_to_json
from autosched.space.document import shown
from autosched.space.records import Order, Space
from autosched.space.trainer_spec import TrainerSpec
from autosched.trainer.fingerprints import NAMED, changes
from autosched.urls import without_secrets
from workers.registry import trainer_fingerprints

BUDGET, WORKERS = "budget.", "resources.workers"
"""Keys that may change while a study is not finished."""
_ABSENT = object()


def fingerprints_of(trainer: TrainerSpec) -> dict[str, str]:
    """Of the code and data that a trainer has now; raises as :func:`workers.registry.trainer_fingerprints`."""
    return trainer_fingerprints(trainer.use, trainer.options)


def with_fingerprints(space: Space, ledger: Ledger, *, reuse_anyway: bool) -> tuple[Space, list[str]]:
    """The space with the fingerprints of its trainer's code and data, and what a person should know of them.

    Args:
        reuse_anyway: take the fingerprints of the ledger's newest study with this trainer and these options, so that
            its results count, whatever has changed since.
    """
    now = fingerprints_of(space.trainer)
    known = replace(space, trainer=replace(space.trainer, fingerprints=now))
    if not reuse_anyway:
        return known, []
    for study, then in earlier_fingerprints(space, ledger):
        if then == now:
            return known, []
        taken = replace(space, trainer=replace(space.trainer, fingerprints=then))
        return taken, [f"results of {study!r} count, although {changes(then, now)}."]
    return known, []


def earlier_fingerprints(space: Space, ledger: Ledger) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The ledger's studies with this trainer and these options, the newest first, each with its fingerprints then."""
    trainer = space_to_json(space)["trainer"]
    for row in ledger.studies():
        created = next(ledger.read(row.name)).event
        if isinstance(created, StudyCreated) and created.space.get("trainer") == trainer:
            yield row.name, created.fingerprints or {}


def check_unchanged(state: StudyState, trainer: TrainerSpec) -> None:
    """Whether an unfinished study's trainer has the code and data that it began with.

    A study of a version that kept no fingerprints passes.

    Raises:
        StudyError: it has not; the text names what has changed.
        UsageError: the trainer cannot be made, or its data cannot be read.
    """
    if state.fingerprints is None:
        return
    changed = changes(state.fingerprints, fingerprints_of(trainer))
    if changed:
        raise StudyError(
            f"the study {state.name!r} was begun with other code or data: {changed}. Begin another with `autosched "
            "tune`, or let its results count as they are with --reuse-anyway."
        )


def changed_limits(space: Space, state: StudyState) -> LimitsChanged | None:
    """What a study that is to be gone on with gets another budget or number of workers by; None when both are the same.

    Where the ledger lies does not count: it is there that the study was found. Nor do the runs that a warm start has
    read. A space that names no order of results takes the study's.

    Raises:
        StudyError: the space differs in more than these, or the study is finished.
    """
    begun = space_from_json(dict(state.space))
    there, here = (_by_key(_described(one, begun.resources.order)) for one in (begun, space))
    differing = [key for key in {**there, **here} if there.get(key, _ABSENT) != here.get(key, _ABSENT)]
    fixed = [key for key in differing if key != WORKERS and not key.startswith(BUDGET)]
    if fixed:
        raise StudyError(
            f"the study {state.name!r} was begun with another space: {differences(there, here, fixed)}. Go on as it "
            f"was begun with `autosched resume {state.name}`, or begin another with --name."
        )
    if not differing:
        return None
    if state.finished is not None:
        raise StudyError(
            f"the study {state.name!r} is finished, and nothing of it can change: {differences(there, here, differing)}"
            ". Begin another with --name, which takes its runs for nothing."
        )
    document = space_to_json(space)
    return LimitsChanged(budget=document["budget"], workers=space.resources.workers)


def differences(there: Mapping[str, Any], here: Mapping[str, Any], keys: Sequence[str]) -> str:
    """How two documents differ, by dotted key, in one line; of many keys the first."""
    parts = [f"{key} is {_said(there, key)} there, but {_said(here, key)} here" for key in keys[:NAMED]]
    return "; ".join(parts) + (f"; and {len(keys) - NAMED} more keys" if len(keys) > NAMED else "")


def limits_note(changed: LimitsChanged, state: StudyState) -> str:
    """For a person: what is other from now on."""
    before = {f"{BUDGET}{name}": value for name, value in state.space.get("budget", {}).items()}
    after = {f"{BUDGET}{name}": value for name, value in changed.budget.items()}
    before[WORKERS], after[WORKERS] = state.space.get("resources", {}).get("workers"), changed.workers
    parts = [f"{key} is {shown(value)}, was {shown(before.get(key))}" for key, value in after.items()]
    parts = [part for part, key in zip(parts, after, strict=True) if after[key] != before.get(key)]
    return f"the study {state.name!r} goes on with other limits: {'; '.join(parts)}."


def _described(space: Space, order: Order | None) -> dict[str, Any]:
    document = space_to_json(space)
    document["resources"].setdefault("order", order or "virtual")
    document["warm_start"] = [(warm.source, warm.model) for warm in space.warm_start]
    del document["storage"]["ledger"]
    return document


def _by_key(value: Any, path: str = "") -> dict[str, Any]:
    """The values of a document by dotted key; a list of mappings, as of families, counts as one mapping."""
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        value = {name: inside for part in value for name, inside in part.items()}
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, inside in value.items():
        found |= _by_key(inside, f"{path}.{name}" if path else name)
    return found


def _said(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    hidden = without_secrets(value) if isinstance(value, str) and "://" in value else value
    return shown(hidden) if key in values else "not given"
