"""Losses of means of the last weights tell a forecaster of cooldowns that nobody trained."""

import math
from dataclasses import replace

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.fit import thinned
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.functional import FunctionalLaw
from autosched.laws.merged_losses import as_cooled, least_merged
from autosched.laws.priors import LONGEST_MERGED, MERGED_MISSES, MERGED_SD
from autosched.schedules.merged import merged_schedule
from autosched.schedules.registry import build

LAW = FunctionalLaw.from_logs(
    np.log([2.2, 0.7, 0.5, 0.3, 1.0, 1.0, 0.5, 0.5, 2.0, 0.6]), reference_lr=1e-3, reference_steps=40.0
)
STEPS = np.arange(20.0, 1001.0, 20.0)
CONSTANT = build("constant", {"peak_lr": 1e-3, "warmup_steps": 30}, steps=1000)
RUN = Curve(schedule=CONSTANT, steps=STEPS, losses=LAW.predict_at(CONSTANT, STEPS), name="run")


def end_of(window):
    schedule = merged_schedule(CONSTANT, step=1000, window=window)
    return schedule, float(LAW.predict_at(schedule, np.array([1000.0]))[0])


def merged_loss(window):
    """One that falls short of the cooldown by just the share that is expected."""
    share = MERGED_MISSES[0] + MERGED_MISSES[1] * math.log(window / 100)
    return math.exp((math.log(end_of(window)[1]) + share * math.log(RUN.losses[-1])) / (1 + share))


def test_a_merged_loss_is_the_end_of_a_cooldown_but_for_a_share_of_what_it_gained():
    for window in (50, 100, 400):
        cooled, loss = as_cooled(RUN, step=1000, window=window, loss=merged_loss(window)), merged_loss(window)
        schedule, end = end_of(window)
        assert cooled.schedule == schedule
        assert cooled.steps.tolist() == [1000.0]
        assert cooled.losses[0] == pytest.approx(end)
        assert cooled.sds[0] == pytest.approx(MERGED_SD * math.log(RUN.losses[-1] / loss))


@pytest.mark.parametrize(("step", "window"), [(1000, 1 + round(1000 * LONGEST_MERGED)), (990, 50)])
def test_windows_that_are_too_long_and_moments_without_a_loss_say_nothing(step, window):
    assert as_cooled(RUN, step=step, window=window, loss=2.5) is None


def test_ends_are_forecast_from_a_run_that_never_cooled():
    heard = replace(RUN, merged=tuple(as_cooled(RUN, step=1000, window=w, loss=merged_loss(w)) for w in (50, 100, 400)))
    asked = [end_of(window) for window in (100, 300, 600)]
    errors = []
    for run in (RUN, heard):
        law = fit_forecaster([thinned(run, most=24)])
        assert isinstance(law, Forecaster)
        assert law.merged == least_merged([run])
        found = law.forecast(Query.ends([schedule for schedule, _ in asked]))
        errors.append(float(np.abs(found.log_mean - np.log([end for _, end in asked])).mean()))
    assert errors[1] < 0.5 * errors[0]
    assert law.merged < 0.1
    assert math.isinf(least_merged([RUN]))
