"""LR sensitivity, against integrals done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.curves.sensitivity import NoSensitivity, Sensitivity, lr_sensitivity

GRID = np.array([3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1])


def measured(lrs, losses, start_loss: float = 10.0) -> Sensitivity:
    found = lr_sensitivity(np.asarray(lrs, dtype=float), np.asarray(losses, dtype=float), start_loss=start_loss)
    assert isinstance(found, Sensitivity), found
    return found


def test_a_loss_that_does_not_depend_on_the_lr_has_none() -> None:
    assert measured(GRID, np.full(7, 2.5)).value == 0.0


def test_it_is_the_mean_excess_over_the_log_of_the_lr() -> None:
    losses = np.array([4.0, 3.0, 2.0, 2.0, 2.0, 3.0, 5.0])
    x = np.log(GRID)
    by_hand = sum((x[i + 1] - x[i]) * (losses[i] + losses[i + 1]) / 2 for i in range(6)) / (x[-1] - x[0]) - 2.0
    found = measured(GRID, losses)
    assert found.value == pytest.approx(by_hand, rel=1e-12)
    assert (found.low, found.high, found.best_lr, found.best_loss) == (3e-4, 3e-1, 3e-3, 2.0)
    assert (found.runs, found.cells) == (7, 7)


def test_diverged_runs_count_as_untrained_and_no_worse() -> None:
    finite = measured(GRID, [3.0, 2.0, 2.0, 2.0, 2.0, 6.0, 6.0], start_loss=6.0)
    for lost in (np.inf, np.nan, 1e9, 6.1):
        assert measured(GRID, [3.0, 2.0, 2.0, 2.0, 2.0, lost, lost], start_loss=6.0) == finite


def test_an_lr_stands_for_the_best_run_near_it() -> None:
    lrs, losses = np.repeat(GRID, 2), np.array([[4, 3, 2, 2, 2, 3, 5], [4.5, 6, 3, 7, 2.5, 3, 5]]).T.ravel()
    found = measured(lrs, losses)
    assert found.value == measured(GRID, [4, 3, 2, 2, 2, 3, 5]).value
    assert (found.runs, found.cells) == (14, 7)


@given(order=st.permutations(range(7)), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_order_and_zero_do_not_matter_and_the_unit_carries_over(order, shift, scale) -> None:
    losses = np.array([4.0, 3.0, 2.0, 2.1, 2.2, 3.0, 9.0])
    whole = measured(GRID, losses, start_loss=8.0)
    other = measured(GRID[order], (scale * losses + shift)[order], start_loss=scale * 8.0 + shift)
    assert other.value == pytest.approx(scale * whole.value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("lrs", "losses", "says"),
    [
        ([], [], "0 runs in 0 quarter decades"),
        ([1e-2, 1.05e-2, 1.1e-2, 1.2e-2, 1.3e-2], [2.0] * 5, "5 runs in 1 quarter decades"),
        ([1e-3, 1e-2, 1e-1], [2.0] * 3, "3 runs in 3 quarter decades of the LR, 2 decades apart, say too little"),
        (GRID, [np.inf] * 7, "no run ended below the loss of an untrained model"),
    ],
)
def test_too_few_runs_have_a_reason(lrs, losses, says) -> None:
    found = lr_sensitivity(np.asarray(lrs, dtype=float), np.asarray(losses, dtype=float), start_loss=10.0)
    assert isinstance(found, NoSensitivity)
    assert says in found.reason
