"""A space's trainer, asked whether it keeps its promises before work is built on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from autosched.engine.threads import same_sums, with_threads
from autosched.engine.time_limit import TimeUp, time_limit
from autosched.errors import UsageError
from autosched.ledger.store import Ledger
from autosched.space.hyperparameters import to_check
from autosched.space.membership import build_schedule
from autosched.space.records import Choice, FamilySpace, Fixed, Range, Space
from autosched.study.command_check import CommandCase, check_command
from autosched.study.identity import earlier_fingerprints
from autosched.trainer import Trainer
from autosched.trainer.findings import Case, Finding
from autosched.trainer.protocol import SegmentTrainer
from autosched.trainer.soundness import check_soundness
from workers.registry import BUILT_IN, make_trainer

COMMAND = "command"
USUAL_LR = 1e-3
"""Where a space says nothing of its LRs. Source: AdamW's default in torch."""


def trainer_findings(space: Space, *, thorough: bool) -> Iterator[Finding]:
    """What :func:`autosched.trainer.soundness.check_soundness` finds, at an LR that the space would try.

    A command has checks of its own, :mod:`autosched.study.command_check`, all of them quick.
    """
    factory = with_threads(make_trainer, space.resources.cpus)
    spec = space.trainer.beside(to_check(space.hyperparameters, space.trainer))

    def made(seed: int) -> Trainer | SegmentTrainer:
        return factory(spec.use, spec.options, seed, space.horizon_steps)

    if spec.use == COMMAND:
        space = replace(space, trainer=spec)
        return check_command(CommandCase(space=space, make=lambda seed: cast(SegmentTrainer, made(seed))))
    case = Case(make=lambda seed: cast(Trainer, made(seed)), lr=usual_lr(space))
    return check_soundness(case, thorough=thorough)


def check_new_trainer(space: Space, ledger: Ledger) -> list[str]:
    """The quick checks, for a trainer of one's own that no study of the ledger has had as it is now.

    Returns:
        Notes for a person, of what could not be told.

    Raises:
        UsageError: it breaks a promise; the text says which, what was seen, and what to do. Or it takes longer than the
            budget's minutes.
    """
    if (
        space.trainer.use in BUILT_IN
        or space.trainer.fingerprints in dict(earlier_fingerprints(space, ledger)).values()
    ):
        return []
    minutes = space.budget.minutes
    try:
        with same_sums(space.resources.cpus), time_limit(None if minutes is None else 60 * minutes):
            return _notes(space)
    except TimeUp:
        raise UsageError(
            f"trainer {space.trainer.use!r} was still being checked when the budget's {minutes:g} minutes were over: "
            "it hangs, or the budget is small for it; --trust-trainer tunes it as it is."
        ) from None


def _notes(space: Space) -> list[str]:
    notes = []
    for finding in trainer_findings(space, thorough=False):
        text = f"trainer {space.trainer.use!r}: {finding.promise}, but {finding.seen}; {finding.remedy}"
        if finding.level == "broken":
            raise UsageError(f"{text}. `autosched check-trainer` tells more; --trust-trainer tunes it as it is.")
        if finding.level == "unsure":
            notes.append(f"{text}.")
    return notes


def usual_lr(space: Space) -> float:
    """The default's peak LR, or else the middle of those that are searched."""
    listed = space.default or next(iter(space.candidates or ()), None)
    if listed is not None:
        return build_schedule(space, listed).peak_lr
    return next((lr for lr in map(_middle, space.schedule) if lr > 0), USUAL_LR)


def _middle(family: FamilySpace) -> float:
    parameter = family.parameters.get("peak_lr")
    domain = None if parameter is None else parameter.domain
    if isinstance(domain, Range):
        return math.sqrt(domain.low * domain.high) if domain.low > 0 else domain.high / 2
    if isinstance(domain, Choice):
        return max((float(value) for value in domain.values if isinstance(value, int | float)), default=0.0)
    return float(domain.value) if isinstance(domain, Fixed) and isinstance(domain.value, int | float) else 0.0
