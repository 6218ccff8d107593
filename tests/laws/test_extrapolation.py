"""How late points come to count more when runs are mostly transient, and how far forecasts lie outside the fit."""

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.extrapolation import end_distances, peak_distances
from autosched.laws.fit import FitOptions, late_power
from autosched.laws.functional import FunctionalFamily, FunctionalLaw, Units
from autosched.laws.priors import BETWEEN_PEAKS, EFOLDS_PER_PEAK
from autosched.laws.residual import RunPoints
from autosched.laws.robust import Robustness
from autosched.schedules.registry import build

OPTIONS = FitOptions(robustness=Robustness(delta=1e-2, noise=1e-2), first_share=0.1, late_power=1.0)
UNITS = Units(lr=1e-3, steps=40.0)
LAW = FunctionalLaw.from_logs(
    np.log([2.4, 0.7, 0.5, 0.12, 1.0, 1.0, 0.5, 0.5, 2.0, 0.6]),
    reference_lr=UNITS.lr,
    reference_steps=UNITS.steps,
)


def runs(extra):
    """Runs of three peaks that follow the law, times `extra` of (peak, share of the horizon done)."""
    generator = np.random.default_rng(5)
    curves = []
    for peak in (5e-4, 1e-3, 2e-3):
        params = {"peak_lr": peak, "warmup_steps": 30, "cooldown_fraction": 0.3}
        schedule = build("wsd", params, steps=1000)
        steps = np.arange(20.0, 1001.0, 20.0)
        noise = np.exp(1e-3 * generator.standard_normal(steps.size))
        losses = LAW.predict_at(schedule, steps) * noise * extra(peak, steps / 1000)
        curves.append(Curve(schedule=schedule, steps=steps, losses=losses, name=f"{peak:g}"))
    return curves


def test_runs_in_the_regime_keep_the_power_of_the_options():
    power = late_power(FunctionalFamily(units=UNITS), runs(lambda peak, done: np.ones_like(done)), OPTIONS, 4.0)
    assert power == pytest.approx(1.0)


def test_runs_that_start_far_from_the_law_make_late_points_count_more():
    curves = runs(lambda peak, done: 1 + 0.3 * np.sin(3e3 * peak) * np.exp(-8 * done))
    assert late_power(FunctionalFamily(units=UNITS), curves, OPTIONS, 4.0) > 2.0


def test_the_power_stays_below_the_most_that_was_asked():
    curves = runs(lambda peak, done: 1 + 0.3 * np.sin(3e3 * peak) * np.exp(-8 * done))
    assert late_power(FunctionalFamily(units=UNITS), curves, OPTIONS, 1.5) == pytest.approx(1.5)


def reached(*ends):
    """ln(peak LR) and ln(updates) of runs with these (peak LR, last step)."""
    return np.log([peak for peak, _ in ends]), np.log([last for _, last in ends])


def seen(*ends):
    """Points of runs with these (peak LR, last step)."""
    features = np.array([[np.log(peak), 1.0, 1.0, 1.0, np.log(last)] for peak, last in ends])
    return RunPoints(run=np.arange(len(ends)), features=features)


def test_there_is_no_distance_inside_the_peaks_and_steps_that_were_seen():
    points = seen((1e-3, 1000), (4e-3, 1000))
    assert peak_distances(points, np.log(2e-3), np.array([1000.0, 500.0]), 1.0) == pytest.approx(np.zeros((3, 2)))


def test_a_peak_is_as_far_as_from_those_seen_as_long():
    points = seen((1e-3, 1000), (4e-3, 500))
    above, below, later = peak_distances(points, np.log(4e-3), np.array([1000.0, 500.0]), 0.0)
    assert above == pytest.approx([np.log(4.0), 0.0])
    assert not below.any()
    assert not later.any()


def test_peaks_above_and_below_are_far_in_different_ways():
    points = seen((1e-3, 1000), (4e-3, 1000))
    above, below = (peak_distances(points, np.log(peak), np.array([1000.0]), 0.0)[:, 0] for peak in (8e-3, 5e-4))
    assert above == pytest.approx([np.log(2.0), 0.0, 0.0])
    assert below == pytest.approx([0.0, np.log(2.0), 0.0])


def test_a_longer_run_is_far_only_after_a_transient():
    points = seen((1e-3, 1000), (4e-3, 1000))
    steps = np.array([2000.0, 4000.0])
    np.testing.assert_allclose(peak_distances(points, np.log(2e-3), steps, 0.0), 0.0, atol=1e-7)
    np.testing.assert_allclose(peak_distances(points, np.log(2e-3), steps, 1.0)[2] ** 2, np.log([2.0, 4.0]))


def test_an_end_is_as_far_as_behind_the_longest_run_of_its_peak_lr():
    runs_seen = reached((1e-3, 1000), (4e-3, 250))
    asked = np.log([4e-3, 1e-3, 4e-3]), np.log([1000.0, 4000.0, 4000.0])
    behind = np.log(3.6)  # 4 times as far, less a tenth
    assert end_distances(*runs_seen, *asked) == pytest.approx([behind, 0.0, behind])


def test_a_run_that_was_seen_to_the_end_tells_of_peaks_near_its_own():
    runs_seen = reached((1e-3, 1000), (4e-3, 10))
    ends = np.full(3, np.log(1000.0))
    at, near, far = end_distances(*runs_seen, np.log([1e-3, 1.1e-3, 4e-3]), ends)
    assert at == 0.0
    assert near == pytest.approx(EFOLDS_PER_PEAK * np.log(1.1))
    assert far == pytest.approx(min(EFOLDS_PER_PEAK * np.log(4.0), np.log(90.0)))


def test_ends_are_nearer_between_peaks_that_were_seen_as_far():
    runs_seen = reached((1e-3, 1000), (4e-3, 1000))
    between, beyond = end_distances(*runs_seen, np.log([2e-3, 8e-3]), np.full(2, np.log(1000.0)))
    assert beyond == pytest.approx(EFOLDS_PER_PEAK * np.log(2.0))
    assert between == pytest.approx(BETWEEN_PEAKS * beyond)
