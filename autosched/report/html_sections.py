"""The parts of the report's page; each returns None when it has nothing to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autosched.ledger.state import StudyState, TrialState
from autosched.report.confirmation import winner
from autosched.report.curves import DRAWN_TRIALS
from autosched.report.holdouts import holdouts
from autosched.report.markup import Html, join, picture, section, table, tag
from autosched.report.text import describe, forecast_text, gain_text, role_text, seconds_text
from autosched.space.records import Space

USAGE = """\
import json
import torch

with open("schedule.json") as file:
    lrs = json.load(file)["lrs"]  # the LR of every update

optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)  # the schedule holds absolute LRs
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lrs[min(step, len(lrs) - 1)])
# after every optimizer.step(): scheduler.step()
"""
USAGE_BESIDE = """
with open("schedule.json") as file:
    beside = json.load(file)["hyperparameters"]  # what it was tuned with: give the model and the optimizer these
"""
COST_TERMS = {
    "trained": "computed by workers",
    "retrained": "of these, computed again because a checkpoint was lost",
    "range_test": "of these, for the range test that the study began with",
    "reused": "taken from a shared prefix: of another trial, or of an earlier study",
    "saved_by_pruning": "left when a trial was pruned or paused",
    "saved_by_divergence": "left when a trial diverged",
    "not_trained": "left by trials that failed, were stopped, or are still open",
    "full_cost": "all trials, each trained from update 0 as far as it was meant to go",
}


def headline(summary: Mapping[str, Any]) -> Html:
    """The study's name and what a reader wants first: the winner, the gain, the cost, the time."""
    state = summary["state"] + (f": {summary['reason']}" if summary["reason"] else "")
    cards = [_winner_card(summary), _gain_card(summary), _cost_card(summary), _time_card(summary)]
    title = tag("h1", summary["study"])
    best = summary["best"]
    schedule = None if best is None else tag("p", tag("code", describe(best["schedule"]), class_="winner"))
    lead = tag("p", f"Learning-rate schedule search, {state}.", class_="lead")
    notes = (tag("p", f"Note: {note}") for note in summary["notes"])
    return join([title, lead, schedule, tag("div", join(cards), class_="cards"), *notes])


def usage_section(summary: Mapping[str, Any]) -> Html | None:
    """How to train with the winner."""
    best = summary["best"]
    if best is None:
        return None
    schedule = best["schedule"]
    rows = [(name, str(value)) for name, value in schedule["params"].items()]
    beside = schedule.get("hyperparameters", {})
    rows += [(f"{name} (of the trainer)", str(value)) for name, value in beside.items()]
    rows += [("updates", str(schedule["steps"])), ("fingerprint", schedule["fingerprint"][:16])]
    export = f"autosched export {summary['study']} --to torch"
    return section(
        "use",
        "Use the winner",
        table((schedule["family"], ""), rows),
        tag("p", "The LR of every update is in ", tag("code", "schedule.json"), ". With PyTorch:"),
        tag("pre", tag("code", USAGE + (USAGE_BESIDE if beside else ""))),
        tag("p", "Or let ", tag("code", export), " write a module that needs nothing but torch."),
    )


def search_section(figures: Mapping[str, bytes]) -> Html | None:
    """What was tried, and how it went."""
    captions = {
        "winner_and_default": "The winner and the default: LR above, validation loss below. Thin lines repeat both on "
        "fresh seeds.",
        "lr_curves": "Every schedule that was tried. Colour is the final loss; grey ones were not finished. "
        f"At most {DRAWN_TRIALS} trials are drawn.",
        "loss_curves": "Validation loss of the same trials. A schedule that keeps its LR high looks bad until its "
        "cooldown, which is why losses at the same update do not rank schedules. Dotted, where the trainer offers it: "
        "the loss of the mean of the last weights, near what a short cooldown would give there.",
        "named_losses": "Each of the trainer's validation losses. Schedules are judged by the space's objective, "
        "which is made of them.",
        "parameters": "Final loss against each searched parameter; dotted lines are the bounds of the search. A winner "
        "at a bound asks for a wider search. Triangles stand at forecasts; those on the upper edge lie above it.",
    }
    return _figures_section("search", "The search", figures, captions)


def forecast_section(figures: Mapping[str, bytes]) -> Html | None:
    """How good the forecasts were that decided."""
    captions = {
        "forecasts": "Forecasts of the final loss, made while trials ran, for trials that were completed. Bars are 90% "
        "intervals: about nine in ten should reach the line.",
        "reliability": "How many of these ends lay inside central intervals of each probability. Under the diagonal "
        "intervals were too narrow, above it too wide; forecasts of one run hang together, so a few runs say little.",
    }
    return _figures_section("forecasts", "Forecast against seen", figures, captions)


def pruned_section(state: StudyState, space: Space) -> Html | None:
    """Which trials were stopped by the pruner, and why."""
    pruned = [trial for trial in state.trials if trial.status in {"pruned", "paused"}]
    if not pruned:
        return None
    fixed = _fixed(state)
    heads = ("trial", "schedule", "stopped at", "forecast (90%)", "why")
    rows = [
        (
            str(trial.number),
            _schedule(trial, fixed),
            f"{trial.step} ({100 * trial.step / space.horizon_steps:.0f}%)",
            "" if trial.forecast is None else forecast_text(trial.forecast),
            trial.reason,
        )
        for trial in pruned
    ]
    return section("pruned", "Pruned trials and why", table(heads, rows, numbers=frozenset({0, 2, 3})))


def holdout_section(state: StudyState) -> Html | None:
    """Condemned trials that were kept, and whether stopping them would have been wrong."""
    found = holdouts(state)
    if not found:
        return None
    fixed = _fixed(state)
    verdicts = {None: "still open", True: "false kill", False: "right to stop"}
    rows = [
        (
            str(holdout.trial),
            _schedule(state.trials[holdout.trial], fixed),
            str(holdout.step),
            "none yet" if holdout.incumbent is None else f"{holdout.incumbent:.4f}",
            state.trials[holdout.trial].status if holdout.value is None else f"{holdout.value:.4f}",
            verdicts[holdout.false_kill],
        )
        for holdout in found
    ]
    wrong = sum(holdout.false_kill is True for holdout in found)
    text = (
        f"The pruner wanted to stop these trials, and {len(found)} of those it condemned went on to check it. "
        f"{wrong} ended below the best loss that was known when they were condemned: false kills."
    )
    heads = ("trial", "schedule", "condemned at", "best then", "ended with", "verdict")
    return section("holdouts", "Holdouts", tag("p", text), table(heads, rows, numbers=frozenset({0, 2, 3, 4})))


def failure_section(state: StudyState) -> Html | None:
    """Runs that diverged, and work that failed on a worker."""
    lost = [(trial, trial.divergence) for trial in state.trials if trial.divergence is not None]
    diverged = [
        (str(t.number), str(d.step), f"{d.loss:.4g}", f"{t.params.get('peak_lr', '')}", d.reason) for t, d in lost
    ]
    failed = [(f.kind.replace("_", " "), f.worker, f.reason) for fs in state.failures.values() for f in fs]
    if not diverged and not failed:
        return None
    heads = ("trial", "at update", "loss", "peak LR", "why")
    return section(
        "failures",
        "Divergences and failures",
        table(heads, diverged, numbers=frozenset({0, 1, 2, 3})) if diverged else None,
        tag("h3", "Failures on workers") if failed else None,
        table(("kind", "worker", "reason"), failed) if failed else None,
    )


def cost_section(summary: Mapping[str, Any], figures: Mapping[str, bytes]) -> Html:
    """The cost ledger in updates and full runs."""
    steps = summary["steps"]
    rows = [
        (name.replace("_", " "), f"{steps[name]:,}", f"{steps[name] / steps['horizon']:.2f}", meaning)
        for name, meaning in COST_TERMS.items()
    ]
    caption = "Every trial's horizon, cut into what happened to it; the star is the winner."
    return section(
        "cost",
        "Cost",
        picture(figures["costs"], alt="bars of cost by trial", caption=caption) if "costs" in figures else None,
        table(("part", "updates", "full runs", "meaning"), rows, numbers=frozenset({1, 2})),
        tag(
            "p",
            "full cost = trained − retrained − range test + reused + saved by pruning + saved by divergence "
            f"+ not trained. A full run has {steps['horizon']:,} updates.",
        ),
    )


def trials_section(state: StudyState) -> Html | None:
    """All trials in order."""
    if not state.trials:
        return None
    best, fixed = winner(state), _fixed(state)
    heads = ("trial", "role", "schedule", "status", "updates", "shared", "loss", "last forecast (90%)")
    rows = [
        (
            tag("span", f"★ {trial.number}", class_="winner") if trial is best else str(trial.number),
            role_text(trial.role) if trial.of is None else f"confirms {trial.of}",
            _schedule(trial, fixed),
            trial.status,
            str(trial.step),
            str(trial.steps_shared) if trial.steps_shared else "",
            "" if trial.value is None else f"{trial.value:.4f}",
            "" if trial.last_forecast is None else forecast_text(trial.last_forecast),
        )
        for trial in state.trials
    ]
    common = [describe({"family": family, "params": params}) for family, params in sorted(fixed.items()) if params]
    note = None if not common else tag("p", "In all trials: ", tag("code", "; ".join(common)))
    return section("trials", "All trials", note, table(heads, rows, numbers=frozenset({0, 4, 5, 6, 7})))


def reproduction_section(state: StudyState, summary: Mapping[str, Any], space_document: str) -> Html:
    """What it takes to get the same numbers again."""
    tracking = summary["tracking"]
    facts = [("backend", f"{state.backend or 'none yet'}, workers: {state.workers}"), *state.versions.items()]
    facts += [(f"SHA-256 of {name}", fingerprint) for name, fingerprint in (state.fingerprints or {}).items()]
    if tracking["run_id"] is not None:
        facts.append(("MLflow", f"run {tracking['run_id']}, experiment {tracking['experiment']}, {tracking['uri']}"))
    return section(
        "again",
        "Reproduce",
        tag("p", "The space below lies beside this file, with all defaults filled in:"),
        tag("pre", tag("code", "autosched tune --space space.yaml")),
        table(("what", ""), facts),
        tag("details", tag("summary", "space.yaml"), tag("pre", tag("code", space_document))),
        tag("details", tag("summary", "summary as JSON"), tag("pre", tag("code", json.dumps(summary, indent=2)))),
    )


def _schedule(trial: TrialState, fixed: Mapping[str, Mapping[str, Any]]) -> Html:
    """A trial's schedule by what tells it from the others."""
    params = {name: value for name, value in trial.params.items() if name not in fixed.get(trial.family, {})}
    return tag("code", describe({"family": trial.family, "params": params}))


def _fixed(state: StudyState) -> dict[str, dict[str, Any]]:
    """Per family the parameters that all its trials have with one value; nothing for a family of one schedule."""
    fixed: dict[str, dict[str, Any]] = {}
    for family in {trial.family for trial in state.trials}:
        tried = [trial.params for trial in state.trials if trial.family == family]
        same = {name: v for name, v in tried[0].items() if all(name in p and p[name] == v for p in tried)}
        fixed[family] = same if len(same) < len(tried[0]) else {}
    return fixed


def _figures_section(
    identity: str, title: str, figures: Mapping[str, bytes], captions: Mapping[str, str]
) -> Html | None:
    there = [
        picture(figures[name], alt=name.replace("_", " "), caption=caption)
        for name, caption in captions.items()
        if name in figures
    ]
    return section(identity, title, *there) if there else None


def _card(label: str, value: str, note: str, *, first: bool = False) -> Html:
    return tag(
        "div",
        tag("div", label, class_="label"),
        tag("div", value, class_="value"),
        tag("div", note, class_="note"),
        class_="card first" if first else "card",
    )


def _winner_card(summary: Mapping[str, Any]) -> Html:
    best = summary["best"]
    if best is None:
        return _card("Winner", "none", "no trial reached the horizon", first=True)
    predicted = best["predicted"]
    note = f"trial {best['trial']}, {best['schedule']['steps']} updates"
    if predicted is not None:
        note += f"; predicted {predicted['mean']:.4f} ({predicted['low']:.4f} to {predicted['high']:.4f})"
        note += f" at update {predicted['step']}"
    value = "no loss" if best["value"] is None else f"{best['value']:.4f}"
    return _card("Winner's loss (nats)", value, note, first=True)


def _gain_card(summary: Mapping[str, Any]) -> Html:
    best, default, confirmed = summary["best"], summary["default"], summary["confirmation"]
    if best is None or default is None or default["value"] is None or best["value"] is None:
        return _card("Gain over the default", "unknown", "the space has no default, or it was not completed")
    if default["trial"] == best["trial"]:
        return _card("Gain over the default", "none", "nothing the search tried is better than the default")
    gain = None if confirmed is None else gain_text(confirmed)
    if gain is None:
        note = f"on the search's own seed, default {default['value']:.4f}; not confirmed on fresh seeds"
        return _card("Gain over the default (nats)", f"{default['value'] - best['value']:+.4f}", note)
    return _card("Gain over the default (nats)", f"{confirmed['gain']:+.4f}", gain.split(" nats ", 1)[1])


def _cost_card(summary: Mapping[str, Any]) -> Html:
    steps, trials = summary["steps"], summary["trials"]
    horizon = steps["horizon"]
    saved = (steps["saved_by_pruning"] + steps["saved_by_divergence"]) / horizon
    note = f"for {trials['proposed']} trials; {steps['reused'] / horizon:.1f} reused, {saved:.1f} saved"
    return _card("Cost (full runs trained)", f"{steps['trained'] / horizon:.1f}", note)


def _time_card(summary: Mapping[str, Any]) -> Html:
    busy = summary["utilisation"]
    note = "" if busy is None else f"workers {100 * busy:.0f}% busy; "
    note += f"false kills: {summary['false_kills']} of {summary['holdouts']} holdouts"
    return _card("Time", seconds_text(summary["seconds"]), note)
