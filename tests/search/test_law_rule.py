"""The rule on curves of a known law: its chance is a probability, and the threshold decides."""

import numpy as np
import pytest
from known_law import LAW

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.randomness import generator
from autosched.schedules.registry import build
from autosched.search.law_rule import LawRule, OtherRun

DESIGN = [(0.01, 0.2), (0.03, 0.4), (0.003, 0.6), (0.02, 0.1), (0.05, 0.3), (0.006, 0.4)]


def curve(number, peak_lr, cooldown, *, horizon=600):
    schedule = build("wsd", {"peak_lr": peak_lr, "warmup_steps": 30, "cooldown_fraction": cooldown}, steps=horizon)
    steps = np.arange(20, horizon + 1, 20, dtype=np.float64)
    scatter = 0.004 * generator(number, "scatter").standard_normal(steps.size)
    return Curve(schedule=schedule, steps=steps, losses=LAW.predict_at(schedule, steps) * np.exp(scatter))


def other(number, seen):
    peak, share = seen.schedule.peak_lr, seen.steps[-1] / seen.schedule.steps
    return OtherRun(number=number, peak_lr=peak, share=share, complete=share == 1, curve=lambda: seen)


def seasoned(**lengths):
    return [other(number, curve(number, *spec, **lengths)) for number, spec in enumerate(DESIGN)]


def test_the_chance_falls_as_the_best_gets_better_and_decides_at_the_threshold():
    running, others = curve(9, 0.012, 0.3).until(300), seasoned()
    bests = np.linspace(1.9, 2.3, 17)
    verdicts = [LawRule(threshold=0.2).judge(running, others, best) for best in bests]
    chances = [verdict.chance for verdict in verdicts]
    assert chances == sorted(chances)
    assert chances[0] < 0.01
    assert chances[-1] > 0.99
    assert [verdict.stop for verdict in verdicts] == [chance < 0.2 for chance in chances]
    assert {verdict.reason.split("beat")[0].split()[-1] for verdict in verdicts} == {"may", "cannot"}


def test_half_a_threshold_outside_the_interval_is_at_its_end():
    running, others = curve(9, 0.012, 0.3).until(300), seasoned()
    found = LawRule().forecast(running, others)
    (low,), (high,) = found.interval(0.9)
    assert LawRule().judge(running, others, low).chance == pytest.approx(0.05)
    assert LawRule().judge(running, others, high).chance == pytest.approx(0.95)


def test_a_best_that_is_known_badly_leaves_more_chance():
    running, others = curve(9, 0.1, 0.1).until(300), seasoned()
    sure, unsure = (LawRule().judge(running, others, 2.05, best_sd=sd) for sd in (0.0, 0.2))
    assert sure.stop
    assert not unsure.stop
    assert unsure.chance > sure.chance


def test_runs_of_another_horizon_teach():
    running = curve(9, 0.1, 0.1).until(300)
    verdict = LawRule().judge(running, seasoned(horizon=400), 2.05)
    assert verdict.stop
    truth = curve(9, 0.1, 0.1).losses[-1]
    (low,), (high,) = verdict.forecast.interval(0.99)
    assert low < truth < high


def test_other_runs_are_looked_at_only_when_the_run_has_shown_enough():
    def untouched():
        raise AssertionError("asked")
        yield

    assert (
        "before 150, where forecasts begin" in LawRule().judge(curve(9, 0.1, 0.1).until(100), untouched(), 2.0).reason
    )
    assert LawRule().judge(curve(9, 0.1, 0.1), untouched(), None).reason == "no complete trial to compare with"


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.5}, {"min_fraction": -0.1}, {"max_curves": 0}, {"min_points": 2.5}]
)
def test_a_setting_out_of_range_is_refused_by_name(settings):
    (name,) = settings
    with pytest.raises(UsageError, match=f"{name} must be "):
        LawRule(**settings)
