"""Real Optuna studies whose trials obey a known law with noise."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest
from known_law import LAW
from optuna.trial import TrialState

from autosched.errors import ScheduleError, UsageError
from autosched.integrations.optuna import SCHEDULE, LawPruner, LawRule
from autosched.randomness import generator
from autosched.schedules import Schedule, build

EXAMPLE = Path(__file__).parents[2] / "examples" / "optuna_study.py"
STEPS, EVERY = 1000, 40


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def schedule_of(trial):
    peak = trial.suggest_float("peak_lr", 1e-3, 0.2, log=True)
    return build("wsd", {"peak_lr": peak, "cooldown_fraction": trial.suggest_float("cooldown", 0.1, 1.0)}, steps=STEPS)


def losses_of(schedule, every=EVERY):
    """Loss after every 40 updates, with a scatter that belongs to the schedule."""
    steps = np.arange(every, schedule.steps + 1, every)
    scatter = generator(schedule.fingerprint, "scatter").standard_normal(steps.size)
    mean = LAW.predict_at(schedule, steps.astype(np.float64))
    return [(int(step), float(loss)) for step, loss in zip(steps, mean * np.exp(0.003 * scatter), strict=True)]


def objective(trial, every=EVERY):
    schedule = schedule_of(trial)
    LawPruner.set_schedule(trial, schedule)
    for step, loss in losses_of(schedule, every):
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def studied(pruner, *, trials=18, seed=0, run=objective, jobs=1, **options):
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=seed), **options)
    study.optimize(run, n_trials=trials, n_jobs=jobs)
    return study


def trained(study):
    return sum(trial.last_step for trial in study.trials)


def test_the_same_best_is_found_with_fewer_updates():
    everything, law = studied(optuna.pruners.NopPruner()), studied(LawPruner())
    assert law.best_trial.number == everything.best_trial.number
    assert law.best_value == everything.best_value
    assert trained(law) < 0.8 * trained(everything)
    ends = {trial.number: trial.value for trial in everything.trials}
    stopped = [trial.number for trial in law.trials if trial.state == TrialState.PRUNED]
    assert len(stopped) >= 4
    for number in stopped:  # none of them would have been the best of its time
        assert ends[number] > min(ends[other] for other in range(number))


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler(seed=0), optuna.samplers.GPSampler(seed=0)])
def test_it_works_with_samplers_that_learn(sampler):
    study = optuna.create_study(pruner=LawPruner(), sampler=sampler)
    study.optimize(objective, n_trials=16)
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.best_value < 2.12


@pytest.mark.slow
def test_a_study_in_a_file_goes_on_with_another_pruner_object_as_if_nothing_had_been(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    sparse = partial(objective, every=100)
    studied(LawPruner(), trials=6, run=sparse, storage=storage, study_name="law")
    resumed = optuna.load_study(study_name="law", storage=storage, pruner=LawPruner())
    whole = studied(LawPruner(), trials=6, run=sparse)
    for study in (whole, resumed):
        study.sampler = optuna.samplers.RandomSampler(seed=1)
        study.optimize(sparse, n_trials=6)
    seen = [[(trial.state, trial.last_step) for trial in study.trials] for study in (whole, resumed)]
    assert seen[0] == seen[1]
    assert TrialState.PRUNED in {state for state, _ in seen[1][6:]}


def test_it_says_once_that_no_law_describes_the_trials(caplog):
    def lawless(trial):
        LawPruner.set_schedule(trial, schedule_of(trial))
        for step in range(EVERY, STEPS + 1, EVERY):
            loss = 2.0 * 3.0 ** generator(trial.number, step, "anything").uniform(-1, 1)
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    study = studied(LawPruner(), trials=8, run=lawless)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    (said,) = [record for record in caplog.records if record.name == "autosched.integrations"]
    assert "no law describes the trials so far (" in said.getMessage()
    caplog.clear()
    studied(LawPruner(), trials=8)
    assert not caplog.records


def test_jobs_in_threads_stop_what_one_job_stops():
    study = studied(LawPruner(), trials=24, jobs=3)
    states = [trial.state for trial in study.trials]
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert states.count(TrialState.PRUNED) >= 5
    ends = [losses_of(build_of(trial))[-1][1] for trial in study.trials]
    # Which of two that end alike is judged first depends on the threads; 0.01 is more than the scatter of 0.003.
    assert study.best_value <= min(ends) + 0.01


def build_of(trial):
    params = {"peak_lr": trial.params["peak_lr"], "cooldown_fraction": trial.params["cooldown"]}
    return build("wsd", params, steps=STEPS)


def test_bare_lrs_are_as_good_as_a_family():
    def bare(trial):
        named = schedule_of(trial)
        LawPruner.set_schedule(trial, Schedule(named.lrs))
        for step, loss in losses_of(named):
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    by_family, by_lrs = studied(LawPruner()), studied(LawPruner(), run=bare)
    assert "knots" in by_lrs.trials[0].user_attrs[SCHEDULE]
    assert [trial.state for trial in by_lrs.trials] == [trial.state for trial in by_family.trials]


def test_a_plain_mapping_will_do_as_the_attribute():
    def plain(trial):
        named = schedule_of(trial)
        trial.set_user_attr(SCHEDULE, {"family": "wsd", "params": dict(named.params), "steps": STEPS})
        trial.report(losses_of(named)[0][1], EVERY)
        assert not trial.should_prune()
        return 2.0

    with pytest.warns(UserWarning, match="its last report was after 40 of 1000 updates"):
        assert len(studied(LawPruner(), trials=2, run=plain).trials) == 2


def test_a_value_on_another_scale_than_the_reports_changes_no_decision():
    def shifted(trial):
        return objective(trial) + 0.5

    study, other = studied(LawPruner()), studied(LawPruner(), run=shifted)
    assert [trial.state for trial in other.trials] == [trial.state for trial in study.trials]


def test_it_is_judged_a_few_times_in_a_run_however_often_it_reports(caplog):
    study = studied(LawPruner(), trials=6)
    running = study.ask()
    LawPruner.set_schedule(running, build("wsd", {"peak_lr": 0.2, "cooldown_fraction": 0.1}, steps=STEPS))
    asked = []
    for step, loss in losses_of(build("wsd", {"peak_lr": 0.2, "cooldown_fraction": 0.1}, steps=STEPS), every=5):
        running.report(loss, step)
        study.pruner = LawPruner(LawRule(threshold=1.0), checks=4)
        asked.append((step, running.should_prune()))
    assert [step for step, stop in asked if stop] == [250, 500, 750, 1000]
    study.pruner = LawPruner()
    with caplog.at_level(logging.INFO):
        assert running.should_prune()
    assert f"trial {running.number} is stopped: forecast " in caplog.text


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_lost_model_is_stopped_and_teaches_nothing(lost):
    study = studied(LawPruner(), trials=6)
    running = study.ask()
    LawPruner.set_schedule(running, schedule_of(running))
    for step, loss in losses_of(schedule_of(running))[:10]:
        running.report(loss, step)
    before = LawPruner().judge(study, study.trials[-1])
    other = study.ask()
    LawPruner.set_schedule(other, schedule_of(other))
    other.report(lost, 400)
    assert LawPruner().judge(study, study.trials[-1]).reason == f"the loss after update 400 is {lost}"
    assert other.should_prune()
    study.tell(other, lost if lost == math.inf else None, state=None if lost == math.inf else TrialState.FAIL)
    again = LawPruner().judge(study, study.trials[running.number])
    assert (again.stop, again.reason, again.chance) == (before.stop, before.reason, before.chance)


def report_once(schedule, *, loss=2.0, step=100):
    def run(trial):
        if schedule is not None:
            LawPruner.set_schedule(trial, schedule)
        trial.report(loss, step)
        trial.should_prune()
        return 2.0

    return run


@pytest.mark.parametrize(
    ("run", "options", "says"),
    [
        (report_once(None), {}, r"trial 0 has no schedule: call LawPruner.set_schedule\(trial, schedule\)"),
        (report_once(Schedule([0.1] * 50)), {}, "reported a loss after 100 updates, but its schedule has 50"),
        (
            report_once(Schedule([0.1] * 500), loss=-1.0),
            {},
            "needs losses > 0, but trial 0 reported -1 after update 100",
        ),
        (report_once(Schedule([0.1] * 500)), {"direction": "maximize"}, "direction='minimize'"),
    ],
)
def test_misuse_is_one_clear_line(run, options, says):
    with pytest.raises(UsageError, match=says) as error:
        studied(LawPruner(), trials=1, run=run, **options)
    assert "\n" not in str(error.value)


def test_what_is_no_schedule_is_refused():
    study = optuna.create_study(pruner=LawPruner())
    trial = study.ask()
    with pytest.raises(ScheduleError, match="must be an autosched Schedule, but got list"):
        LawPruner.set_schedule(trial, [0.1, 0.2])
    trial.set_user_attr(SCHEDULE, [0.1, 0.2])
    with pytest.raises(ScheduleError, match=r"trial 0: autosched_schedule must be what LawPruner\.set_schedule writes"):
        trial.should_prune()
    with pytest.raises(UsageError, match="checks must be a whole number >= 1, but got 0"):
        LawPruner(checks=0)


def test_trials_of_earlier_days_without_a_schedule_are_left_out():
    study = optuna.create_study(pruner=LawPruner(), sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trial(optuna.create_trial(value=0.1))
    study.optimize(objective, n_trials=8)
    assert all("0.1000" not in LawPruner().judge(study, trial).reason for trial in study.trials[1:])


@pytest.mark.slow
def test_the_example_finds_the_best_of_its_schedules_with_three_quarters_of_the_updates():
    done = subprocess.run([sys.executable, str(EXAMPLE)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("best 1.1299 with {'peak_lr': 0.0758")
    assert 12_000 < int(done.stdout.split("trained ")[1].split()[0]) < 18_500
