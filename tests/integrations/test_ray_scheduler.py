"""`LawScheduler` by the calls that Tune's controller makes, on Tune's own trials, without starting Ray."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from known_law import LAW
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from autosched.errors import ScheduleError, UsageError
from autosched.integrations.ray_tune import LawRule, LawScheduler
from autosched.randomness import generator
from autosched.schedules import build

STEPS = 1000
DESIGN = [(0.01, 0.2), (0.03, 0.4), (0.003, 0.6), (0.02, 0.1), (0.05, 0.3)]
HOPELESS = (0.2, 0.1)


def schedule_of(config):
    return build("wsd", {"peak_lr": config["peak_lr"], "cooldown_fraction": config["cooldown"]}, steps=STEPS)


def scheduler(**options):
    return LawScheduler(schedule_of, metric="loss", mode="min", **options)


def add(judge, name, spec):
    trial = Trial("law", config=dict(zip(("peak_lr", "cooldown"), spec, strict=True)), trial_id=name, stub=True)
    judge.on_trial_add(None, trial)
    return trial


def results(spec):
    schedule = schedule_of(dict(zip(("peak_lr", "cooldown"), spec, strict=True)))
    steps = np.arange(40, STEPS + 1, 40)
    noise = np.exp(0.003 * generator(schedule.fingerprint, "scatter").standard_normal(steps.size))
    losses = LAW.predict_at(schedule, steps.astype(np.float64)) * noise
    return [{"step": int(step), "loss": float(loss)} for step, loss in zip(steps, losses, strict=True)]


def train(judge, trial, spec, *, until=STEPS):
    """Report until the trial is stopped or done; updates done."""
    for result in results(spec):
        if result["step"] > until:
            return until
        stopped = judge.on_trial_result(None, trial, result) == TrialScheduler.STOP
        if stopped or result["step"] == STEPS:
            judge.on_trial_complete(None, trial, result)
            return result["step"]
    raise AssertionError("unreachable")


def seasoned(**options):
    judge = scheduler(**options)
    for number, spec in enumerate(DESIGN):
        train(judge, add(judge, f"t{number}", spec), spec)
    return judge


def test_a_hopeless_trial_is_stopped_and_a_good_one_is_not():
    judge = scheduler()
    ends = [train(judge, add(judge, f"t{number}", spec), spec) for number, spec in enumerate(DESIGN)]
    assert [end == STEPS for end in ends] == [True, True, True, False, False]
    assert train(judge, add(judge, "bad", HOPELESS), HOPELESS) < STEPS / 2
    good = (0.012, 0.9)
    assert train(judge, add(judge, "good", good), good) == STEPS
    assert judge.debug_string() == "Using LawScheduler: 3 of 7 trials stopped."


def test_it_says_once_that_no_law_describes_the_trials(caplog):
    judge = scheduler()
    for number in range(6):
        trial = add(judge, f"t{number}", DESIGN[number % len(DESIGN)])
        for step in range(40, STEPS + 1, 40):
            loss = 2.0 * 3.0 ** generator(number, step, "anything").uniform(-1, 1)
            assert judge.on_trial_result(None, trial, {"step": step, "loss": loss}) == TrialScheduler.CONTINUE
    (said,) = [record for record in caplog.records if record.name == "autosched.integrations"]
    assert "no law describes the trials so far (" in said.getMessage()


def test_what_was_saved_is_restored_and_decides_the_same(tmp_path):
    judge, fresh = seasoned(), scheduler()
    judge.save(str(tmp_path / "scheduler.json"))
    fresh.restore(str(tmp_path / "scheduler.json"))
    stops = [train(each, add(each, "bad", HOPELESS), HOPELESS) for each in (judge, fresh, scheduler())]
    assert stops[0] == stops[1] < stops[2] == STEPS


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "something"}, r"other\.json: was not written by LawScheduler\.save: \"format\" must be"),
        ({"trials": {"a": {"number": "1"}}}, r"\"trials\.a\.number\" must be a valid integer, but got \"1\"\."),
        ({"more": 1}, r"\"more\" is not a known key"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, changes, says):
    judge = seasoned()
    judge.save(str(tmp_path / "scheduler.json"))
    saved = json.loads((tmp_path / "scheduler.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**saved, **changes}))
    with pytest.raises(UsageError, match=says):
        judge.restore(str(tmp_path / "other.json"))


def test_a_trial_that_goes_back_to_a_checkpoint_tells_again_what_came_after_it(tmp_path):
    judge, calm = seasoned(), seasoned()
    spec = (0.012, 0.9)
    crashed, undisturbed = add(judge, "x", spec), add(calm, "x", spec)
    train(judge, crashed, spec, until=400)
    judge.on_trial_error(None, crashed)
    judge.on_trial_add(None, crashed)  # Tune queues it again
    for result in results(spec)[5:10]:
        judge.on_trial_result(None, crashed, result)
    train(calm, undisturbed, spec, until=400)
    for name, each in (("judge", judge), ("calm", calm)):
        each.save(str(tmp_path / name))
    assert (tmp_path / "judge").read_text() == (tmp_path / "calm").read_text()


def test_a_lost_model_is_stopped():
    judge = seasoned()
    trial = add(judge, "lost", (0.01, 0.5))
    assert judge.on_trial_result(None, trial, {"step": 40, "loss": math.nan}) == TrialScheduler.STOP


def test_a_run_that_ends_before_its_schedule_is_named_and_counts_as_no_end(caplog):
    judge = scheduler(rule=LawRule(min_complete=1))
    early = add(judge, "early", DESIGN[0])
    train(judge, early, DESIGN[0], until=960)
    judge.on_trial_complete(None, early, {"step": 960, "loss": 2.0})
    assert "trial early ended after it reported 960 of 1000 updates" in caplog.text
    assert train(judge, add(judge, "bad", HOPELESS), HOPELESS) == STEPS


def test_metric_and_mode_come_from_one_place():
    judge = LawScheduler(schedule_of)
    with pytest.raises(UsageError, match=r"LawScheduler needs metric and mode"):
        add(judge, "t", DESIGN[0])
    assert judge.set_search_properties("loss", "min")
    assert judge.metric == "loss"
    assert not judge.set_search_properties("loss", None)
    add(judge, "t", DESIGN[0])


def test_misuse_is_one_clear_line():
    with pytest.raises(UsageError, match="mode must be \"min\", but got 'max'"):
        LawScheduler(schedule_of, mode="max")
    with pytest.raises(ScheduleError, match="schedule_of must return an autosched Schedule, not dict"):
        add(LawScheduler(lambda config: config, metric="loss", mode="min"), "t", DESIGN[0])
    judge = scheduler(time_attr="updates")
    with pytest.raises(
        UsageError, match=r"results must have 'updates', the number of updates done, but trial t has none"
    ):
        judge.on_trial_result(None, add(judge, "t", DESIGN[0]), {"loss": 2.0, "training_iteration": 1})
    judge = scheduler()
    with pytest.raises(UsageError, match="trial t reported a loss after 1001 updates, but its schedule has 1000"):
        judge.on_trial_result(None, add(judge, "t", DESIGN[0]), {"loss": 2.0, "step": 1001})
    assert judge.on_trial_result(None, add(judge, "u", DESIGN[0]), {"done": True}) == TrialScheduler.CONTINUE
