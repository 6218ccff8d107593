"""Forecast of a short probe at one LR, as AutoLRS does it (Jin et al. 2021, arXiv:2105.10762), its faults mended.

    L(t) = floor + drop * exp(-t / memory)          t updates since the probe began

    name      meaning                                                     unit
    n         logged losses of the probe                                  -
    span      updates from the first logged loss to the last              updates
    horizon   updates since the probe began at which the loss is asked    updates

Three steps: take outliers away (robust spline smoothing), fit the exponential, forecast. What differs from the
published code, and why:

* Its spline may leave a residual of 1 nat per point, so it is one parabola, and the fit follows the parabola: a probe
  of two memories is forecast at 0.84 on average where the truth is 1.00. Here the spline may leave the noise that
  neighbouring losses show, and the fit is to the points themselves, each pulling with bounded force.
* It drops the worst 3% of the first half ten times over, outliers or not. Here only points 4 standard deviations off
  are dropped, wherever they lie but at the very end, where a spike cannot be told from a divergence.
* Its search crashes where the linear problem is degenerate. Here every memory from span / 20 to 20 horizons is tried in
  closed form, with floor >= 0 and drop >= 0 (a loss is positive and, in this form, cannot rise), and a mild prior
  that the memory is about the span: a probe that is too short or too noisy to show a bend is not drawn out to 0.
* A probe that rises, or whose losses hold a NaN, has a value of its own: its level at the end, or a failure with a
  reason. A forecast of a falling probe is not above that level (but for its noise).
* It gives no uncertainty. Here residuals are drawn again (bootstrap) and the fit repeated. It is the uncertainty of the
  exponential; that losses of real runs fall more slowly in the end than any exponential comes on top.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import UnivariateSpline
from scipy.ndimage import median_filter

from autosched.curves.thinning import NORMAL
from autosched.errors import UsageError
from autosched.laws.fit import FitFailure
from autosched.laws.priors import (
    FEWEST_POINTS,
    PROBE_HUBER,
    PROBE_MEMORIES,
    PROBE_OUTLIER,
    RECENT_SHARE,
)
from autosched.randomness import generator
from autosched.schedules.schedule import FloatArray

_ROUNDS = 10
_REWEIGHTINGS = 4
_MEMORIES = 160
_REFINEMENTS = 8
_AROUND = np.linspace(-1.0, 1.0, 7)

Trend = Literal["falling", "level", "rising"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeForecast:
    """What a probe's loss will be.

    Attributes:
        mean, sd: of the smooth loss at the horizon, nats; the sd is the fit's own, without a single loss's noise.
        trend: whether the probe falls, or does not beyond its noise, or rises.
        floor, drop, memory: the exponential; of a rising probe its level, 0 and its last step.
        level: smooth loss at the probe's last point, nats.
        noise: standard deviation of a logged loss around the smooth one, nats.
        outliers: how many points were dropped.
    """

    mean: float
    sd: float
    trend: Trend
    floor: float
    drop: float
    memory: float
    level: float
    noise: float
    outliers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothedLosses:
    """Losses without outliers.

    Attributes:
        kept: which points are no outliers, shape (n,).
        smooth: the spline at every point, shape (n,), nats.
        noise: standard deviation of the kept points around it, nats.
    """

    kept: NDArray[np.bool_]
    smooth: FloatArray
    noise: float


def probe_fault(steps: FloatArray, losses: FloatArray) -> FitFailure | None:
    """Why no exponential can be fitted to a probe's losses; None where one can."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        return FitFailure(reason=f"the probe diverged: its loss is {losses[bad[0]]} after {steps[bad[0]]:g} updates.")
    if losses.size < FEWEST_POINTS:
        return FitFailure(reason=f"{losses.size} losses are too few to forecast a probe: log at least {FEWEST_POINTS}.")
    return None


def forecast_probe(
    steps: ArrayLike, losses: ArrayLike, horizon: float, *, draws: int = 64, seed: int = 0
) -> ProbeForecast | FitFailure:
    """Forecast the loss `horizon` updates after a probe began.

    Args:
        steps: updates since the probe began at each logged loss, increasing, shape (n,).
        losses: nats, shape (n,).
        horizon: updates since the probe began, at least the last of `steps`.
        draws: bootstrap draws behind the standard deviation.
        seed: of those draws; see :func:`autosched.randomness.key`.

    Returns:
        A forecast, or the reason why there is none: a loss that is not finite (the probe diverged), or fewer than 8.

    Raises:
        UsageError: steps that do not increase, or a horizon before the last of them.

    Example:
        >>> t = np.arange(100.0)
        >>> round(forecast_probe(t, 1 + 3 * np.exp(-0.02 * t), horizon=1_000).mean, 3)
        1.0
    """
    x, y = _checked(steps, losses, horizon)
    fault = probe_fault(x, y)
    if fault is not None:
        return fault
    clean = smoothed(x, y)
    trend = _trend(x, y, clean)
    if trend == "rising":
        return _risen(clean, float(x[-1]))
    probe, y = _Probe.of(x[clean.kept], horizon, clean.noise), y[clean.kept]
    probe, fit = probe.robust(y)
    fitted = fit.at(probe.steps)[0]
    residuals = (y - fitted) * math.sqrt(y.size / (y.size - 3))
    rng = generator(seed, "bootstrap")
    drawn = fitted + rng.choice(residuals, size=(draws, y.size))
    centres = probe.centre + rng.standard_normal(draws)  # where the data say nothing, the prior's own width
    asked, level = np.array([horizon]), float(clean.smooth[-1])
    return ProbeForecast(
        mean=min(float(fit.at(asked)[0, 0]), level + clean.noise),
        sd=float(np.std(probe.fit(drawn, centres).at(asked), ddof=1)),
        trend=trend,
        floor=float(fit.floor[0]),
        drop=float(fit.drop[0]),
        memory=float(fit.memory[0]),
        level=level,
        noise=clean.noise,
        outliers=int(np.sum(~clean.kept)),
    )


def smoothed(steps: FloatArray, losses: FloatArray) -> SmoothedLosses:
    """Robust spline smoothing: a quadratic spline, again and again without the points far off it.

    Args:
        steps: increasing, shape (n,), n >= 8.
        losses: finite, shape (n,).
    """
    noise = _neighbour_noise(losses)
    protected = np.arange(losses.size) >= losses.size - max(1, round(RECENT_SHARE * losses.size))
    spikes = np.abs(losses - median_filter(losses, 5, mode="nearest"))
    kept = (spikes <= 2 * PROBE_OUTLIER * noise) | protected
    smooth = _spline(steps, losses, kept, noise)
    for _ in range(_ROUNDS):
        still = (np.abs(losses - smooth) <= PROBE_OUTLIER * noise) | protected
        if np.array_equal(still, kept) or still.sum() < max(FEWEST_POINTS, losses.size // 2):
            break
        kept = still
        smooth = _spline(steps, losses, kept, noise)
    return SmoothedLosses(kept=kept, smooth=smooth, noise=noise)


def _checked(steps: ArrayLike, losses: ArrayLike, horizon: float) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise UsageError(f"steps and losses must be vectors of one length, but have shapes {x.shape} and {y.shape}.")
    if not np.all(np.isfinite(x)) or np.any(np.diff(x) <= 0):
        raise UsageError("steps must be finite and increase.")
    if x.size and not x[-1] <= horizon < np.inf:
        raise UsageError(f"horizon must be at least the last step, {x[-1]:g}, but got {horizon}.")
    return x, y


def _neighbour_noise(losses: FloatArray) -> float:
    """Robust standard deviation of single losses, from second differences, which a smooth curve hardly has."""
    differences = np.abs(np.diff(losses, 2))
    usual = differences[differences <= PROBE_OUTLIER * NORMAL * float(np.median(differences))]
    rounding = 1e-9 * float(np.median(np.abs(losses)))
    return max(float(np.sqrt(np.mean(usual**2) / 6)), rounding, 1e-12)


def _spline(steps: FloatArray, losses: FloatArray, kept: NDArray[np.bool_], noise: float) -> FloatArray:
    """A quadratic spline with as few knots as leave the noise, at every step."""
    with warnings.catch_warnings():  # it warns of losses that it cannot smooth exactly as far as asked
        warnings.simplefilter("ignore")
        spline = UnivariateSpline(steps[kept], losses[kept], k=2, s=kept.sum() * noise**2)
    values: FloatArray = spline(steps)
    return values


def _trend(steps: FloatArray, losses: FloatArray, clean: SmoothedLosses) -> Trend:
    """Rising if the straight line through the probe, or through its last third, rises beyond the noise."""
    x, y = steps[clean.kept], losses[clean.kept]
    whole, end = _slope_score(x, y, clean.noise), _slope_score(x[-(x.size // 3) :], y[-(x.size // 3) :], clean.noise)
    if max(whole, end) > PROBE_OUTLIER:
        return "rising"
    return "falling" if whole < -PROBE_OUTLIER else "level"


def _slope_score(x: FloatArray, y: FloatArray, noise: float) -> float:
    """Slope of the straight line over its standard deviation; 0 for fewer than two points."""
    centred = x - x.mean()
    squares = float(centred @ centred)
    return float(centred @ y) / (noise * math.sqrt(squares)) if squares > 0 else 0.0


def _risen(clean: SmoothedLosses, memory: float) -> ProbeForecast:
    """A rising probe stays where it is: at least that bad, and no exponential says how much worse."""
    level = float(clean.smooth[-1])
    return ProbeForecast(
        mean=level,
        sd=2 * clean.noise / math.sqrt(clean.kept.sum()),
        trend="rising",
        floor=level,
        drop=0.0,
        memory=memory,
        level=level,
        noise=clean.noise,
        outliers=int(np.sum(~clean.kept)),
    )


@dataclass(frozen=True, slots=True)
class _Exponentials:
    """Fits of several series of losses, each field of shape (b,)."""

    floor: FloatArray
    drop: FloatArray
    memory: FloatArray

    def at(self, steps: FloatArray) -> FloatArray:
        """Fitted losses, shape (b, steps)."""
        return np.asarray(self.floor[:, None] + self.drop[:, None] * np.exp(-steps / self.memory[:, None]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """What a fit depends on besides the losses.

    Attributes:
        steps, weights: of the points, shape (n,).
        memories: grid over which the fit searches, even in its log, shape (k,).
        centre: of the prior of the log memory, whose standard deviation is 1: the probe's span.
        noise: of a single loss, nats.
    """

    steps: FloatArray
    weights: FloatArray
    memories: FloatArray
    centre: float
    noise: float

    @classmethod
    def of(cls, steps: FloatArray, horizon: float, noise: float) -> _Probe:
        """All points weighing 1."""
        span = float(steps[-1] - steps[0])
        memories = np.geomspace(PROBE_MEMORIES[0] * span, PROBE_MEMORIES[1] * max(horizon, span), _MEMORIES)
        return cls(steps=steps, weights=np.ones(steps.size), memories=memories, centre=math.log(span), noise=noise)

    def robust(self, losses: FloatArray) -> tuple[_Probe, _Exponentials]:
        """The fit of one series whose points pull with bounded force (Huber), and the probe with their weights."""
        probe, centre = self, np.array([self.centre])
        for _ in range(_REWEIGHTINGS):
            off = np.abs(losses - probe.fit(losses[None, :], centre).at(self.steps)[0])
            probe = replace(self, weights=np.minimum(1.0, PROBE_HUBER * self.noise / np.maximum(off, 1e-300)))
        return probe, probe.fit(losses[None, :], centre)

    def fit(self, losses: FloatArray, centres: FloatArray) -> _Exponentials:
        """Fits of b series (b, n) under priors with as many centres (b,): the best memory of ever finer grids."""
        grid, rows = np.log(self.memories), np.arange(losses.shape[0])
        logs = grid[np.argmin(self._objective(losses, grid[None, :], centres), axis=1)]
        width = float(grid[1] - grid[0])
        for _ in range(_REFINEMENTS):  # no parabola: where the floor reaches 0 the objective has a kink
            around = np.clip(logs[:, None] + width * _AROUND, grid[0], grid[-1])
            logs = around[rows, np.argmin(self._objective(losses, around, centres), axis=1)]
            width *= float(_AROUND[1] - _AROUND[0])
        floor, drop, _ = self._linear(losses, logs[:, None])
        return _Exponentials(floor=floor[:, 0], drop=drop[:, 0], memory=np.exp(logs))

    def _objective(self, losses: FloatArray, logs: FloatArray, centres: FloatArray) -> FloatArray:
        """Mean square plus what the prior adds to it, shape (b, k), for log memories of shape (b or 1, k)."""
        unlikely = (logs - centres[:, None]) ** 2
        return np.asarray(self._linear(losses, logs)[2] + unlikely * self.noise**2 / self.weights.sum())

    def _linear(self, losses: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Floor >= 0 and drop >= 0 for log memories of shape (b or 1, k), and the mean square left, each (b, k)."""
        share = self.weights / self.weights.sum()
        basis = np.exp(-self.steps / np.exp(logs)[..., None])
        basis_mean = basis @ share
        centred = basis - basis_mean[..., None]
        mean = (losses @ share)[:, None]
        deviation = losses - mean
        spread = (centred**2) @ share
        common = ((centred * share) @ deviation[..., None])[..., 0]
        drop = np.maximum(common / np.maximum(spread, 1e-300), 0.0)
        floor = mean - drop * basis_mean
        through_zero = (common + mean * basis_mean) / (spread + basis_mean**2)
        drop, floor = np.where(floor < 0, through_zero, drop), np.maximum(floor, 0.0)
        offset = mean - floor - drop * basis_mean
        squares = (deviation**2 @ share)[:, None] + drop * (drop * spread - 2 * common) + offset**2
        return floor, drop, squares
