"""Pilots, short runs with a cooldown: their schedules, and what their ends say of the best peak LR."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

from studies import Study, wsd_space

from autosched.laws.files import SavedLaw
from autosched.ledger.events import TrialEnded, TrialResumed
from autosched.ledger.state import TrialState
from autosched.report.cost import study_cost, trial_costs
from autosched.report.law_fit import study_law
from autosched.search.peak_posterior import PeakPosterior
from autosched.search.pilots import peak_posterior, pilot_ends, planned, to_horizon
from autosched.search.surrogate import Surrogate
from autosched.space.records import Budget, Component, Confirm

LAW = Component(name="law")
PEAKS = np.log([2e-3, 1e-2, 5e-2])
WIDE = PeakPosterior(math.log(1e-2), 1.2)


@pytest.fixture
def space(tmp_path):
    return wsd_space(tmp_path, controller=LAW, pruner=LAW, budget=Budget(steps=1200), confirm=Confirm(), workers=1)


def test_a_pilot_warms_up_holds_its_peak_and_cools_down_to_nearly_nothing(space):
    runs = planned(space, PEAKS.tolist(), warmup=4, share=0.2)
    lrs = runs.schedule(1, space.horizon_steps).lrs
    assert runs.length == 40
    np.testing.assert_allclose(lrs[4:20], 1e-2)
    assert np.all(np.diff(lrs[:4]) > 0)
    assert np.all(np.diff(lrs[19:40]) < 0)
    assert lrs[39] < 1e-3
    np.testing.assert_allclose(lrs[40:], lrs[39])


def test_a_long_cooldown_has_few_pieces(space):
    long = replace(space, horizon_steps=100_000, eval_every=500, checkpoint_every=5000)
    schedule = planned(long, PEAKS.tolist(), warmup=300, share=0.1).schedule(0, 100_000)
    assert len(schedule.params["values"]) <= 33
    lrs = schedule.lrs[:10_000]
    straight = 2e-3 * np.minimum(1.0, (10_000 - np.arange(10_000)) / 5000)
    assert np.abs(lrs - straight)[300:].max() < 2e-3 / 30


def test_pilots_are_whole_segments_and_never_a_large_part_of_a_run(space):
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


def test_two_pilots_tell_nothing():
    assert peak_posterior(PEAKS[:2], np.array([0.9, 1.0]), WIDE, PeakPosterior(0.0, 0.1)) is None


def test_longer_runs_want_lower_peaks_and_a_longer_way_is_less_sure():
    near, far = to_horizon(500, 1000), to_horizon(100, 1000)
    assert far.mean < near.mean < 0
    assert far.sd > near.sd > 0


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("pilots")
    made = Study(wsd_space(folder, controller=LAW, pruner=LAW, budget=Budget(steps=1200), confirm=Confirm(), workers=1))
    made.run()
    return made


def pilots_of(study: Study) -> list[TrialState]:
    return [trial for trial in study.ended().trials if trial.role == "pilot"]


def test_a_study_begins_with_pilots_that_are_never_resumed(study):
    pilots = pilots_of(study)
    assert [trial.number for trial in pilots] == [1, 2, 3]  # after the default
    assert {(trial.status, trial.step, trial.until) for trial in pilots} == {("reached", 20, 20)}
    assert len({round(trial.params["values"][0], 6) for trial in pilots}) == 3
    events = [stamped.event for stamped in study.events()]
    assert not {e.trial for e in events if isinstance(e, TrialResumed)} & {t.number for t in pilots}
    reasons = {e.reason for e in events if isinstance(e, TrialEnded) and e.trial in {t.number for t in pilots}}
    assert reasons == {"a pilot run of 20 updates"}


def test_a_pilot_saves_nothing_by_pruning_and_is_not_among_the_pruned_trials(study):
    state, numbers = study.ended(), {trial.number for trial in pilots_of(study)}
    assert all(cost.rest == 0 for cost in trial_costs(state) if cost.trial in numbers)
    others = [t for t in state.trials if t.status == "pruned"]
    assert study_cost(state, horizon=200).saved_by_pruning == sum(200 - trial.step for trial in others)


def test_a_pilot_reserves_only_its_own_updates(study):
    """Two whole runs fit beside three pilots of 20 updates in a budget of 460."""
    tight = replace(study.space, study="tight", budget=Budget(steps=460), default=None)
    state = Study(tight).run()
    assert [trial.role for trial in state.trials[:4]] == ["pilot", "pilot", "pilot", "reference"]
    assert state.steps_scheduled <= 460
    assert sum(trial.status == "complete" for trial in state.trials) == 2


def test_to_the_law_a_pilot_is_a_whole_run_of_its_own_length(study):
    state = study.ended()
    curves, runs = Surrogate(study.space).curves(state, len(state.log))
    for trial in pilots_of(study):
        curve = curves[runs[trial.number]]
        assert curve.schedule.steps == curve.steps[-1] == 20
        assert curve.schedule == trial.schedule.prefix(20)
    assert all(curve.schedule.steps == 200 for curve in curves if curve.steps[-1] > 20)


def test_the_report_has_the_law_of_the_search(study):
    state = study.ended()
    surrogate = Surrogate(study.space)
    curves, _ = surrogate.curves(state, len(state.log))
    law = study_law(state, study.space)
    assert isinstance(law, SavedLaw)
    assert [curve.schedule.steps for curve in curves].count(20) == 3
    own = SavedLaw.of(surrogate.at(state).law, curves)
    assert json.loads(law.to_json())["law"] == json.loads(own.to_json())["law"]
    assert len(law.curves) == len(curves)


def test_whole_runs_lie_about_the_peak_that_pilots_show(study):
    state = study.ended()
    peaks, losses = pilot_ends(pilots_of(study))
    assert len(peaks) == 3
    found = peak_posterior(peaks, losses, PeakPosterior.of(np.log([1e-3, 1e-1])), to_horizon(20, 200))
    whole = [t for t in state.searched if t.role != "default" and t.status == "complete"]
    assert whole
    assert all(abs(math.log(t.params["peak_lr"]) - found.mean) < 3 * math.hypot(found.sd, 0.3) for t in whole)


def test_losses_that_fall_over_the_whole_range_say_that_the_best_peak_lies_above():
    found = peak_posterior(PEAKS, np.array([1.58, 1.36, 1.1]), WIDE, PeakPosterior(0.0, 0.0))
    assert found.mean > PEAKS[-1]
    rising = peak_posterior(PEAKS, np.array([1.1, 1.36, 1.58]), WIDE, PeakPosterior(0.0, 0.0))
    assert rising.mean < PEAKS[0]


def test_a_whole_run_follows_at_once(study):
    state = study.ended()
    assert [trial.role for trial in state.trials[:5]] == ["default", "pilot", "pilot", "pilot", "search"]
    # with a default no other whole run is needed; without one the next trial is trained to its end
    alone = replace(study.space, default=None, study="alone", budget=Budget(steps=600))
    first = next(trial for trial in Study(alone).run().trials if trial.role != "pilot")
    assert (first.number, first.role) == (3, "reference")
    assert first.status == "complete"


@pytest.mark.parametrize(
    "changes",
    [
        {"controller": Component(name="law", options={"pilots": 0})},
        {"budget": Budget(steps=380)},
        {"budget": Budget(trials=8)},
        {"pruner": Component(name="median")},
    ],
)
def test_there_are_none_where_they_are_not_wanted_or_would_mislead_or_the_budget_is_small(tmp_path, changes):
    given = {"controller": LAW, "pruner": LAW, "budget": Budget(steps=600), "confirm": Confirm(), **changes}
    space = wsd_space(tmp_path, **given)
    assert all(trial.role != "pilot" for trial in Study(space).run().trials)
