"""Whose work a study's results are: its trainer's code and data, now and when it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autosched.errors import StudyError
from autosched.ledger.events import StudyCreated
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import space_to_json
from autosched.space.records import Space
from autosched.space.trainer_spec import TrainerSpec
from workers.registry import trainer_fingerprints

NAMED = 4
"""Files and modules that a message names."""


def with_fingerprints(space: Space, ledger: Ledger, *, reuse_anyway: bool) -> tuple[Space, list[str]]:
    """The space with the fingerprints of its trainer's code and data, and what a person should know of them.

    Args:
        reuse_anyway: take the fingerprints of the ledger's newest study with this trainer and these options, so that
            its results count, whatever has changed since.
    """
    now = trainer_fingerprints(space.trainer.use, space.trainer.options)
    known = replace(space, trainer=replace(space.trainer, fingerprints=now))
    if not reuse_anyway:
        return known, []
    for row in ledger.studies():
        created = next(ledger.read(row.name)).event
        if not isinstance(created, StudyCreated) or created.space.get("trainer") != space_to_json(space)["trainer"]:
            continue
        then = created.fingerprints or {}
        if then == now:
            return known, []
        taken = replace(space, trainer=replace(space.trainer, fingerprints=then))
        return taken, [f"results of {row.name!r} count, although {changes(then, now)}."]
    return known, []


def check_unchanged(state: StudyState, trainer: TrainerSpec) -> None:
    """Whether an unfinished study's trainer has the code and data that it began with.

    A study of a version that kept no fingerprints passes.

    Raises:
        StudyError: it has not; the text names what has changed.
        UsageError: the trainer cannot be made, or its data cannot be read.
    """
    if state.fingerprints is None:
        return
    changed = changes(state.fingerprints, trainer_fingerprints(trainer.use, trainer.options))
    if changed:
        raise StudyError(
            f"the study {state.name!r} was begun with other code or data: {changed}. Begin another with `autosched "
            "tune`, or let its results count as they are with --reuse-anyway."
        )


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two sets of fingerprints, in words; empty when nothing does."""
    parts = []
    for what, names in (
        ("has changed", [name for name in then if name in now and then[name] != now[name]]),
        ("is gone", [name for name in then if name not in now]),
        ("is new", [name for name in now if name not in then]),
    ):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        parts += [f"{', '.join(names[:NAMED])}{more} {what}"] if names else []
    return "; ".join(parts)
