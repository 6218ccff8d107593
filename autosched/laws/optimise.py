"""The schedule that minimises a law's final loss, free of any family or within one.

Free: LRs at knots after the warmup, linear between them. L-BFGS-B from several shapes on a dozen knots, then on twice
and four times as many; knots lie denser towards the end, where optimal schedules bend. A schedule that may only fall is
written as ``(lr[j] - min) / (lr[j-1] - min) = exp(-y[j]), y >= 0``; a free one has each LR between its bounds.

A law that is linear in the drops (the annealing law) rewards the largest drop at once, whatever its size: its free
optimum lies outside everything it was fitted on, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from autosched.errors import UsageError
from autosched.laws.auto import AutoLaw
from autosched.laws.functional import FunctionalLaw
from autosched.laws.knots import functional_finals, multi_power_finals
from autosched.laws.multi_power import MultiPowerLaw
from autosched.laws.protocol import LossLaw
from autosched.schedules.registry import build
from autosched.schedules.schedule import FloatArray, ParameterValue, Schedule

Finals = Callable[[FloatArray, FloatArray], FloatArray]
_LEVELS = (12, 24, 48)
_STARTS = (0.15, 0.5, 1.0)  # linear cooldowns to descend from
_END_DENSITY = 2.0
_NUDGE = 1e-6
_MOST_FALL = 12.0
_SHAPES = ("linear", "sqrt", "cosine")
_COOLDOWNS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleProblem:
    """What the schedule must obey.

    Attributes:
        steps: horizon, updates.
        peak_lr: the peak, or (low, high) bounds between which it is chosen; only a law of several peaks can choose.
        warmup_steps: updates of linear warmup to the peak.
        min_lr: smallest LR after the warmup.
        monotone: the LR may not rise after the warmup.
    """

    steps: int
    peak_lr: float | tuple[float, float]
    warmup_steps: int = 0
    min_lr: float = 0.0
    monotone: bool = True

    def __post_init__(self) -> None:
        low, high = self.peaks
        if not (0 <= self.min_lr < low <= high < np.inf):
            raise UsageError(f"need 0 <= min_lr < peak_lr (low <= high), but got {self.min_lr} and {self.peak_lr}.")
        if not (self.steps >= 16 and 0 <= self.warmup_steps <= self.steps // 2):
            raise UsageError(
                f"steps must be >= 16 and warmup_steps at most half of them, but got {self.steps}, {self.warmup_steps}."
            )

    @property
    def peaks(self) -> tuple[float, float]:
        """Bounds of the peak LR, equal when it is given."""
        return self.peak_lr if isinstance(self.peak_lr, tuple) else (self.peak_lr, self.peak_lr)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalSchedule:
    """The best schedule found and what usual ones would give.

    Attributes:
        predicted: final loss by the law, nats.
        alternatives: final loss by the law of cosine, linear and the best WSD at the same peak, nats.
        wsd: the best WSD schedule (cooldown fraction and shape).
    """

    schedule: Schedule
    predicted: float
    alternatives: Mapping[str, float]
    wsd: Schedule


def optimal_schedule(law: LossLaw, problem: ScheduleProblem) -> OptimalSchedule:
    """Minimise the law's predicted final loss.

    Raises:
        UsageError: the law alone has no sound optimum, or cannot choose a peak LR.
    """
    low, high = problem.peaks
    if high > low and isinstance(law, MultiPowerLaw):
        raise UsageError("multi_power was made for one peak LR and cannot choose it: give peak_lr, or fit law auto.")
    finals = _finals(law, problem.warmup_steps)
    schedule = _free_optimum(finals, problem)
    peak = schedule.peak_lr
    candidates = _usual(problem, peak)
    values = {name: _final(law, candidate) for name, candidate in candidates.items()}
    best_wsd = min((name for name in candidates if name.startswith("wsd")), key=values.__getitem__)
    predicted = _final(law, schedule)
    if predicted > values[best_wsd]:  # a law's exact value of a family member may lie below the descent's
        schedule, predicted = candidates[best_wsd], values[best_wsd]
    alternatives = {"cosine": values["cosine"], "linear": values["linear"], "wsd": values[best_wsd]}
    return OptimalSchedule(schedule=schedule, predicted=predicted, alternatives=alternatives, wsd=candidates[best_wsd])


def _finals(law: LossLaw, warmup: int) -> Finals:
    if isinstance(law, MultiPowerLaw):
        return lambda knots, lrs: multi_power_finals(law, knots, lrs, warmup)
    if isinstance(law, FunctionalLaw):
        return lambda knots, lrs: functional_finals(law, knots, lrs)
    if isinstance(law, AutoLaw):
        parts = [(w, _finals(fit.law, warmup)) for w, fit in zip(law.weights, law.fits, strict=True) if _sound(fit.law)]
        if parts:
            return lambda knots, lrs: sum((w * part(knots, lrs) for w, part in parts), np.zeros(lrs.shape[0]))
    raise UsageError(
        f"law {law.name!r} has no sound optimal schedule: its gain grows with every drop without limit. "
        "Use auto, functional or multi_power."
    )


def _sound(law: LossLaw) -> bool:
    return isinstance(law, MultiPowerLaw | FunctionalLaw)


def _final(law: LossLaw, schedule: Schedule) -> float:
    return float(law.predict_at(schedule, np.array([float(schedule.steps)]))[0])


def _usual(problem: ScheduleProblem, peak: float) -> dict[str, Schedule]:
    ratio = problem.min_lr / peak
    common: dict[str, ParameterValue] = {"peak_lr": peak, "warmup_steps": problem.warmup_steps, "final_lr_ratio": ratio}
    usual = {name: build(name, common, steps=problem.steps) for name in ("cosine", "linear")}
    for shape in _SHAPES:
        for cooldown in _COOLDOWNS:
            params = {**common, "cooldown_fraction": cooldown, "cooldown_shape": shape}
            usual[f"wsd {shape} {cooldown:g}"] = build("wsd", params, steps=problem.steps)
    return usual


def _free_optimum(finals: Finals, problem: ScheduleProblem) -> Schedule:
    low, high = problem.peaks
    peak = float(np.sqrt(low * high))
    best_value, best_level, best_peak = np.inf, np.zeros(0), peak
    positions = _positions(_LEVELS[0])
    for cooldown in _STARTS:
        start = np.minimum(1.0, (1 - positions) / cooldown)
        value, level, chosen = _descend(finals, problem, positions, start, peak, iterations=40)
        if value < best_value:
            best_value, best_level, best_peak = value, level, chosen
    for count in _LEVELS[1:]:
        finer = _positions(count)
        start = np.interp(finer, positions, best_level)
        _, best_level, best_peak = _descend(finals, problem, finer, start, best_peak, iterations=60)
        positions = finer
    return _schedule(problem, positions, best_level, best_peak)


def _positions(count: int) -> FloatArray:
    """Shares of the time after the warmup, denser towards the end, both ends included."""
    even = np.linspace(0, 1, count + 1)
    return 1 - (1 - even) ** _END_DENSITY


def _descend(
    finals: Finals, problem: ScheduleProblem, positions: FloatArray, level: FloatArray, peak: float, *, iterations: int
) -> tuple[float, FloatArray, float]:
    """From LRs as shares of (peak - min) to better ones: final loss, shares at the positions, and the peak."""
    low, high = problem.peaks
    warmup = float(problem.warmup_steps)
    knots = np.concatenate([[0.0] if warmup else [], warmup + positions * (problem.steps - warmup)])

    def decoded(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        shares = np.exp(-np.cumsum(x[:, :-1], axis=1)) if problem.monotone else x[:, :-1]
        shares = np.append(np.ones((x.shape[0], 1)), shares, axis=1)
        return shares, np.exp(x[:, -1])

    def cost(x: FloatArray) -> tuple[float, FloatArray]:
        several = np.vstack([x, x + _NUDGE * np.eye(x.size)])
        shares, peaks = decoded(several)
        lrs = problem.min_lr + shares * (peaks[:, None] - problem.min_lr)
        if warmup:
            lrs = np.append(np.zeros((lrs.shape[0], 1)), lrs, axis=1)
        values = finals(knots, lrs)
        return float(values[0]), (values[1:] - values[0]) / _NUDGE

    inner = np.clip(level[1:], np.exp(-_MOST_FALL), 1.0)
    if problem.monotone:
        inner = np.clip(-np.diff(np.log(np.append(1.0, inner))), 0.0, _MOST_FALL)
    bounds = [(0.0, _MOST_FALL if problem.monotone else 1.0)] * inner.size + [(np.log(low), np.log(high))]
    start = np.append(inner, np.log(np.clip(peak, low, high)))
    found = minimize(
        cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations, "ftol": 1e-12}
    )
    shares, peaks = decoded(np.asarray(found.x)[None, :])
    return float(found.fun), shares[0], float(peaks[0])


def _schedule(problem: ScheduleProblem, positions: FloatArray, level: FloatArray, peak: float) -> Schedule:
    """One LR per update: update i happens at time i + 1/2."""
    warmup, steps = problem.warmup_steps, problem.steps
    at = (np.arange(warmup, steps) + 0.5 - warmup) / (steps - warmup)
    body = problem.min_lr + np.interp(at, positions, level) * (peak - problem.min_lr)
    body[0] = peak
    ramp = peak * (np.arange(warmup) + 1) / max(warmup, 1)
    return Schedule(np.concatenate([ramp, body]))
