"""What weak priors are scaled to."""

import math

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.baselines import PowerFamily
from autosched.laws.law import Scales
from autosched.laws.robust import Prior
from autosched.schedules import Schedule


def curve(peak, steps, losses):
    return Curve(schedule=Schedule([peak] * steps), steps=np.arange(1.0, len(losses) + 1), losses=np.array(losses))


def test_sizes_are_geometric_means_over_the_curves_and_the_least_loss():
    scales = Scales.of([curve(0.1, 10, [3.0, 2.5]), curve(0.4, 40, [4.0, 2.0, 2.2, 2.1, 2.0, 2.0, 2.0, 2.0])])
    assert scales.least == 2.0
    assert (scales.peak_lr, scales.area, scales.last) == pytest.approx((0.2, 4.0, 4.0))


def test_a_schedule_of_zeros_has_sizes_too():
    scales = Scales.of([curve(0.0, 10, [3.0])])
    assert 0 < scales.peak_lr < 1e-200
    assert 0 < scales.area < 1e-200
    assert math.isfinite(math.log(scales.area))


def test_starts_differ_in_one_parameter():
    prior = Prior(mean=np.log([1.0, 2.0, 3.0]), sd=np.ones(3))
    starts = np.exp(PowerFamily().starts(prior))
    assert starts == pytest.approx(np.array([[1.0, 2.0, exponent] for exponent in (0.303, 0.5, 0.824)]), rel=1e-3)
