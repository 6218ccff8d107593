"""Optuna's pruners decide from the folded study alone, and as Optuna itself would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna
import pytest
from scripted_study import EVERY, HORIZON, NUMERIC, Script, loss_of, space_of

from autosched.errors import SpaceError
from autosched.ledger.records import Decision
from autosched.randomness import generator, uniform
from autosched.search.optuna_options import PRUNER_OPTIONS
from autosched.search.optuna_pruner import NoPruner, OptunaPruner, make_pruner
from autosched.search.select import make_policy
from autosched.space import Component, Space, draw

WSD = {"wsd": {**NUMERIC, "cooldown_shape": "sqrt"}}
CASES = [
    ("median", {}),
    ("median", {"n_startup_trials": 2, "n_min_trials": 2}),
    ("percentile", {"percentile": 60.0, "n_startup_trials": 1}),
    ("asha", {}),
    ("asha", {"min_resource": 40, "reduction_factor": 2}),
    ("hyperband", {}),
    ("threshold", {"upper": 3.0}),
]


def space_with(name: str, options: Mapping[str, Any]) -> Space:
    return space_of(WSD, pruner={"use": name, **options})


def noisy_loss(script: Script, trial: int, step: int) -> float:
    seen = script.state.trials[trial]
    final = loss_of(script.space, seen.family, seen.params)
    return final + (HORIZON - step) / HORIZON + 0.3 * uniform(trial, step, "noise")


def decided(space: Space, trials: int, workers: int = 3) -> tuple[Script, list[tuple[int, int, Decision]]]:
    """A study in which each decision is made by a pruner that saw everything as it came, and by a fresh one."""
    script, live, found = Script(space), OptunaPruner(space, space.pruner), list[tuple[int, int, Decision]]()
    turn = 0
    while len(script.state.trials) < trials or script.state.active:
        if len(script.state.trials) < trials and len(script.state.active) < workers:
            number = len(script.state.trials)
            spec = draw(space, generator(number, "draw"))
            script.propose(spec.family, spec.params, "confirm" if number % 7 == 5 else "search")
        active = sorted(script.state.active)
        number = active[int(generator(turn, "turn").integers(len(active)))]
        turn += 1
        trial = script.state.trials[number]
        script.advance(number, noisy_loss(script, number, trial.step + EVERY))
        if trial.step == HORIZON:
            script.end(number, "complete", trial.points[-1].loss)
        elif number % 11 == 9:
            script.end(number, "diverged")
        elif trial.role == "search":
            decision = live.judge(script.state, number)
            assert OptunaPruner(space, space.pruner).judge(script.state, number) == decision
            script.judge(number, decision)
            found.append((number, trial.step, decision))
            if decision.action == "stop":
                script.end(number, "pruned")
    return script, found


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_resumed_study_decides_as_an_uninterrupted_one(name: str, options: Mapping[str, Any]) -> None:
    """Some pruners note rungs when they are asked, so a fresh one must ask all over again."""
    script, found = decided(space_with(name, options), 30)
    actions = {decision.action for _, _, decision in found}
    assert actions == {"keep", "stop"}
    assert all(trial.status != "pruned" for trial in script.state.trials if trial.role == "confirm")


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_decision_is_the_one_optuna_makes(name: str, options: Mapping[str, Any]) -> None:
    """One trial after another through Optuna's own ask, report, should_prune and tell."""
    space = space_with(name, options)
    script, found = decided(space, 30, workers=1)
    study = optuna.create_study(
        study_name=space.study,
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=make_pruner(space.pruner, space),
    )
    verdicts: list[tuple[int, int, str]] = []
    for seen in script.state.trials:
        if seen.role == "confirm":
            continue
        trial = study.ask()
        for point in seen.points:
            trial.report(point.loss, point.step)
            if point.step < HORIZON and not (seen.status == "diverged" and point is seen.points[-1]):
                verdicts.append((seen.number, point.step, "stop" if trial.should_prune() else "keep"))
        if seen.status == "complete":
            study.tell(trial, seen.value)
        else:
            state = optuna.trial.TrialState.PRUNED if seen.status == "pruned" else optuna.trial.TrialState.FAIL
            study.tell(trial, state=state)
    assert verdicts == [(number, step, decision.action) for number, step, decision in found]


def test_a_decision_says_what_was_seen_and_makes_no_forecast() -> None:
    space = space_with("threshold", {"upper": 3.0})
    script, pruner = Script(space), OptunaPruner(space, space.pruner)
    good, bad = (
        script.propose("wsd", {"peak_lr": lr, "warmup_steps": 2, "cooldown_shape": "sqrt"}) for lr in (0.01, 0.02)
    )
    script.advance(good, 2.5)
    script.advance(bad, 3.5)
    assert pruner.judge(script.state, good) == Decision(
        action="keep", reason="threshold: loss 2.5000 at update 20 is good enough at that update"
    )
    assert pruner.judge(script.state, bad) == Decision(
        action="stop", reason="threshold: loss 3.5000 at update 20 is among the worse at that update"
    )


def test_a_trial_without_an_evaluation_is_kept() -> None:
    space = space_with("threshold", {"upper": 3.0})
    script, pruner = Script(space), OptunaPruner(space, space.pruner)
    number = script.propose("wsd", {"peak_lr": 0.01})
    script.advance(number, 9.0, steps=5, evaluated=False)
    assert pruner.judge(script.state, number) == Decision(action="keep", reason="threshold: nothing evaluated yet")


def test_late_decay_is_thrown_away_at_equal_steps() -> None:
    """Why these pruners are not the default: the trial that would end best is behind until its LR comes down."""
    space = space_with("median", {"n_startup_trials": 3})
    script, pruner = Script(space), OptunaPruner(space, space.pruner)
    for index in range(4):
        script.complete(script.propose("wsd", {"peak_lr": 0.01, "warmup_steps": index}), 2.0 + 0.1 * index)
    late = script.propose("wsd", {"peak_lr": 0.05, "cooldown_fraction": 0.1})
    script.advance(late, 3.0)
    script.advance(late, 2.9)
    assert pruner.judge(script.state, late).action == "stop"


def test_no_pruner_keeps_everything() -> None:
    space = space_of(WSD)
    script, pruner = Script(space), NoPruner()
    number = script.propose("wsd", {"peak_lr": 0.01})
    script.advance(number, 99.0)
    assert pruner.judge(script.state, number) == Decision(action="keep", reason="no pruner")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("median", {"n_startup": 3}, "pruner 'median' has no option 'n_startup'; it has n_startup_trials,"),
        (
            "median",
            {"n_startup_trials": -1},
            "pruner 'median': n_startup_trials must be a whole number >= 0, but got -1.",
        ),
        ("median", {"interval_steps": 0}, "interval_steps must be a whole number >= 1, but got 0."),
        (
            "percentile",
            {"percentile": 101},
            "pruner 'percentile': percentile must be a number in [0, 100], but got 101.",
        ),
        ("percentile", {"percentile": "half"}, "percentile must be a number in [0, 100], but got 'half'."),
        ("asha", {"min_resource": 1.5}, "pruner 'asha': min_resource must be a whole number >= 1, but got 1.5."),
        ("asha", {"reduction_factor": 1}, "pruner 'asha': reduction_factor must be a whole number >= 2, but got 1."),
        ("hyperband", {"max_resource": "auto"}, "max_resource must be a whole number >= 1, but got 'auto'."),
        ("hyperband", {"min_resource": 90, "max_resource": 10}, "min_resource must be at most max_resource (10)"),
        ("hyperband", {"min_resource": 200}, "min_resource must be at most max_resource (100), but got 200."),
        ("threshold", {}, "pruner 'threshold': "),
        ("threshold", {"upper": True}, "pruner 'threshold': upper must be a finite number, but got True."),
        ("threshold", {"lower": 3, "upper": 2}, "pruner 'threshold': "),
    ],
)
def test_a_bad_option_is_one_line_before_anything_is_trained(name: str, options: Mapping[str, Any], says: str) -> None:
    with pytest.raises(SpaceError) as caught:
        make_policy(replace(space_with(name, options), controller=Component(name="random")))
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


def test_every_pruner_of_a_space_file_has_rules_for_its_options() -> None:
    from autosched.space.names import PRUNERS

    assert set(PRUNERS) == {"law", "none", *PRUNER_OPTIONS}
