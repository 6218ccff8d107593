"""The best peak LR of an old study, and the prior it gives a new one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.errors import UsageError
from autosched.schedules.registry import build
from autosched.transfer import Change, PeakPrior, Setting, Transfer, best_peak, get_rule, peak_lr_prior

HALF = Transfer(rules=("token-horizon",), factor=0.5, log_sd=0.3)


@given(
    middle=st.floats(-8, -4), left=st.floats(0.3, 2), right=st.floats(0.3, 2), curvature=st.floats(0.01, 1),
    shift=st.floats(-0.99, 0.99),
)  # fmt: skip
def test_a_parabola_gives_its_vertex(middle, left, right, curvature, shift):
    """Whatever the spacing, as long as the middle peak is the best of the three."""
    vertex = middle + shift * (right if shift > 0 else left) / 2
    logs = np.array([middle - left, middle, middle + right])
    found = best_peak(np.exp(logs), 3.0 + curvature * (logs - vertex) ** 2)
    assert found.bracketed
    assert found.log_lr == pytest.approx(vertex, abs=1e-6)


def test_far_and_diverged_peaks_do_not_bend_the_estimate():
    near = best_peak([1e-3, 2e-3, 4e-3], [3.10, 3.00, 3.08])
    far = best_peak([1e-6, 4e-3, 1e-3, 2e-3, 8e-3], [9.0, 3.08, 3.10, 3.00, math.nan])
    assert far == near


def test_next_to_a_divergence_the_best_peak_itself_is_taken():
    found = best_peak([1e-3, 2e-3, 4e-3], [3.1, 3.0, math.inf])
    assert (found.peak_lr, found.bracketed) == (pytest.approx(2e-3), True)


def test_peaks_a_factor_of_two_apart_leave_a_fifth_open():
    assert best_peak([1e-3, 2e-3, 4e-3], [3.1, 3.0, 3.1]).log_sd == pytest.approx(math.log(2) / math.sqrt(12))


@pytest.mark.parametrize(("losses", "peak"), [([3.0, 3.1, 3.2], 1e-3), ([3.2, 3.1, 3.0], 4e-3)])
def test_at_an_edge_the_best_peak_is_not_bracketed_and_less_certain(losses, peak):
    found = best_peak([1e-3, 2e-3, 4e-3], losses)
    assert (found.peak_lr, found.bracketed) == (pytest.approx(peak), False)
    assert found.log_sd == pytest.approx(math.log(2))


def test_of_runs_with_one_peak_the_best_counts():
    assert best_peak([1e-3, 2e-3, 2e-3, 4e-3], [3.1, 3.5, 3.0, 3.1]) == best_peak([1e-3, 2e-3, 4e-3], [3.1, 3.0, 3.1])


@pytest.mark.parametrize(
    ("peaks", "losses"),
    [
        ([1e-3], [3.0]),
        ([1e-3, 1e-3], [3.0, 3.1]),
        ([1e-3, 2e-3], [math.nan, math.inf]),
        ([1e-3, 2e-3], [3.0]),
        ([0.0, 1.0], [3.0, 3.1]),
    ],
)
def test_too_little_to_say_where_the_best_peak_is(peaks, losses):
    with pytest.raises(UsageError, match="peak_lrs must"):
        best_peak(peaks, losses)


def test_the_prior_is_the_old_best_times_the_factor_with_both_uncertainties():
    prior = peak_lr_prior(0.01, HALF, best_log_sd=0.4)
    assert prior.mean == pytest.approx(math.log(0.005))
    assert prior.sd == pytest.approx(0.5)
    assert prior.median == pytest.approx(0.005)


def test_an_estimate_of_the_old_best_brings_its_own_uncertainty():
    old = best_peak([1e-3, 2e-3, 4e-3], [3.1, 3.0, 3.1])
    prior = peak_lr_prior(old, HALF)
    assert prior == PeakPrior(mean=old.log_lr + math.log(0.5), sd=math.hypot(old.log_sd, 0.3))


def test_the_prior_from_a_short_study_holds_the_long_ones_best_peak():
    """A worked use: peaks tried at 1,000 updates, wanted for 8,000; if the exponent is 0.2 or 0.5 it is within 2 sd."""
    short, long = (build("wsd", {"peak_lr": 1.0}, steps=steps) for steps in (1_000, 8_000))
    said = get_rule("token-horizon").apply(Change(old=Setting(schedule=short), new=Setting(schedule=long)))
    prior = peak_lr_prior(best_peak([5e-3, 1e-2, 2e-2], [3.1, 3.0, 3.1]), said)
    for exponent in (0.2, 0.5):
        assert abs(math.log(1e-2 * 8**-exponent) - prior.mean) < 2 * prior.sd


@pytest.mark.parametrize(("best", "sd"), [(0.0, 0.2), (math.nan, 0.2), (math.inf, 0.2), (0.1, 0.0), (0.1, math.nan)])
def test_an_old_best_that_cannot_be_is_refused(best, sd):
    with pytest.raises(UsageError, match="must be finite and > 0"):
        peak_lr_prior(best, HALF, best_log_sd=sd)


@pytest.mark.parametrize(("factor", "sd"), [(0.0, 0.1), (math.inf, 0.1), (0.5, -0.1), (0.5, math.nan)])
def test_a_transfer_that_cannot_be_is_refused(factor, sd):
    with pytest.raises(ValueError, match="need 0 < factor and 0 <= log_sd"):
        Transfer(rules=(), factor=factor, log_sd=sd)
