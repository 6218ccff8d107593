"""Sweeps on quadratics, where the divergence LR is known to be 2 / curvature, and sweeps that say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.curves.range_test import RangeTest, RangeTestFailure, Sweep, analyse
from autosched.errors import UsageError
from autosched.schedules.schedule import FloatArray

QUIET = {"gradient_noise": 0.0, "loss_noise": 0.0, "floor": 0.0}
FLOORED = {"gradient_noise": 0.0, "loss_noise": 0.0, "floor": 1.0}
NOISY = {"gradient_noise": 0.1, "loss_noise": 0.02, "floor": 1.0}


def descend(
    curvatures: FloatArray,
    lrs: FloatArray,
    *,
    gradient_noise: float,
    loss_noise: float,
    floor: float,
    momentum: float = 0.0,
    seed: int = 0,
) -> FloatArray:
    """Losses of gradient descent on a quadratic that starts at 0.5 above its floor, seen before each update."""
    noise = np.random.default_rng(seed)
    place = 1.0 / np.sqrt(curvatures * curvatures.size)
    velocity, losses = np.zeros_like(place), np.empty(lrs.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, lr in enumerate(lrs):
            losses[index] = 0.5 * curvatures @ place**2 + floor + loss_noise * noise.standard_normal()
            gradient = curvatures * place + gradient_noise * np.sqrt(curvatures) * noise.standard_normal(place.size)
            velocity = momentum * velocity + gradient
            place = place - lr * velocity
    return losses


def quadratic(curvature: float, directions: int) -> FloatArray:
    """`directions` curvatures, the largest 100 times the smallest."""
    return curvature * np.geomspace(1.0, 0.01, directions) if directions > 1 else np.array([curvature])


def found(lrs: FloatArray, losses: FloatArray) -> RangeTest:
    result = analyse(lrs, losses)
    assert isinstance(result, RangeTest), result.reason
    return result


@pytest.mark.parametrize("noise", [QUIET, FLOORED, NOISY], ids=["quiet", "floored", "noisy"])
@pytest.mark.parametrize("curvature", [2.0, 7.0, 90.0, 3000.0])
@pytest.mark.parametrize("directions", [1, 10])
@pytest.mark.parametrize("steps", [100, 200, 1000])
def test_the_divergence_lr_of_a_quadratic_is_near_two_over_its_curvature(noise, curvature, directions, steps) -> None:
    lrs = Sweep(steps=steps).schedule().lrs
    for seed in range(3 if noise is NOISY else 1):
        result = found(lrs, descend(quadratic(curvature, directions), lrs, seed=seed, **noise))
        assert result.divergence_lr is not None
        assert 1 / 1.5 < result.divergence_lr * curvature / 2 < 1.5


def test_a_fast_sweep_shows_the_divergence_late_and_finds_it_all_the_same() -> None:
    lrs = Sweep(steps=100).schedule().lrs
    losses = descend(quadratic(90.0, 1), lrs, **FLOORED)
    shown = lrs[np.flatnonzero(losses > losses[0])[0]]
    assert shown > 5 * 2 / 90
    assert found(lrs, losses).divergence_lr == pytest.approx(2 / 90, rel=0.1)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_moves_the_divergence_lr_as_theory_says_up_to_a_half(momentum) -> None:
    lrs = Sweep(high=100.0).schedule().lrs
    for curvature in (3.0, 50.0, 2000.0):
        result = found(lrs, descend(quadratic(curvature, 1), lrs, momentum=momentum, **NOISY))
        edge = 2 * (1 + momentum) / curvature
        assert 0.6 < result.divergence_lr / edge < 1.2


@given(
    shift=st.floats(-100, 100),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 20),
)
def test_another_unit_or_zero_of_the_loss_changes_no_lr(shift, scale, seed) -> None:
    lrs = Sweep(high=1.0).schedule().lrs
    losses = descend(quadratic(50.0, 3), lrs, seed=seed, **NOISY)
    first, other = found(lrs, losses), found(lrs, scale * losses + shift)
    for name in ("steepest_lr", "valley_low", "valley_high", "divergence_lr", "low", "high"):
        assert getattr(other, name) == pytest.approx(getattr(first, name), rel=1e-6), name


def test_the_bounds_of_a_quadratic_hold_its_best_constant_lr_and_end_where_it_diverges() -> None:
    lrs = Sweep().schedule().lrs
    for curvature in (3.0, 50.0, 2000.0):
        curvatures = quadratic(curvature, 10)
        result = found(lrs, descend(curvatures, lrs, **QUIET))
        best = 2 / (curvatures[0] + curvatures[-1])
        assert result.low < best < 1.05 * result.high
        assert result.high <= result.divergence_lr
        assert 9.99 * result.low < result.high < 100.01 * result.low


def test_the_smoothed_curve_has_no_lag_on_a_line() -> None:
    lrs = Sweep(low=1e-4, high=1.0, steps=100).schedule().lrs
    slope = np.concatenate([np.linspace(4.0, 1.0, 50), np.linspace(1.0, 9.0, 50)])
    result = found(lrs, slope)
    first = result.smoothed_lrs < lrs[49]
    line = np.interp(np.log(result.smoothed_lrs[first]), np.log(lrs), slope)
    assert result.smoothed[:50] == pytest.approx(line[:50], abs=1e-9)


def test_a_loss_that_explodes_between_two_updates_diverges_at_the_last_finite_one() -> None:
    lrs = Sweep(low=1e-4, high=1.0, steps=100).schedule().lrs
    losses = np.linspace(4.0, 1.0, 100)
    losses[80:] = np.nan
    result = found(lrs, losses)
    assert result.divergence_lr == pytest.approx(lrs[79])
    assert result.high <= lrs[79]


@pytest.mark.parametrize("count", [10, 11, 12, 15, 20])
def test_a_sweep_that_starts_late_and_explodes_early_is_read_or_says_to_start_lower(count) -> None:
    lrs = Sweep().schedule().lrs
    losses = np.full(200, np.inf)
    losses[:count] = np.linspace(4.0, 1.0, count)
    result = analyse(lrs, losses)
    if count < 15:
        assert isinstance(result, RangeTestFailure)
        assert "start lower" in result.reason
    else:
        assert isinstance(result, RangeTest)
        assert lrs[0] <= result.steepest_lr <= lrs[count - 1]
        assert result.divergence_lr == pytest.approx(lrs[count - 1])


def test_a_loss_that_rises_without_losing_all_it_had_gained_has_bounds_but_no_divergence() -> None:
    lrs = Sweep(low=1e-4, high=1.0, steps=90).schedule().lrs
    losses = np.concatenate([np.full(10, 4.0), np.linspace(4.0, 1.0, 40), np.linspace(1.0, 2.0, 40)])
    result = found(lrs, losses)
    assert result.divergence_lr is None
    assert "did not come back to where it started" in result.no_divergence
    assert "higher" in result.no_divergence
    assert result.low < lrs[50] < result.high <= 1.0


def failure(losses: FloatArray) -> str:
    lrs = Sweep(low=1e-4, high=1.0, steps=losses.size).schedule().lrs
    result = analyse(lrs, losses)
    assert isinstance(result, RangeTestFailure)
    return result.reason


def test_a_sweep_that_says_nothing_says_why_and_what_to_try() -> None:
    flat = np.random.default_rng(0).normal(3.0, 0.1, 100)
    assert "never moved clearly" in failure(flat)
    assert "higher LR, or take more steps" in failure(flat)
    assert "never moved clearly" in failure(np.full(100, 2.0))
    assert "rose without having fallen" in failure(flat + np.geomspace(1e-3, 30.0, 100))
    assert "start lower" in failure(flat + np.geomspace(1e-3, 30.0, 100))
    assert "did not rise again up to LR 1" in failure(np.linspace(4.0, 1.0, 100))
    assert "was not finite from update 3 (LR 0.000132)" in failure(np.r_[1.0, 1.0, 1.0, np.full(97, np.nan)])
    assert "rose without having fallen" in failure(np.r_[flat[:50], np.full(50, np.inf)])


def test_noise_alone_is_no_fall() -> None:
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(3.0, 0.5, 200)
        lrs = Sweep().schedule().lrs
        assert isinstance(analyse(lrs, noise), RangeTestFailure)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"low": 0.0}, "low must be a finite number > 0, but got 0.0"),
        ({"high": np.inf}, "high must be a finite number > 0"),
        ({"low": 10.0}, r"low must be below high \(10\), but got 10"),
        ({"steps": 69}, "steps must be at least 70"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(changes, says) -> None:
    with pytest.raises(UsageError, match=says):
        Sweep(**changes)


def test_vectors_that_are_no_sweep_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 10 LRs and as many losses"):
        analyse(np.geomspace(1e-3, 1.0, 20), np.ones(19))
    with pytest.raises(UsageError, match="rise by one factor"):
        analyse(np.linspace(1e-3, 1.0, 20), np.ones(20))
