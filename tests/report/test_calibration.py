"""Whether forecasts held, and what a study had seen when they were made."""

import math

import numpy as np
import pytest
from example_study import SPACE, Study, example_study, wsd

from autosched.report.calibration import Calibration, Told, by_stage, shares_held, stages, told_ends


def told(*, end, stage="complete"):
    """A forecast of 3 nats with a relative standard deviation of 1%."""
    return Told(stage=stage, mean=3.0, low=3 * math.exp(-0.01 * 1.6449), high=3 * math.exp(0.01 * 1.6449), end=end)


def test_a_score_counts_standard_deviations():
    assert told(end=3 * math.exp(0.02)).score == pytest.approx(2.0, rel=1e-4)


def test_coverage_width_and_bias_are_those_of_the_ends():
    ends = [told(end=3 * math.exp(0.01 * z)) for z in (0.0, 0.5, -1.0, 1.5, -2.0)]
    of = Calibration.of(ends)
    assert (of.forecasts, of.coverage50, of.coverage80, of.coverage90) == (5, 0.4, 0.6, 0.8)
    assert of.width == pytest.approx(0.0987, abs=1e-3)
    assert of.bias == pytest.approx(sum(3 - one.end for one in ends) / 5)


def test_a_forecast_that_claims_to_be_sure_holds_nothing():
    sure = Told(stage="complete", mean=3.0, low=3.0, high=3.0, end=3.1)
    assert shares_held([sure], np.array([0.9])).tolist() == [0.0]


def test_stages_are_told_apart_and_empty_ones_left_out():
    found = by_stage([told(end=3.0), told(end=3.0, stage="no_cooldown")])
    assert list(found) == ["no_cooldown", "complete"]


def test_a_study_has_seen_a_cooldown_when_a_run_is_at_half_its_peak_and_a_whole_run_at_its_end():
    study = Study()
    study.begin()
    number = study.propose(wsd(0.01, 0.9))
    study.complete(number)
    found = [stage for (trial, _), stage in stages(study.state, SPACE).items() if trial == number]
    assert found == sorted(found, key=["no_cooldown", "cooling", "complete"].index)
    assert (found[0], found[-1]) == ("no_cooldown", "complete")
    assert "cooling" in found


def test_forecasts_count_for_trials_that_were_trained_to_their_end():
    state = example_study().state
    ends = told_ends(state, SPACE)
    values = {trial.value for trial in state.searched if trial.status == "complete"}
    assert ends
    assert {one.end for one in ends} <= values
