"""Smoothing does not bend clean curves and is not bent by wild points."""

import numpy as np
import pytest

from autosched.curves import Curve, smoothed, without_outliers
from autosched.randomness import generator
from autosched.schedules.schedule import Schedule

STEPS = np.arange(10.0, 1_001.0, 10.0)
CLEAN = 2.5 + 8 / np.sqrt(STEPS)


def curve(losses):
    return Curve(schedule=Schedule(np.full(1_000, 0.01)), steps=STEPS, losses=losses, name="run")


def test_a_clean_curve_stays_what_it_is():
    np.testing.assert_allclose(smoothed(curve(CLEAN)).losses[5:], CLEAN[5:], rtol=5e-3)
    np.testing.assert_allclose(smoothed(curve(CLEAN)).losses[20:], CLEAN[20:], rtol=5e-4)


def test_noise_shrinks():
    noisy = CLEAN * np.exp(0.01 * generator(0, "noise").standard_normal(STEPS.size))
    error = np.abs(np.log(smoothed(curve(noisy)).losses / CLEAN))[5:].mean()
    assert error < 0.6 * np.abs(np.log(noisy / CLEAN))[5:].mean()


def test_wild_points_have_no_effect_and_can_be_taken_out():
    spoilt = CLEAN.copy()
    spoilt[[20, 21, 60]] *= 1.5
    np.testing.assert_allclose(smoothed(curve(spoilt)).losses[5:], CLEAN[5:], rtol=5e-3)
    noisy = spoilt * np.exp(0.003 * generator(0, "noise").standard_normal(STEPS.size))
    kept = without_outliers(curve(noisy), cut=8.0)
    assert set(STEPS[5:]) - set(kept.steps) == {STEPS[20], STEPS[21], STEPS[60]}


def test_short_curves_are_left_alone():
    short = curve(CLEAN).until(20)
    np.testing.assert_allclose(smoothed(short).losses, short.losses)
    assert without_outliers(short).steps.size == 2


@pytest.mark.parametrize("window", [2, 4, 1])
def test_a_window_without_a_middle_is_refused(window):
    with pytest.raises(ValueError, match="window must be odd and >= 3"):
        smoothed(curve(CLEAN), window=window)


def test_a_cut_of_nothing_is_refused():
    with pytest.raises(ValueError, match="cut must be > 0"):
        without_outliers(curve(CLEAN), cut=0)
