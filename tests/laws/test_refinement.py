"""The refined schedule: linear decay for equal norms, closed forms, the published code's arithmetic, and the bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.errors import ScheduleError
from autosched.laws.convex_bound import optimal_base_lr
from autosched.laws.refinement import refined_shape, smoothed_norms
from autosched.schedules.registry import build

STEPS = 1_000


def linear(steps=STEPS):
    return build("linear", {"peak_lr": 1.0, "final_lr_ratio": 0.0}, steps=steps).lrs


def literal(norms, power):
    """The paper's sum, update by update; the iterate after the last update weighs as much as that update."""
    weights = [norm**-power for norm in [*norms, norms[-1]]]
    lrs = [weights[t] * sum(weights[t + 1 :]) for t in range(len(norms))]
    return np.array(lrs) / max(lrs)


def noisy(norms, seed=0):
    return norms * np.exp(0.3 * np.random.default_rng(seed).standard_normal(norms.size))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@given(norm=st.floats(1e-12, 1e12), steps=st.integers(1, 400))
def test_equal_norms_give_linear_decay_to_the_last_bit(optimizer, norm, steps):
    assert np.array_equal(refined_shape([norm] * steps, optimizer=optimizer), linear(steps))


@pytest.mark.parametrize(("optimizer", "power"), [("adam", 1), ("sgd", 2)])
def test_it_is_the_papers_sum(optimizer, power):
    norms = np.random.default_rng(1).uniform(0.5, 2.0, 60)
    found = refined_shape(norms, optimizer=optimizer, filter_share=0.0)
    np.testing.assert_allclose(found, literal(norms, power), rtol=1e-12)


def test_it_is_the_published_code_with_the_last_iterates_norm_appended():
    """There the last LR is 0; with one more norm, equal to the last, that update is the one that is not made."""
    norms = smoothed_norms(noisy(np.linspace(1, 3, STEPS)))
    weights = np.append(norms, norms[-1]) ** -2.0
    tail_sums = np.flip(np.cumsum(np.flip(weights)))
    published = [weights[t] * tail_sums[t + 1] / tail_sums[-1] for t in range(STEPS)]
    found = refined_shape(norms, optimizer="sgd", filter_share=0.0)
    np.testing.assert_allclose(found, published / max(published), rtol=1e-12)


@pytest.mark.parametrize("steps", [9, 10, 19, 20, 999, 1_000])
def test_the_median_is_over_an_odd_tenth_with_the_end_reflected_and_the_start_repeated(steps):
    norms = noisy(np.linspace(1, 3, steps))
    width = 2 * (int(0.1 * steps) // 2) + 1
    half = width // 2
    around = [norms[0]] * half + norms.tolist() + norms[steps - 1 - half : steps - 1][::-1].tolist()
    assert smoothed_norms(norms).tolist() == [np.median(around[t : t + width]) for t in range(steps)]


def test_a_step_in_the_norms_has_its_closed_form():
    """Norms twice as high in the second half: a quarter of the weight there, and an LR that falls to a tenth of it."""
    norms = np.repeat([1.0, 2.0], STEPS // 2)
    found = refined_shape(norms, optimizer="sgd", filter_share=0.0)
    left = np.arange(STEPS // 2, 0, -1)
    later = (STEPS // 2 + 1) / 4
    first, second = left - 1 + later, left / 16
    np.testing.assert_allclose(found, np.concatenate([first, second]) / first[0], rtol=1e-12)


def test_norms_that_start_high_give_a_warmup():
    norms = np.where(np.arange(STEPS) < 300, 4.0, 1.0)
    found = refined_shape(norms)
    assert found[0] < 0.5
    assert 250 <= np.argmax(found) <= 350


def test_norms_that_grow_at_the_end_give_a_sharper_anneal():
    norms = np.concatenate([np.ones(700), np.linspace(1, 4, 300)])
    share = refined_shape(norms) / linear()  # of linear decay's LR; it falls where the shape falls faster
    assert np.all(np.diff(share[650:930]) < 0)
    assert share[930] < 0.4 * share[650]


def test_single_spikes_change_nothing():
    norms = np.linspace(1.0, 2.0, STEPS)
    spiky = norms.copy()
    spiky[50:-50:40] = 1e6
    np.testing.assert_allclose(refined_shape(spiky), refined_shape(norms), rtol=0.05)


def test_noise_of_thirty_percent_moves_the_shape_by_a_few_percent():
    norms = np.linspace(1.0, 2.0, STEPS)
    assert np.abs(refined_shape(noisy(norms)) - refined_shape(norms)).max() < 0.1


def test_a_refined_schedule_has_a_lower_bound_than_linear_decay():
    """What it is made for: the convex bound with the norms it saw, each shape at its own best peak LR."""
    norms = np.interp(np.linspace(0, 1, STEPS), [0, 0.02, 0.1, 1], [15, 4, 1, 2])
    refined = refined_shape(noisy(norms), optimizer="sgd")
    bounds = [optimal_base_lr(shape, grad_norms=norms).bound for shape in (refined, linear())]
    assert bounds[0] < 0.8 * bounds[1]


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60), st.sampled_from(["adam", "sgd"]))
def test_the_largest_lr_is_one_and_every_lr_moves(norms, optimizer):
    found = refined_shape(norms, optimizer=optimizer)
    assert found.shape == (len(norms),)
    assert found.max() == 1.0
    assert found.min() > 0


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60), st.floats(1e-6, 1e6))
def test_the_unit_of_the_norms_does_not_matter(norms, unit):
    np.testing.assert_allclose(refined_shape(np.array(norms) * unit), refined_shape(norms), rtol=1e-9)


@pytest.mark.parametrize(
    ("norms", "says"),
    [
        ([], "grad_norms must be a non-empty vector"),
        ([[1.0]], "grad_norms must be a non-empty vector"),
        ([1.0, 0.0, 1.0], "grad_norms must be finite and > 0, but update 1 has 0.0."),
        ([1.0, 1.0, np.nan], "grad_norms must be finite and > 0, but update 2 has nan."),
        ([np.inf, 1.0], "update 0 has inf"),
        ([1.0, -1.0], "update 1 has -1.0"),
        ([1e-200, 1.0, 1e200], "must not differ by more than float64 can hold"),
    ],
)
def test_norms_that_say_nothing_are_refused(norms, says):
    with pytest.raises(ScheduleError, match=says):
        refined_shape(norms, optimizer="sgd")


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(ScheduleError, match="optimizer must be one of adam, sgd, but got 'lion'"):
        refined_shape([1.0], optimizer="lion")
    with pytest.raises(ScheduleError, match=r"filter_share must be in \[0, 1\], but got 1.5"):
        refined_shape([1.0], filter_share=1.5)
