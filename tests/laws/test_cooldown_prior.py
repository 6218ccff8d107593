"""What a cooldown gives that nobody saw is taken off a forecast, and is doubted, until a run has cooled."""

from dataclasses import replace

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.cooldown_prior import CooldownPrior, learned_priors
from autosched.laws.files import SavedLaw
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import STAGES, fit_forecaster
from autosched.laws.functional import FunctionalLaw
from autosched.schedules.registry import build

LAW = FunctionalLaw.from_logs(
    np.log([2.4, 0.7, 0.5, 0.12, 1.0, 1.0, 0.5, 0.5, 2.0, 0.6]), reference_lr=1e-3, reference_steps=40.0
)
PRIOR = CooldownPrior(mean=0.02, sd=0.01)


def run(until):
    """A run of 1,000 updates with a cooldown over the last 300, seen until an update."""
    schedule = build("wsd", {"peak_lr": 1e-3, "warmup_steps": 30, "cooldown_fraction": 0.3}, steps=1000)
    steps = np.arange(20.0, until + 1.0, 20.0)
    return Curve(schedule=schedule, steps=steps, losses=LAW.predict_at(schedule, steps), name=f"to {until}")


def fitted(until):
    law = fit_forecaster([run(until)])
    assert isinstance(law, Forecaster)
    return law


def end_of(law):
    return law.forecast(Query.ends([run(1000).schedule]), [0])


def test_the_gain_of_a_cooldown_that_nobody_saw_is_taken_off_and_doubted():
    law = fitted(600)
    law = replace(law, calibration=1.0)
    without, with_it = (end_of(replace(law, cooldown=cooldown)) for cooldown in (None, PRIOR))
    unseen = PRIOR.unseen(law.process.points, Query.ends([run(1000).schedule]).features)[0]
    assert 0.9 < unseen <= 1.0
    assert without.log_mean[0] - with_it.log_mean[0] == pytest.approx(0.02 * unseen)
    assert with_it.covariance[0, 0] - without.covariance[0, 0] == pytest.approx((0.01 * unseen) ** 2)


def test_it_is_gone_when_a_run_has_cooled():
    law = fitted(1000)
    assert end_of(replace(law, cooldown=PRIOR)).log_mean[0] == end_of(replace(law, cooldown=None)).log_mean[0]


def test_a_mean_alone_knows_it_too():
    law = replace(fitted(600), cooldown=PRIOR)
    at, schedule = np.array([1000.0]), run(1000).schedule
    assert law.predict_at(schedule, at) == pytest.approx(law.forecast(Query.of([(schedule, at)])).mean)


def test_it_is_one_error_of_all_forecasts():
    law = fitted(600)
    schedules = [run(1000).schedule, build("cosine", {"peak_lr": 1e-3, "warmup_steps": 30}, steps=1000)]
    without, with_it = (law_of.forecast(Query.ends(schedules)) for law_of in (replace(law, cooldown=None), law))
    added = with_it.covariance - without.covariance
    assert added[0, 1] == pytest.approx(np.sqrt(added[0, 0] * added[1, 1]))


def test_the_packages_own_expects_more_of_a_cooldown_than_laws_say_and_is_kept_in_a_law_file():
    own = learned_priors().cooldown
    assert 0 < own.mean < 0.05
    assert 0 < own.sd < 0.05
    law = fitted(600)
    assert law.cooldown == own
    read = SavedLaw.from_json(SavedLaw.of(law, [run(600)]).to_json()).law
    assert read.cooldown == own


def test_all_standard_deviations_are_multiplied_by_the_calibration():
    law = fitted(600)
    assert law.calibration == learned_priors().calibration
    assert 0.3 < law.calibration < 1.5
    bare = end_of(replace(law, calibration=1.0))
    assert end_of(law).sd == pytest.approx(law.calibration * bare.sd)
    assert end_of(law).log_mean == bare.log_mean


def test_runs_of_stages_have_no_cooldown_to_come():
    assert STAGES.priors is None
