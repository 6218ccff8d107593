import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.trainer import Diverged
from workers.divergence import DivergenceWatch


def observe_all(watch, losses, start=0):
    for index, loss in enumerate(losses, start=start):
        watch.observe(index + 1, loss, 1.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_a_divergence(loss):
    watch = DivergenceWatch()
    observe_all(watch, [5.5, 5.0])
    with pytest.raises(Diverged, match=f"the training loss became {loss} at update 3") as info:
        watch.observe(3, loss, 1.0)
    assert info.value.step == 3


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_is_a_divergence(norm):
    with pytest.raises(Diverged, match=f"the gradient norm became {norm} at update 1"):
        DivergenceWatch().observe(1, 5.5, norm)


def test_a_loss_that_stays_far_above_the_start_is_a_divergence():
    watch = DivergenceWatch()
    with pytest.raises(Diverged, match=r"on average, is far above the start \(4\) at update \d+") as info:
        observe_all(watch, [4.0] + 100 * [12.0])
    # 12 - 8 * 0.9**k exceeds 1.5 * 4 + 1 = 7 first at k = 5, which is update 6
    assert info.value.step == 6


def test_a_single_spike_is_survived():
    observe_all(DivergenceWatch(), [4.0, 3.5, 30.0, 3.4, *[3.3] * 50])


def test_a_model_that_learns_nothing_has_not_diverged():
    observe_all(DivergenceWatch(), [5.5, *[8.0] * 500])


def test_a_start_at_zero_leaves_a_margin():
    watch = DivergenceWatch()
    observe_all(watch, [0.0, *[0.9] * 500])
    with pytest.raises(Diverged):
        observe_all(watch, [2.0] * 50)


@given(cut=st.integers(0, 60), seed=st.integers(0, 10))
def test_a_watch_goes_on_from_its_state(cut, seed):
    losses = np.random.default_rng(seed).uniform(4.0, 7.0, size=60).tolist()
    whole, parts = DivergenceWatch(), DivergenceWatch()
    observe_all(whole, losses)
    observe_all(parts, losses[:cut])
    parts = DivergenceWatch.restore(parts.state())
    observe_all(parts, losses[cut:], start=cut)
    assert parts == whole


@pytest.mark.parametrize(
    "state", [{}, {"first": None}, {"first": "4", "smoothed": 4.0}, {"first": 4.0, "smoothed": None}]
)
def test_a_state_of_something_else_is_refused(state):
    with pytest.raises(ValueError, match="must hold two numbers"):
        DivergenceWatch.restore(state)
