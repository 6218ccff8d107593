"""The boundary of divergence in (peak LR, warmup)."""

import numpy as np
import pytest

from autosched.schedules.registry import build
from autosched.search.divergence import boundary


def run(peak_lr, warmup_steps=10):
    return build("wsd", {"peak_lr": peak_lr, "warmup_steps": warmup_steps, "cooldown_fraction": 0.2}, steps=200)


def test_nothing_is_known_to_diverge_before_something_did():
    assert boundary([run(0.01), run(0.1)], []) is None


def test_the_boundary_lies_between_what_survived_and_what_did_not():
    found = boundary([run(peak) for peak in (1e-3, 3e-3, 1e-2, 2e-2)], [run(peak) for peak in (0.1, 0.2)])
    low, between, high = found.survival([run(0.005), run(0.045), run(0.3)])
    assert low > 0.9
    assert 0.2 < between < 0.8
    assert high < 0.1


def test_a_longer_warmup_is_learned_to_be_safer():
    survived = [run(0.05, 60), run(0.06, 80), run(0.02, 10), run(0.01, 20)]
    found = boundary(survived, [run(0.05, 5), run(0.06, 10), run(0.1, 20)])
    short, long = found.survival([run(0.055, 6), run(0.055, 90)])
    assert long > short + 0.3


def test_a_higher_peak_is_never_taken_for_safer():
    found = boundary([run(0.1), run(0.2)], [run(0.01), run(0.02)])
    low, high = found.survival([run(0.001), run(1.0)])
    assert high <= low


@pytest.mark.parametrize("peaks", [(0.1,), (0.1, 0.1)])
def test_failures_alone_leave_it_open(peaks):
    np.testing.assert_allclose(boundary([], [run(peak) for peak in peaks]).survival([run(1e-3)]), 0.5)
