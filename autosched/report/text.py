"""A study in plain lines for a terminal or a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from autosched.errors import StudyError
from autosched.ledger.events import Role
from autosched.ledger.records import LAWLESS, Decision, Forecast
from autosched.ledger.state import StudyState, TrialState, Turn
from autosched.report.importance import importance_text
from autosched.report.lr_section import range_test_text, sensitivity_text
from autosched.report.target import target_lines
from autosched.report.terminal_plot import terminal_plot
from autosched.schedules.batch_ramp import DOUBLE_BATCH_AT, serial_updates
from autosched.space.records import Space
from autosched.urls import without_secrets

MOST_LISTED = 40
"""Values of a list that `trial_lines` shows."""
MOST_VALUES = 4  # of a list, shown whole
LATEST = 8
"""Trials that `status_lines` names."""


def final_lines(summary: Mapping[str, Any]) -> list[str]:
    """What `autosched tune` prints at the end, from the document of :func:`autosched.report.summary.summarise`."""
    return [
        *_headline(summary),
        *_best_lines(summary),
        *_lr_lines(summary),
        *_cost_lines(summary),
        *target_lines(summary["target"]),
        *_place_lines(summary),
    ]


def status_lines(summary: Mapping[str, Any], state: StudyState, space: Space, pace: str = "") -> list[str]:
    """How far a study is: counts, the best so far, the cost, and the trials that ended last.

    Args:
        pace: how much of its budget an unfinished one has used (:meth:`autosched.report.standing.Standing.pace`).
    """
    used = [f"budget      {pace}"] if pace else []
    lines = [*_headline(summary), *used, f"trials      {_counts(summary['trials'])}"]
    best = summary["best"]
    if best is not None:
        lines.append(f"best        {_loss(best['value'])}  trial {best['trial']}: {describe(best['schedule'])}")
    lines += [*_lr_lines(summary), *_cost_lines(summary), f"order       {summary['order']}"]
    places = {
        "checkpoints": space.storage.checkpoints,
        "reports": space.storage.reports,
        "tracking": space.tracking.uri,
    }
    lines.append(f"kept in     {', '.join(f'{what} {without_secrets(place)}' for what, place in places.items())}")
    ended = [trial for trial in state.trials if trial.status != "running"]
    ended.sort(key=lambda trial: (trial.ended_time or 0.0, trial.number))
    if ended:
        lines += ["", "ended last", *(f"  {outcome_line(trial)}" for trial in ended[-LATEST:])]
    running = [state.trials[number] for number in sorted(state.active)]
    if running:
        lines += ["", "not ended", *(f"  {running_line(state, trial)}" for trial in running)]
    return lines


def trial_lines(state: StudyState, space: Space, number: int) -> list[str]:
    """One trial explained: its schedule, what it cost, every decision about it and why.

    Raises:
        StudyError: the study has no trial of this number.
    """
    if not 0 <= number < len(state.trials):
        known = f"0 to {len(state.trials) - 1}" if state.trials else "none yet"
        raise StudyError(f"trial must be one of study {state.name!r} ({known}), but got {number}.")
    trial = state.trials[number]
    schedule = trial.schedule
    lines = [
        f"trial {number} of study {state.name}: {', then '.join(_meant(trial, turn) for turn in trial.turns)}",
        f"schedule    {schedule.describe()}",
        *(f"{name:<12}{_list_text(value)}" for name, value in trial.params.items() if isinstance(value, list | tuple)),
        f"fingerprint {trial.fingerprint[:16]}",
        f"outcome     {outcome_line(trial)}",
        f"updates     {trial.step} of {space.horizon_steps}, {trial.steps_shared} of them shared with other trials",
    ]
    if trial.value is not None and trial.last_forecast is not None:
        lines.append(f"forecast    {forecast_text(trial.last_forecast)}; seen {trial.value:.4f}")
    lines += ["", *terminal_plot([schedule], ["learning rate"]).splitlines()]
    if trial.decisions:
        lines += ["", f"decisions, by {_judges(trial, space)}"]
        lines += [f"  update {step:>6}  {_decision(decision)}" for step, decision in trial.decisions]
    return lines


def _judges(trial: TrialState, space: Space) -> str:
    """Who decided whether a trial goes on, and how often another stood in for it."""
    lawless = sum(decision.reason.startswith(LAWLESS) for _, decision in trial.decisions)
    pauses = " and the controller law" if space.controller.name == "law" and space.pruner.name != "law" else ""
    instead = f" ({LAWLESS} at {lawless} of {len(trial.decisions)})" if lawless else ""
    return f"the pruner {space.pruner.name}{pauses}{instead}"


def role_text(role: Role) -> str:
    """A role for people, e.g. ``annealed probe``."""
    return role.replace("_", " ")


def _meant(trial: TrialState, turn: Turn) -> str:
    """What a turn of a trial was for."""
    meanings: Mapping[Role, str] = {
        "default": "the space's default schedule",
        "pilot": f"a pilot run of {turn.until} updates",
        "design": f"a beginning that shows its peak LR, to update {turn.until}",
        "reference": "a reference run for the law",
        "search": "proposed by the search" if turn.start == 0 else f"gone on with at update {turn.start}",
        "probe": f"a probe to update {turn.until}",
        "annealed_probe": f"the decay of a probe, to update {turn.until}",
        "commit": f"the winner of a stage, to update {turn.until}",
        "confirm": f"confirms trial {trial.of} on seed {trial.seed}",
    }
    return meanings[turn.role]


def named(trial: TrialState) -> str:
    """A trial by its number, and by its role where that is not to be searched, e.g. ``trial 3 (pilot)``."""
    return f"trial {trial.number}" + ("" if trial.role == "search" else f" ({role_text(trial.role)})")


def outcome_line(trial: TrialState) -> str:
    """What became of a trial, in one line."""
    if trial.reason.startswith(f"{trial.status} at update"):
        return f"{named(trial)} {trial.reason}"
    if trial.value is not None:
        return f"{named(trial)} {trial.status}: loss {trial.value:.4f}{_by_name(trial.points[-1].losses)}"
    if trial.status == "reached":
        loss = f": loss {trial.points[-1].loss:.4f}" if trial.points else ""
        return f"{named(trial)} reached update {trial.step}{loss}"
    return f"{named(trial)} {trial.status} at update {trial.step}" + (f": {trial.reason}" if trial.reason else "")


def _by_name(losses: Mapping[str, float]) -> str:
    """Several validation losses, to follow what is made of them."""
    return f" ({', '.join(f'{name} {loss:.4f}' for name, loss in losses.items())})" if losses else ""


def describe(schedule: Mapping[str, Any]) -> str:
    """A schedule of a summary in one line, e.g. ``wsd(peak_lr=0.01, warmup_steps=30)``."""
    beside = schedule.get("hyperparameters", {})
    text = f"{schedule['family']}({parameters_text(schedule['params'])})"
    if DOUBLE_BATCH_AT in beside:
        text += f" in {serial_updates(schedule['steps'], beside[DOUBLE_BATCH_AT])} updates of the weights"
    return f"{text} with {parameters_text(beside)}" if beside else text


def parameters_text(values: Mapping[str, Any]) -> str:
    """Parameters in one line, e.g. ``peak_lr=0.01, warmup_steps=30``."""
    return ", ".join(f"{name}={_parameter(value)}" for name, value in values.items())


def _list_text(values: Sequence[Any]) -> str:
    """All values of a parameter that is a list, as the LRs of stages; of a very long one its ends."""
    shown = ", ".join(map(_parameter, values[:MOST_LISTED]))
    return shown if len(values) <= MOST_LISTED else f"{shown}, …, {_parameter(values[-1])}; {len(values)} values"


def _parameter(value: Any) -> str:
    """A parameter's value; of a long list its ends and its length."""
    if not isinstance(value, list | tuple):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    if len(value) <= MOST_VALUES:
        return f"[{', '.join(map(_parameter, value))}]"
    return f"[{_parameter(value[0])}, …, {_parameter(value[-1])}; {len(value)} values]"


def gain_text(confirmation: Mapping[str, Any]) -> str | None:
    """The gain over the default on fresh seeds with its interval; None when it was not measured."""
    if confirmation["gain"] is None:
        return None
    seeds = len(confirmation["seeds"])
    text = f"{confirmation['gain']:+.4f} nats on {plural(seeds, 'fresh seed')}"
    if confirmation["gain_low"] is None:
        return text
    certain = "" if confirmation["gain_low"] > 0 else "; it may be chance"
    return f"{text} (90% interval {confirmation['gain_low']:+.4f} to {confirmation['gain_high']:+.4f}{certain})"


def seconds_text(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> seconds_text(4.25), seconds_text(75), seconds_text(7260)
        ('4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def clock_text(seconds: float) -> str:
    """A duration to compare with others below it.

    Example:
        >>> clock_text(75.4)
        '0:01:15'
    """
    return str(timedelta(seconds=round(seconds)))


def forecast_text(forecast: Forecast) -> str:
    """A forecast with its 90% interval."""
    return f"{forecast.mean:.4f} ({forecast.low:.4f} to {forecast.high:.4f})"


def _headline(summary: Mapping[str, Any]) -> list[str]:
    reason = f": {summary['reason']}" if summary["reason"] else ""
    return [f"study       {summary['study']}, {summary['state']}{reason}"]


def _best_lines(summary: Mapping[str, Any]) -> list[str]:
    best, default, confirmed = summary["best"], summary["default"], summary["confirmation"]
    if best is None:
        return ["best        none: no trial reached the horizon"]
    lines = [
        f"best        trial {best['trial']}: {describe(best['schedule'])}",
        f"loss        {_loss(best['value'])} after {best['schedule']['steps']} updates",
    ]
    predicted = best["predicted"]
    if predicted is not None:
        interval = f"{predicted['low']:.4f} to {predicted['high']:.4f}"
        lines.append(f"predicted   {predicted['mean']:.4f} ({interval}) at update {predicted['step']}")
    if default is not None and default["trial"] == best["trial"]:
        lines.append("default     nothing the search tried is better than the default")
    elif default is not None:
        lines.append(f"default     {_loss(default['value'])}: {describe(default['schedule'])}")
    gain = None if confirmed is None else gain_text(confirmed)
    if gain is not None and default is not None and default["trial"] != best["trial"]:
        lines.append(f"gain        {gain} over the default")
    return lines


def _lr_lines(summary: Mapping[str, Any]) -> list[str]:
    """What the range test found, the LRs of stages, and how much the LR matters where that could be told."""
    told = [f"sensitivity {sensitivity_text(one)}" for one in summary["lr_sensitivity"] if one["value"] is not None]
    found = summary["range_test"]
    told = [*map(stage_text, summary["stages"]), *told]
    told += [f"importance  {importance_text(summary['importance'])}"] if summary["importance"] else []
    return told if found is None else [f"range test  {range_test_text(found)}", *told]


def stage_text(stage: Mapping[str, Any]) -> str:
    """A committed stage in a line.

    Example:
        >>> stage_text({"stage": 0, "step": 1000, "lr": 0.0123, "trial": 4})
        'stage 0     LR 0.0123 to update 1000, tried by trial 4'
    """
    name = f"stage {stage['stage']}"
    return f"{name:<12}LR {stage['lr']:.4g} to update {stage['step']}, tried by trial {stage['trial']}"


def _cost_lines(summary: Mapping[str, Any]) -> list[str]:
    steps, trials = summary["steps"], summary["trials"]
    horizon = steps["horizon"]
    parts = [f"{steps['trained'] / horizon:.1f} full runs trained"]
    names = {
        "retrained": "of them again",
        "range_test": "of them for the range test",
        "reused": "reused",
        "saved_by_pruning": "saved by pruning",
        "saved_by_divergence": "saved by divergence",
        "not_trained": "left open (paused, failed or stopped)",
    }
    parts += [f"{steps[key] / horizon:.1f} {name}" for key, name in names.items() if steps[key]]
    lines = [f"cost        {', '.join(parts)}; {plural(trials['proposed'], 'trial')} asked for"]
    if summary["holdouts"]:
        kept = f"{plural(summary['holdouts'], 'condemned trial')} kept as holdouts"
        lines.append(f"holdouts    {plural(summary['false_kills'], 'false kill')} among {kept}")
    time = f"time        {seconds_text(summary['seconds'])}"
    if summary["utilisation"] is not None:
        time += f", workers {100 * summary['utilisation']:.0f}% busy"
    if summary["overhead_ms_per_segment"] is not None:
        time += f", overhead {summary['overhead_ms_per_segment']:.1f} ms per segment"
    return [*lines, time]


def _place_lines(summary: Mapping[str, Any]) -> list[str]:
    tracking, artifacts = summary["tracking"], summary["artifacts"]
    lines = [f"trials      {_counts(summary['trials'])}"]
    if tracking["run_id"] is not None:
        lines.append(f"mlflow      run {tracking['run_id']} of {tracking['experiment']} in {tracking['uri']}")
    lines += [f"{name:<12}{artifacts[name]}" for name in ("schedule", "report", "law", "target") if artifacts[name]]
    return lines + [f"note        {note}" for note in summary["notes"]]


def _counts(trials: Mapping[str, int]) -> str:
    kinds = ("complete", "reached", "pruned", "paused", "diverged", "failed", "stopped", "running")
    confirm = f" ({trials['confirm']} of them on fresh seeds)" if trials["confirm"] else ""
    return f"{trials['proposed']} proposed{confirm}" + "".join(f", {trials[k]} {k}" for k in kinds if trials[k])


def plural(count: int, noun: str) -> str:
    """A count of things, e.g. ``2 trials``."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def running_line(state: StudyState, trial: TrialState) -> str:
    """How far a running trial is, and what is expected of it now, in one line."""
    loss = f", loss {trial.points[-1].loss:.4f}" if trial.points else ""
    expected = state.forecasts.get(trial.number)
    forecast = "" if expected is None else f", forecast {forecast_text(expected)}"
    return f"{named(trial)} at update {trial.step} of {trial.until}{loss}{forecast}"


def _decision(decision: Decision) -> str:
    holdout = " [holdout: condemned, kept to check the pruner]" if decision.holdout else ""
    forecast = "" if decision.forecast is None else f" [forecast {forecast_text(decision.forecast)}]"
    return f"{decision.action}: {decision.reason}{forecast}{holdout}"


def _loss(value: float | None) -> str:
    return "no loss" if value is None else f"{value:.4f}"
