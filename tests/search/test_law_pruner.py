"""The law pruner on studies whose trials obey a known law, and on whole groups of runs."""

import numpy as np
import pytest
from known_law import LAW

from autosched.curves.curve import Curve
from autosched.errors import SpaceError
from autosched.ledger.records import Point
from autosched.ledger.state import StudyState, TrialState, Turn
from autosched.randomness import generator, uniform
from autosched.schedules.registry import build
from autosched.search.law_pruner import LawPruner
from autosched.space.records import Space
from autosched.space.trainer_spec import TrainerSpec

HORIZON, EVERY = 600, 20
SPACE = Space(
    study="pruned",
    seed=0,
    trainer=TrainerSpec(use="simulated"),
    horizon_steps=HORIZON,
    eval_every=EVERY,
    checkpoint_every=40,
    schedule=(),
)
SCATTER = 0.004


def params(peak_lr, cooldown):
    return {"peak_lr": peak_lr, "warmup_steps": 30, "cooldown_fraction": cooldown, "final_lr_ratio": 0.0}


def losses(number, peak_lr, cooldown):
    steps = np.arange(EVERY, HORIZON + 1, EVERY, dtype=np.float64)
    mean = LAW.predict_at(build("wsd", params(peak_lr, cooldown), steps=HORIZON), steps)
    return steps, mean * np.exp(SCATTER * generator(number, "scatter").standard_normal(steps.size))


def add(state, peak_lr, cooldown, *, until=HORIZON, role="search"):
    """Append a trial that was trained so far."""
    number = len(state.trials)
    steps, seen = losses(number, peak_lr, cooldown)
    points = [Point(step=int(s), loss=float(x)) for s, x in zip(steps, seen, strict=True) if s <= until]
    trial = TrialState(
        number=number,
        family="wsd",
        schedule_params=params(peak_lr, cooldown),
        seed=0,
        fingerprint="",
        horizon=HORIZON,
        turns=[Turn(role=role, until=HORIZON, start=0)],
        due=0,
    )
    trial.points, trial.step = points, until
    state.trials.append(trial)
    if until == HORIZON:
        trial.status, trial.value = "complete", points[-1].loss
        best = state.best_trial()
        if best is None or best.value is None or trial.value < best.value:
            state.best = number
    return number


def study(*complete):
    state = StudyState("pruned")
    for peak_lr, cooldown in complete:
        add(state, peak_lr, cooldown)
    return state


def seasoned():
    return study((0.01, 0.2), (0.03, 0.4), (0.003, 0.6), (0.02, 0.1), (0.05, 0.3), (0.006, 0.4))


def pruner(**options):
    return LawPruner(SPACE, {"holdout_share": 0.0, **options})


def test_a_hopeless_trial_is_stopped_with_the_numbers():
    state = seasoned()
    decision = pruner().judge(state, add(state, 0.1, 0.1, until=200))
    assert decision.action == "stop"
    assert decision.forecast is not None
    assert decision.forecast.step == 200
    assert decision.forecast.low > state.best_trial().value
    assert f"cannot beat {state.best_trial().value:.4f}" in decision.reason


def test_a_schedule_that_looks_bad_because_it_decays_late_is_kept():
    state = seasoned()
    early, late = add(state, 0.007, 1.0), add(state, 0.007, 0.35, until=380)
    by_step = {point.step: point.loss for point in state.trials[early].points}
    final = losses(late, 0.007, 0.35)[1][-1]
    assert state.trials[late].points[-1].loss > by_step[380] + 0.015  # at equal step it is worse
    assert final < by_step[HORIZON]  # at the horizon it is better
    decision = pruner().judge(state, late)
    assert decision.action == "keep"
    assert decision.forecast is not None
    assert decision.forecast.low < final < decision.forecast.high


@pytest.mark.parametrize(
    ("until", "text"),
    [(40, "update 40 is before 150, where forecasts begin"), (160, "only 3 of 4 complete trials to learn from")],
)
def test_a_trial_is_kept_while_little_is_known(until, text):
    state = study((0.01, 0.2), (0.03, 0.4), (0.003, 0.6))
    decision = pruner(min_complete=4).judge(state, add(state, 0.1, 0.1, until=until))
    assert (decision.action, decision.reason, decision.forecast) == ("keep", text, None)


def test_the_first_trial_has_nothing_to_be_compared_with():
    state = study()
    decision = pruner().judge(state, add(state, 0.1, 0.1, until=400))
    assert (decision.action, decision.reason) == ("keep", "no complete trial to compare with")


def test_a_law_that_misses_the_curves_stops_nobody():
    state = seasoned()
    decision = pruner(worst_fit=0.0001).judge(state, add(state, 0.1, 0.1, until=400))
    assert decision.action == "keep"
    assert "law misses the curves by" in decision.reason


def test_a_share_of_condemned_trials_is_kept_as_an_holdout():
    outcomes = {}
    state = seasoned()
    for _ in range(12):
        number = add(state, 0.1, 0.1, until=400)
        outcomes[number] = pruner(holdout_share=0.5).judge(state, number)
        state.trials[number].status = "pruned"
    for number, decision in outcomes.items():
        held_out = uniform(SPACE.seed, number, "holdout") < 0.5
        assert (decision.action == "keep", decision.holdout) == (held_out, held_out)
        assert decision.forecast is not None
    assert {decision.action for decision in outcomes.values()} == {"keep", "stop"}


def test_a_decision_depends_on_the_state_alone():
    state, old = seasoned(), pruner()
    number = add(state, 0.04, 0.5, until=160)
    for until in (200, 240, 280):
        old.judge(state, number)
        steps, seen = losses(number, 0.04, 0.5)
        state.trials[number].points = [
            Point(step=int(s), loss=float(x)) for s, x in zip(steps, seen, strict=True) if s <= until
        ]
        state.trials[number].step = until
    assert old.judge(state, number) == pruner().judge(state, number)


def test_confirmation_runs_with_other_seeds_do_not_teach():
    state = seasoned()
    number = add(state, 0.04, 0.5, until=240)
    before = pruner().judge(state, number)
    add(state, 0.04, 0.5, role="confirm")
    state.trials[-1].points = [Point(step=p.step, loss=3 * p.loss) for p in state.trials[-1].points]
    assert pruner().judge(state, number) == before


def test_points_that_are_not_finite_are_left_out():
    state = seasoned()
    number = add(state, 0.04, 0.5, until=240)
    state.trials[number].points[-1] = Point(step=240, loss=float("nan"))
    assert pruner().judge(state, number).forecast is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"holdout": 0.1}, "pruner law has no option 'holdout'; it has holdout_share"),
        ({"holdout_share": 2}, r"holdout_share must be in \[0, 1\], but got 2"),
        ({"min_complete": 0}, "min_complete must be a whole number >= 1, but got 0"),
        ({"interval": "wide"}, "interval must be a number, but got 'wide'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, text):
    with pytest.raises(SpaceError, match=text):
        LawPruner(SPACE, options)


def replayed(curves, judge, horizon, every):
    """Train the curves one after another as a study; returns names of stopped ones and the share of steps saved."""
    state, stopped, saved = StudyState("replay"), [], 0
    for number, curve in enumerate(curves):
        trial = TrialState(
            number=number,
            family="table",
            schedule_params={"lrs": curve.schedule.lrs.tolist()},
            seed=0,
            fingerprint="",
            horizon=horizon,
            turns=[Turn(role="search", until=horizon, start=0)],
            due=0,
        )
        state.trials.append(trial)
        for until in range(every, horizon + 1, every):
            new = (curve.steps > trial.step) & (curve.steps <= until)
            trial.points.extend(
                Point(step=int(s), loss=float(x)) for s, x in zip(curve.steps[new], curve.losses[new], strict=True)
            )
            trial.step = until
            if until < horizon and judge.judge(state, number).action == "stop":
                trial.status, saved = "pruned", saved + horizon - until
                stopped.append(curve.name)
                break
        else:
            trial.status, trial.value = "complete", float(curve.losses[-1])
            if state.best is None or trial.value < state.best_trial().value:
                state.best = number
    return stopped, saved / (horizon * len(curves))


@pytest.mark.slow
def test_the_best_of_36_runs_is_never_stopped_and_a_quarter_of_the_steps_is_saved(curve_group):
    horizon = 25_000
    curves = []
    for curve in curve_group("llama124m"):
        if curve.schedule.steps == horizon:  # the last logged step, 24,800, stands for the horizon
            ends = np.where(curve.steps == curve.steps[-1], horizon, curve.steps)
            curves.append(Curve(schedule=curve.schedule, steps=ends, losses=curve.losses, name=curve.name))
    assert len(curves) == 36
    best = min(curves, key=lambda curve: curve.losses[-1]).name
    space = Space(
        study="llama",
        seed=0,
        trainer=TrainerSpec(use="simulated"),
        horizon_steps=horizon,
        eval_every=200,
        checkpoint_every=2_500,
        schedule=(),
    )
    shuffled = [curves[i] for i in generator(0, "order").permutation(len(curves))]  # others: benchmarks/plug_in.py
    stopped, saved = replayed(shuffled, LawPruner(space, {"holdout_share": 0.0}), horizon, 2_500)
    assert best not in stopped
    assert saved > 0.25
