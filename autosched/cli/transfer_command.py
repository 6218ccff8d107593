"""`transfer`: a tuned schedule for another horizon, cooldown, batch size or width."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autosched.cli.options import JsonOption, show, write_file
from autosched.cli.schedule_commands import load_schedule
from autosched.errors import UsageError
from autosched.report.schedule_plot import schedule_plot
from autosched.report.target import peak_text, reservations
from autosched.report.terminal_plot import terminal_plot
from autosched.schedules.schedule import ParameterValue
from autosched.transfer import (
    DEFAULTS,
    Change,
    Setting,
    TransferRule,
    carried,
    get_rule,
)
from autosched.transfer.carry_over import CarriedOver, carried_over_document, carry_over, changed_axes
from autosched.transfer.power_rules import PowerRule
from autosched.transfer.rule import Axis

AXIS_OPTIONS = {"horizon": "--to-steps", "shape": "--to-cooldown", "batch": "--to-batch", "width": "--to-width"}


def transfer(
    file: Annotated[Path, typer.Argument(help="The tuned schedule (JSON).", metavar="SCHEDULE")],
    from_steps: Annotated[
        int | None, typer.Option("--from-steps", help="Its updates, as a check; they are in the file.")
    ] = None,
    to_steps: Annotated[int | None, typer.Option("--to-steps", min=1, help="The new horizon, updates.")] = None,
    to_cooldown: Annotated[float | None, typer.Option("--to-cooldown", help="The new cooldown_fraction.")] = None,
    from_batch: Annotated[float | None, typer.Option("--from-batch", help="Batch size it was tuned with.")] = None,
    to_batch: Annotated[float | None, typer.Option("--to-batch", help="The new batch size, same unit.")] = None,
    critical_batch: Annotated[
        float | None, typer.Option("--critical-batch", help="Critical batch size, same unit, if it is known.")
    ] = None,
    from_width: Annotated[float | None, typer.Option("--from-width", help="Hidden width it was tuned with.")] = None,
    to_width: Annotated[float | None, typer.Option("--to-width", help="The new hidden width.")] = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="A rule to use instead of the default; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the schedule (JSON).", metavar="FILE")] = None,
    out_others: Annotated[
        Path | None,
        typer.Option(
            "--out-others", help="Over widths: write the schedule of all weights but hidden matrices.", metavar="FILE"
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw old and new.", metavar="PNG")] = None,
    as_json: JsonOption = False,
) -> None:
    """Carry a tuned schedule over to another horizon, cooldown, batch size or width, by published rules.

    Example: autosched transfer schedule.json --from-steps 5000 --to-steps 50000 -o longer.json
    """
    schedule = load_schedule(file)
    if from_steps is not None and from_steps != schedule.steps:
        raise UsageError(f"--from-steps must be the {schedule.steps} updates of {file}, but got {from_steps}.")
    changes: dict[str, ParameterValue] = {} if to_cooldown is None else {"cooldown_fraction": to_cooldown}
    target = carried(schedule, steps=to_steps or schedule.steps, changes=changes)
    change = Change(
        old=Setting(schedule=schedule, batch=from_batch, width=from_width),
        new=Setting(schedule=target, batch=to_batch, width=to_width),
    )
    axes = changed_axes(change, shape=to_cooldown is not None)
    if not axes:
        raise UsageError(f"nothing changes: give {', '.join(AXIS_OPTIONS.values())}.")
    rules = choose_rules([get_rule(name) for name in rule or []], axes, critical_batch)
    outcome = carry_over(change, rules, changes)
    if out_others is not None and outcome.others is None:
        raise UsageError("--out-others belongs to rules that hold for some weights alone: give --to-width.")
    if out is not None:
        write_file(out, outcome.schedule.to_json().encode())
    if out_others is not None and outcome.others is not None:
        write_file(out_others, outcome.others.to_json().encode())
    if plot is not None:
        write_file(plot, schedule_plot([schedule, outcome.schedule], ["tuned", "carried over"]))
    document = carried_over_document(outcome)
    show(as_json, document, _lines(outcome, document, [out, out_others, plot], drawn=plot is None))


def choose_rules(
    named: Sequence[TransferRule], axes: Sequence[Axis], critical_batch: float | None
) -> tuple[TransferRule, ...]:
    """The named rules, and for every axis that changes and none of them covers the default.

    Raises:
        UsageError: a named rule that covers nothing that changes, or a critical batch size without a batch rule.
    """
    for rule in named:
        if not rule.axes & set(axes):
            covers = " and the ".join(sorted(rule.axes))
            options = " or ".join(AXIS_OPTIONS[axis] for axis in sorted(rule.axes))
            raise UsageError(f"--rule {rule.name} covers the {covers}, which does not change: give {options}.")
    covered = {axis for rule in named for axis in rule.axes}
    rules = [*named, *(DEFAULTS[axis] for axis in axes if axis not in covered)]
    if critical_batch is None:
        return tuple(rules)
    if not 0 < critical_batch < float("inf"):
        raise UsageError(f"--critical-batch must be finite and > 0, but got {critical_batch:g}.")
    if not any(rule.axes == {"batch"} for rule in rules):
        raise UsageError("--critical-batch belongs to batch-sqrt and batch-linear: give --from-batch and --to-batch.")
    return tuple(
        dataclasses.replace(rule, critical_batch=critical_batch)
        if isinstance(rule, PowerRule) and rule.axes == {"batch"}
        else rule
        for rule in rules
    )


def _lines(
    outcome: CarriedOver, document: Mapping[str, Any], written: Sequence[Path | None], *, drawn: bool
) -> list[str]:
    lines = []
    for rule in document["rules"]:
        lines.append(f"rule        {rule['name']}: {rule['formula']}; times {rule['factor']:.4g}")
        lines.append(f"            holds for {rule['validity']} ({rule['source']})")
    extended = outcome.stable_steps is not None
    what, old = "2nd stage" if extended else "peak LR", document["old"]["peak_lr"]
    lines.append(f"{what:<11} {old:.4g} -> {peak_text(document['new'])} if the old one was the best")
    if extended:
        lines.append(f"stable      unchanged: go on from the checkpoint at update {outcome.stable_steps}")
    lines += reservations(document)
    if outcome.others is not None:
        lines.append("            the schedule below is that of the group; --out-others FILE writes that of the others")
    lines.append(f"schedule    {outcome.schedule.describe()}, {outcome.schedule.steps} updates")
    picture = [terminal_plot([outcome.schedule], ["learning rate"])] if drawn else []
    return [*lines, *picture, *(f"wrote {path}" for path in written if path is not None)]
