"""The functional law with a start-up: losses that begin at a plateau and fall by large factors."""

from dataclasses import replace

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.end_loss import NodeGrid, functional_end
from autosched.laws.files import SavedLaw
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import FAST, FULL, fit_forecaster
from autosched.laws.functional import FunctionalLaw, Units
from autosched.laws.start_up import StartUpFamily
from autosched.randomness import generator
from autosched.schedules.schedule import Schedule
from autosched.testing.law_contract import LawContract, wsd

CLASSIFIER = FunctionalLaw(
    floor=0.03,
    scale=3_000.0,
    exponent=3.0,
    noise=0.05,
    noise_power=1.0,
    noise_peak_power=1.0,
    time_power=0.9,
    time_peak_power=0.8,
    speed=4.0,
    saturation=0.8,
    start=11.0,
    reference_lr=0.01,
    reference_steps=24.0,
)
"""From 2.3 nats to 0.1 within 600 updates at the reference LR, and hardly at all at a tenth of it."""


class TestStartUpContract(LawContract):
    @pytest.fixture
    def family(self):
        return StartUpFamily(units=Units(lr=0.01, steps=24.0))


def run(number, peak_lr, cooldown):
    schedule = wsd(peak_lr=peak_lr, cooldown=cooldown, final=0.02)
    steps = np.arange(30, 601, 30, dtype=np.float64)
    scatter = 0.03 * generator(number, "scatter").standard_normal(steps.size)
    losses = CLASSIFIER.predict_at(schedule, steps) * np.exp(scatter)
    return Curve(schedule=schedule, steps=steps, losses=losses, name=f"run {number}")


RUNS = [run(i, peak, cut) for i, (peak, cut) in enumerate([(0.01, 0.2), (0.001, 0.4), (0.003, 0.9), (0.03, 0.5)])]


def test_the_first_loss_is_finite_and_the_fall_large():
    losses = CLASSIFIER.predict(wsd(peak_lr=0.01, steps=600))
    assert losses[0] == pytest.approx(CLASSIFIER.floor + CLASSIFIER.scale * 11.0**-3.0, rel=0.01)
    assert losses[0] / losses[-1] > 10


def test_a_start_of_zero_is_the_law_of_the_paper():
    paper = replace(CLASSIFIER, start=0.0)
    tiny = replace(CLASSIFIER, start=1e-12)
    steps = np.array([30.0, 600.0])
    np.testing.assert_allclose(tiny.predict_at(wsd(), steps), paper.predict_at(wsd(), steps), rtol=1e-9)


@pytest.mark.parametrize("start", [-1.0, np.inf, np.nan])
def test_a_start_is_a_number_from_zero_on(start):
    with pytest.raises(ValueError, match="start must be finite and >= 0"):
        replace(CLASSIFIER, start=start)


@pytest.mark.parametrize("preset", [FULL, FAST], ids=["full", "fast"])
def test_where_the_usual_laws_miss_the_curves_it_forecasts_other_peaks_and_cooldowns(preset):
    law = fit_forecaster(RUNS, preset)
    assert isinstance(law, Forecaster)
    assert "start_up" in [family.name for family in law.families]
    new = [run(9, 0.005, 0.3), run(10, 0.015, 0.8)]
    found = law.forecast(Query.ends([curve.schedule for curve in new]))
    truth = [CLASSIFIER.predict_at(curve.schedule, np.array([600.0]))[0] for curve in new]
    np.testing.assert_allclose(found.log_mean, np.log(truth), atol=0.15)


def test_curves_that_the_usual_laws_describe_are_left_to_them():
    paper = replace(CLASSIFIER, floor=2.5, scale=0.5, exponent=0.5, start=0.0)
    curves = [replace(curve, losses=paper.predict_at(curve.schedule, curve.steps)) for curve in RUNS]
    law = fit_forecaster(curves)
    assert isinstance(law, Forecaster)
    assert [family.name for family in law.families] == ["functional", "multi_power", "annealing"]


def test_a_law_file_keeps_it_to_the_last_bit():
    law = fit_forecaster(RUNS)
    assert isinstance(law, Forecaster)
    again = SavedLaw.from_json(SavedLaw.of(law, RUNS).to_json()).law
    np.testing.assert_array_equal(again.predict(wsd(peak_lr=0.005)), law.predict(wsd(peak_lr=0.005)))


def test_the_end_of_a_schedule_of_few_nodes_is_that_of_its_updates_with_its_derivatives():
    grid = NodeGrid.of(600, 30, 24)
    log_z = np.linspace(0.0, -2.0, grid.at.size)
    log_z[: grid.fixed] = grid.warmup_log_z
    loss, slope = functional_end(CLASSIFIER, grid, 0.01, log_z)
    schedule: Schedule = grid.schedule(0.01, log_z)
    assert loss == pytest.approx(CLASSIFIER.predict_at(schedule, np.array([600.0]))[0], rel=0.01)
    moved = log_z.copy()
    moved[-3] += 1e-5
    assert (functional_end(CLASSIFIER, grid, 0.01, moved)[0] - loss) / 1e-5 == pytest.approx(slope[-3], rel=1e-3)
