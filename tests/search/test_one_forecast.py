"""A trial has one forecast, whoever judges it: the same curves through every door give the same bits."""

from __future__ import annotations

import optuna
import pytest
from ray.tune.experiment import Trial
from test_law_pruner import HORIZON, add, losses, params, pruner, seasoned

from autosched.integrations.optuna import LawPruner
from autosched.integrations.ray_tune import LawScheduler
from autosched.ledger.events import Stamped, TrialJudged, decode, encode, kind_of
from autosched.ledger.fold import apply
from autosched.ledger.state import StudyState
from autosched.schedules.registry import build

COMPLETE = ((0.01, 0.2), (0.03, 0.4), (0.003, 0.6), (0.02, 0.1), (0.05, 0.3), (0.006, 0.4))
JUDGED = [(0.1, 0.1, 200), (0.012, 0.3, 300), (0.004, 0.9, 540)]
EVERY = [*((peak, cooldown, HORIZON) for peak, cooldown in COMPLETE)]


def reports(number: int, peak: float, cooldown: float, until: int) -> list[tuple[int, float]]:
    steps, seen = losses(number, peak, cooldown)
    return [(int(step), float(loss)) for step, loss in zip(steps, seen, strict=True) if step <= until]


def schedule_of(peak: float, cooldown: float):
    return build("wsd", params(peak, cooldown), steps=HORIZON)


def in_a_study(judged: tuple[float, float, int]) -> tuple[StudyState, int]:
    """A study with the complete trials and the judged one, whose decision is in its ledger."""
    state = seasoned()
    peak, cooldown, until = judged
    number = add(state, peak, cooldown, until=until)
    decision = pruner().judge(state, number)
    judged_now = TrialJudged(trial=number, step=until, decision=decision)
    stored = decode(kind_of(judged_now), encode(judged_now))  # as the report finds it in the ledger
    apply(state, Stamped(number=state.events, time=0.0, event=stored))
    return state, number


def by_optuna(judged: tuple[float, float, int]):
    study, running = optuna.create_study(pruner=LawPruner()), None
    for number, (peak, cooldown, until) in enumerate([*EVERY, judged]):
        running = study.ask()
        LawPruner.set_schedule(running, schedule_of(peak, cooldown))
        for step, loss in reports(number, peak, cooldown, until):
            running.report(loss, step)
        if until == HORIZON:
            study.tell(running, loss)
    return LawPruner().judge(study, study.trials[running.number])


def by_ray_tune(judged: tuple[float, float, int]):
    scheduler = LawScheduler(lambda config: schedule_of(**config), metric="loss", mode="min")
    for number, (peak, cooldown, until) in enumerate([*EVERY, judged]):
        trial = Trial("law", config={"peak": peak, "cooldown": cooldown}, trial_id=f"t{number}", stub=True)
        scheduler.on_trial_add(None, trial)
        for step, loss in reports(number, peak, cooldown, until):
            scheduler.on_trial_result(None, trial, {"step": step, "loss": loss})
    return scheduler.judge(trial)


@pytest.mark.parametrize("judged", JUDGED)
def test_the_pruner_optuna_ray_tune_and_the_report_give_one_forecast(judged):
    state, number = in_a_study(judged)
    shown = state.trials[number].last_forecast
    assert shown is not None
    for verdict in (by_optuna(judged), by_ray_tune(judged)):
        (low,), (high,) = verdict.forecast.interval(0.9)
        assert (float(verdict.forecast.mean[0]), float(low), float(high)) == (shown.mean, shown.low, shown.high)
        assert verdict.reason == state.trials[number].decisions[-1][1].reason
