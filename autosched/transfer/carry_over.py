"""A whole schedule carried over by rules: what they say of the peak LR, and the schedule that is trained with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autosched.errors import UsageError
from autosched.schedules.schedule import ParameterValue, Schedule
from autosched.transfer.carry import carried, is_family
from autosched.transfer.change import Change
from autosched.transfer.extension import WSD_EXTENSION, NoExtension, extend_wsd
from autosched.transfer.prior import peak_lr_prior
from autosched.transfer.rule import Axis, NoTransfer, Transfer, TransferRule, transferred


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOver:
    """A schedule carried over.

    Attributes:
        change: from what to what.
        rules: the rules that were asked.
        transfer: what they say together.
        schedule: the new schedule.
        stable_steps: of an extension, the update of the checkpoint to go on from.
        others: the schedule of the weights that a rule does not hold for; None when it holds for all.
    """

    change: Change
    rules: tuple[TransferRule, ...]
    transfer: Transfer
    schedule: Schedule
    stable_steps: int | None = None
    others: Schedule | None = None


def changed_axes(change: Change, *, shape: bool = False) -> tuple[Axis, ...]:
    """What changes; the horizon counts in tokens when batches are given.

    Args:
        shape: whether the schedule's shape does.
    """
    ratios: dict[Axis, float | None] = {
        "horizon": change.ratio("tokens"),
        "shape": 0.0 if shape else None,
        "batch": change.ratio("batch"),
        "width": change.ratio("width"),
    }
    return tuple(axis for axis, ratio in ratios.items() if ratio not in (None, 1.0))


def carry_over(change: Change, rules: tuple[TransferRule, ...], changes: Mapping[str, ParameterValue]) -> CarriedOver:
    """The new schedule.

    Raises:
        UsageError: a rule has nothing to say of this change; the line is its reason.
    """
    said = transferred(change, rules)
    if isinstance(said, NoTransfer):
        raise UsageError(said.reason)
    old, steps = change.old.schedule, change.new.schedule.steps
    if WSD_EXTENSION not in rules:
        if not is_family(old) and steps != old.steps:
            text = "a table is stretched as a whole, warmup included."
            said = dataclasses.replace(said, warnings=(*said.warnings, text))
        schedule = carried(old, steps=steps, factor=said.factor, changes=changes)
        others = None if said.others is None else carried(old, steps=steps, factor=said.others, changes=changes)
        return CarriedOver(change=change, rules=rules, transfer=said, schedule=schedule, others=others)
    if changes:
        raise UsageError(f"{WSD_EXTENSION.name} keeps the cooldown's share of the run: leave out the cooldown.")
    longer = extend_wsd(old, steps)
    if isinstance(longer, NoExtension):
        raise UsageError(longer.reason)
    return CarriedOver(
        change=change, rules=rules, transfer=said, schedule=longer.schedule, stable_steps=longer.stable_steps
    )


def carried_over_document(outcome: CarriedOver) -> dict[str, Any]:
    """What was carried over as JSON data, for the command and for a study's summary."""
    old, new, said = outcome.change.old, outcome.change.new, outcome.transfer
    low, high = said.interval(old.schedule.peak_lr)
    prior = peak_lr_prior(old.schedule.peak_lr, said)
    return {
        "old": {"steps": old.schedule.steps, "peak_lr": old.schedule.peak_lr, "batch": old.batch, "width": old.width},
        "new": {
            "steps": new.schedule.steps,
            "peak_lr": old.schedule.peak_lr * said.factor,
            "low": low,
            "high": high,
            "batch": new.batch,
            "width": new.width,
        },
        "rules": [rule_document(rule, outcome.change) for rule in outcome.rules],
        "factor": said.factor,
        "log_sd": said.log_sd,
        "weights": said.weights or "all",
        "factor_of_others": said.others,
        "prior": {"mean": prior.mean, "sd": prior.sd},
        "warnings": list(said.warnings),
        "stable_steps": outcome.stable_steps,
        "schedule": json.loads(outcome.schedule.to_json()),
    }


def rule_document(rule: TransferRule, change: Change) -> dict[str, Any]:
    """A rule with what it alone says of a change."""
    alone = rule.apply(change)
    numbers = {} if isinstance(alone, NoTransfer) else {"factor": alone.factor, "log_sd": alone.log_sd}
    return {
        "name": rule.name,
        **numbers,
        "formula": rule.formula,
        "validity": rule.validity,
        "source": rule.source,
    }
