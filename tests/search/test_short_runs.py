"""Short runs with a cooldown: their schedules, and what their ends say of the best peak LR."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

from studies import Study, wsd_space

from autosched.ledger.events import TrialEnded, TrialThawed
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule
from autosched.search.peak_posterior import PeakPosterior
from autosched.search.short_runs import FAMILY, peak_posterior, planned, to_horizon
from autosched.search.surrogate import Surrogate
from autosched.space.records import Budget, Component, Confirm

LAW = Component(name="law")
PEAKS = np.log([2e-3, 1e-2, 5e-2])
WIDE = PeakPosterior(math.log(1e-2), 1.2)


@pytest.fixture
def space(tmp_path):
    return wsd_space(tmp_path, controller=LAW, pruner=LAW, budget=Budget(steps=1200), confirm=Confirm(), workers=1)


def test_a_short_run_warms_up_holds_its_peak_and_cools_down_to_nearly_nothing(space):
    runs = planned(space, PEAKS.tolist(), warmup=4, share=0.2)
    lrs = build(FAMILY, runs.params(1), steps=space.horizon_steps).lrs
    assert runs.length == 40
    np.testing.assert_allclose(lrs[4:20], 1e-2)
    assert np.all(np.diff(lrs[:4]) > 0)
    assert np.all(np.diff(lrs[19:40]) < 0)
    assert lrs[39] < 1e-3
    np.testing.assert_allclose(lrs[40:], lrs[39])


def test_a_long_cooldown_has_few_stairs(space):
    long = replace(space, horizon_steps=100_000, eval_every=500, checkpoint_every=5000)
    params = planned(long, PEAKS.tolist(), warmup=300, share=0.1).params(0)
    assert len(params["values"]) <= 33
    lrs = build(FAMILY, params, steps=100_000).lrs[:10_000]
    straight = 2e-3 * np.minimum(1.0, (10_000 - np.arange(10_000)) / 5000)
    assert np.abs(lrs - straight)[300:].max() < 2e-3 / 30


def test_short_runs_are_whole_segments_and_never_a_large_part_of_a_run(space):
    assert planned(space, PEAKS.tolist(), warmup=5, share=0.1).length % space.checkpoint_every == 0
    assert planned(replace(space, checkpoint_every=100), PEAKS.tolist(), warmup=5, share=0.1) is None


@pytest.mark.parametrize("best", [4e-3, 1e-2, 3e-2])
def test_a_parabola_is_read_and_carried_over(best):
    losses = 1.0 + 0.015 * (PEAKS - math.log(best)) ** 2
    found = peak_posterior(PEAKS, losses, WIDE, PeakPosterior(-0.5, 0.1))
    assert found.mean + 0.5 == pytest.approx(math.log(best), abs=0.35)
    assert 0.1 < found.sd < 0.7


def test_flat_losses_leave_the_range_as_it_was():
    found = peak_posterior(PEAKS, np.full(3, 0.9), WIDE, PeakPosterior(0.0, 0.0))
    assert found.mean == pytest.approx(WIDE.mean, abs=0.05)
    assert found.sd > 0.2


def test_two_short_runs_tell_nothing():
    assert peak_posterior(PEAKS[:2], np.array([0.9, 1.0]), WIDE, PeakPosterior(0.0, 0.1)) is None


def test_longer_runs_want_lower_peaks_and_a_longer_way_is_less_sure():
    near, far = to_horizon(500, 1000), to_horizon(100, 1000)
    assert far.mean < near.mean < 0
    assert far.sd > near.sd > 0


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("short")
    made = Study(wsd_space(folder, controller=LAW, pruner=LAW, budget=Budget(steps=1200), confirm=Confirm(), workers=1))
    made.run()
    return made


def test_a_study_begins_with_short_runs_that_are_never_taken_up_again(study):
    state = study.run()
    short = [t for t in state.trials if t.family == FAMILY]
    assert len(short) == 3
    assert [t.number for t in short] == [1, 2, 3]  # after the default
    assert {t.status for t in short} == {"paused"}
    assert {t.step for t in short} == {20}
    assert len({round(t.params["values"][0], 6) for t in short}) == 3
    events = [stamped.event for stamped in study.events()]
    assert not {e.trial for e in events if isinstance(e, TrialThawed)} & {t.number for t in short}
    reasons = {e.reason for e in events if isinstance(e, TrialEnded) and e.trial in {t.number for t in short}}
    assert reasons == {"the short run is over"}


def test_to_the_law_a_short_run_is_a_whole_run_of_its_own_length(study):
    state = study.run()
    short = {t.fingerprint: t.step for t in state.trials if t.family == FAMILY}
    curves, runs = Surrogate(study.space, lambda: short).curves(state, len(state.log))
    for trial in (t for t in state.trials if t.family == FAMILY):
        curve = curves[runs[trial.number]]
        assert curve.schedule.steps == curve.steps[-1] == 20
        assert curve.schedule == Schedule(build(FAMILY, trial.params, steps=200).lrs[:20])
    assert all(curve.schedule.steps == 200 for curve in curves if curve.steps[-1] > 20)


def test_whole_runs_lie_about_the_peak_that_short_runs_tell(study):
    state = study.run()
    short = [t for t in state.trials if t.family == FAMILY]
    peaks = np.log([t.params["values"][0] for t in short])
    losses = np.log([t.points[-1].loss for t in short])
    told = peak_posterior(peaks, losses, PeakPosterior.of(np.log([1e-3, 1e-1])), to_horizon(20, 200))
    whole = [t for t in state.trials if t.kind == "search" and t.status == "complete"]
    assert whole
    assert all(abs(math.log(t.params["peak_lr"]) - told.mean) < 3 * math.hypot(told.sd, 0.3) for t in whole)


def test_losses_that_fall_over_the_whole_range_say_that_the_best_peak_lies_above():
    found = peak_posterior(PEAKS, np.array([1.58, 1.36, 1.1]), WIDE, PeakPosterior(0.0, 0.0))
    assert found.mean > PEAKS[-1]
    rising = peak_posterior(PEAKS, np.array([1.1, 1.36, 1.58]), WIDE, PeakPosterior(0.0, 0.0))
    assert rising.mean < PEAKS[0]


def test_a_whole_run_follows_at_once(study):
    state = study.run()
    fourth = next(t for t in state.trials if t.kind == "search" and t.family != FAMILY)
    assert fourth.number == 4
    # with a default no other whole run is needed; without one the next trial is trained to its end
    alone = replace(study.space, default=None, study="alone", budget=Budget(steps=600))
    first = next(t for t in Study(alone).run().trials if t.family != FAMILY)
    assert first.number == 3
    assert first.status == "complete"


@pytest.mark.parametrize(
    "changes",
    [
        {"controller": Component(name="law", options={"short_runs": 0})},
        {"budget": Budget(steps=380)},
        {"budget": Budget(trials=8)},
        {"pruner": Component(name="median")},
    ],
)
def test_there_are_none_where_they_are_not_wanted_or_would_mislead_or_the_budget_is_small(tmp_path, changes):
    given = {"controller": LAW, "pruner": LAW, "budget": Budget(steps=600), "confirm": Confirm(), **changes}
    space = wsd_space(tmp_path, **given)
    assert all(trial.family != FAMILY for trial in Study(space).run().trials)
