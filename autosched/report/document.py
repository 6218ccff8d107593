"""The one document that a study's page is drawn from, live and frozen alike.

    key       what                                                                    changes
    head      what is said of the whole study: summary, limits, parameters, the law   with every event
    trials    one record per trial: its schedule, its curve, its cost                 when the trial is told of more
    moments   the events, see :mod:`autosched.report.moments`: stretches of columns   is only ever added to

A live page is sent the whole once and then, of each key, what is new (:mod:`autosched.report.document_text`). Curves
are thinned so that a study of thousands of trials stays a small document.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState, TrialState
from autosched.ledger.sweeps import read_sweep
from autosched.report.calibration import shares_held, told_ends
from autosched.report.confirmation import closeness
from autosched.report.cost import TrialCost, trial_costs
from autosched.report.curves import evenly, thinned
from autosched.report.holdouts import holdouts
from autosched.report.moments import Story, columns
from autosched.report.plain import finite, json_safe, rounded
from autosched.schedules.schedule import FloatArray
from autosched.space.json_form import space_yaml
from autosched.space.records import Choice, Fixed, Range, SearchParameter, Space

DRAWN, FEWEST, MOST = 60_000, 12, 300
"""Points of all curves together, and of one. Judgement: what a screen shows, and a file of at most 5 MB holds."""
LOSS_DIGITS, LR_DIGITS = 6, 4
PROBABILITIES = np.linspace(0.05, 0.95, 19)

USUAL_OPTIMIZERS = {"gpt": "adamw", "vision": "adamw"}
"""Of trainers that come with autosched, where a space names none."""

Record = dict[str, Any]


def whole_document(story: Story, space: Space, summary: Mapping[str, Any]) -> Record:
    """Everything that a page shows of a study."""
    state = story.state
    return {
        "events": state.events,
        "head": head(state, space, summary),
        "trials": trial_records(state, range(len(state.trials))),
        "moments": [columns(story.moments)],
    }


def head(state: StudyState, space: Space, summary: Mapping[str, Any]) -> Record:
    """What is said of the study as a whole."""
    close = closeness(state)
    found: Record = json_safe(
        {
            "study": state.name,
            "horizon": space.horizon_steps,
            "workers": state.workers,
            "backend": state.backend,
            "controller": space.controller.name,
            "pruner": space.pruner.name,
            "optimizer": _optimizer(space),
            "budget": {name: limit for name, limit in dataclasses.asdict(space.budget).items() if limit is not None},
            "parameters": list(parameters(space)),
            "law": _law(space),
            "reliability": _reliability(state, space),
            "range": _range(state, space),
            "holdouts": [_holdout(one) for one in holdouts(state)],
            "failures": [
                {"kind": failure.kind.replace("_", " "), "worker": failure.worker, "reason": failure.reason}
                for failures in state.failures.values()
                for failure in failures
            ],
            "versions": dict(state.versions),
            "fingerprints": dict(state.fingerprints or {}),
            "space": space_yaml(space),
            "close": None if close is None else dataclasses.asdict(close),
            "summary": summary,
        }
    )
    return found


def parameters(space: Space) -> Iterable[Record]:
    """What is searched, one record per parameter of each family."""
    for family in space.schedule:
        for name, parameter in family.parameters.items():
            if not isinstance(parameter.domain, Fixed):
                yield {"family": family.family, "name": name, **_domain(parameter)}


def _domain(parameter: SearchParameter) -> Record:
    domain = parameter.domain
    if isinstance(domain, Range):
        return {"low": domain.low, "high": domain.high, "log": domain.log}
    return {"values": [_shown(value) for value in domain.values]} if isinstance(domain, Choice) else {}


def _shown(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, float):
        return rounded(value, LOSS_DIGITS)
    return value if isinstance(value, int | str | bool) else str(value)


def trial_records(state: StudyState, numbers: Iterable[int]) -> list[Record]:
    """The records of some trials, in order of number; what their moments tell is not in them."""
    most = most_drawn(len(state.trials))
    costs = trial_costs(state)
    return [_trial(state.trials[number], costs[number], most) for number in sorted(numbers)]


def most_drawn(trials: int) -> int:
    """Points of a curve, where there are so many trials: halved as these double, so that it seldom changes."""
    halved = next(MOST >> by for by in range(MOST) if (MOST >> by) * trials <= DRAWN or MOST >> by <= FEWEST)
    return max(halved, FEWEST)


def _trial(trial: TrialState, cost: TrialCost, most: int) -> Record:
    points = [trial.points[place] for place in evenly(len(trial.points), most).tolist()]
    merged = [point for point in trial.points if point.merged]
    names = points[0].losses if points else ()
    steps, lrs = thinned(trial.schedule, most)
    record = {
        "trial": trial.number,
        "family": trial.family,
        "params": {name: _shown(value) for name, value in trial.schedule_params.items()},
        "beside": {name: _shown(value) for name, value in trial.schedule.hyperparameters.items()},
        "seed": trial.seed,
        "of": trial.of,
        "steps": [point.step for point in points],
        "losses": [finite(point.loss, LOSS_DIGITS) for point in points],
        "merged": [[point.step, finite(min(point.merged.values()), LOSS_DIGITS)] for point in merged],
        "named": {name: [finite(point.losses[name], LOSS_DIGITS) for point in points] for name in names},
        "lr": [steps.astype(int).tolist(), _digits(lrs, LR_DIGITS)],
        "cost": [cost.trained, cost.reused, cost.rest],
    }
    return {name: value for name, value in record.items() if value not in (None, {}, [])}


def _digits(values: FloatArray, digits: int) -> list[float]:
    return [rounded(float(value), digits) for value in values]


def _optimizer(space: Space) -> str | None:
    """The optimizer that the space's trainer trains with; None where nothing says which."""
    named = space.trainer.options.get("optimizer", USUAL_OPTIMIZERS.get(space.trainer.use))
    if isinstance(named, Mapping):
        named = named.get("use")
    return named if isinstance(named, str) else None


def _law(space: Space) -> Record:
    """What the law is in this study, and how reasons begin where none described the curves."""
    return {
        "used": [what for what in ("controller", "pruner") if getattr(space, what).name == "law"],
        "lawless": LAWLESS,
    }


def _reliability(state: StudyState, space: Space) -> Record:
    """Share of the ends inside the central interval of each probability, by stage."""
    told = told_ends(state, space)
    groups = {stage: [one for one in told if one.stage == stage] for stage in dict.fromkeys(one.stage for one in told)}
    shares = {stage: _digits(shares_held(group, PROBABILITIES), 3) for stage, group in groups.items()}
    return {"probabilities": _digits(PROBABILITIES, 3), "shares": shares} if shares else {}


def _range(state: StudyState, space: Space) -> Record | None:
    """The sweep of the study's range test."""
    seen = None if state.range_test is None else state.observations.get(state.range_test.segment)
    if seen is None:
        return None
    found = read_sweep(space.range_test, seen)
    keep = evenly(found.lrs.size, MOST)
    return {"lrs": _digits(found.lrs[keep], LR_DIGITS), "losses": _digits(found.losses[keep], LOSS_DIGITS)}


def _holdout(found: Any) -> Record:
    names = ("trial", "step", "incumbent", "value", "false_kill")
    return {name: getattr(found, name) for name in names}
