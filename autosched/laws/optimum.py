"""The schedule that minimises a law's predicted final loss: free in form, or the best of the WSD family.

    variables   s >= 0 per node (free), or its rises (monotone):  LR / peak = r + (1 - r) exp(-s),  r = min_lr / peak
    objective   the loss after the last update, from the nodes, with its gradient (:mod:`autosched.laws.end_loss`)
    method      L-BFGS-B on a grid of 12 pieces, refined to 192, each level starting from the one before

The published Multi-Power Law has its smooth optimum of 24,000 updates in about 30 ms. A peak LR that is not given is
searched around this, on a grid that is refined: its effect on the loss is U-shaped and partly in the default law's
residual process, which the gradient does not see. Candidates are compared under the whole law, process included.

The annealing law is linear in every LR drop. What it likes best is a late jump to the lowest LR, the deeper the better,
and it knows no price for that: it has no optimum of free form, and is refused.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.optimize import minimize

from autosched.errors import ScheduleError
from autosched.laws.annealing import AnnealingLaw
from autosched.laws.end_loss import END_LOSSES, EndLoss, NodeGrid, weighted
from autosched.laws.forecast import Interval
from autosched.laws.forecaster import Forecaster, forecast_ends
from autosched.laws.law import LossLaw
from autosched.laws.priors import LEAST_WEIGHT
from autosched.laws.registry import LAWS
from autosched.schedules.registry import build
from autosched.schedules.schedule import FloatArray, ParameterValue, Schedule, check_updates

LEVELS = (12, 24, 48, 96, 192)
ITERATIONS = 80
START_COOLDOWN = 0.2
LEAST_RATIO = 1e-6  # of the peak: what "down to zero" means here, so that derivatives by the log of the LR stay finite
PEAKS, ZOOM = 9, 4
PEAK_LAWS = tuple(name for name, law in LAWS.items() if law.knows_peak_lr)
"""Laws in which the peak LR is a variable."""
RESHAPE_FACTORS = ((0.5, 0.7, 1.0, 1.4, 2.0), (0.84, 1.0, 1.19), (0.92, 1.0, 1.09))
FRACTIONS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
COOLDOWNS: tuple[Mapping[str, ParameterValue], ...] = (
    *(MappingProxyType({"cooldown_shape": shape}) for shape in ("linear", "sqrt", "cosine")),
    MappingProxyType({"cooldown_shape": "power", "cooldown_power": 1.5}),
    MappingProxyType({"cooldown_shape": "power", "cooldown_power": 2.0}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimumTask:
    """What schedule is wanted.

    Attributes:
        steps: the horizon, optimizer updates.
        peak_lr: lowest and highest peak LR allowed; equal when it is given.
        warmup_steps: updates of linear warmup.
        monotone: whether the LR may not rise after the warmup.
        min_lr: lowest LR allowed after the warmup.
        cooldown_shape: of WSD schedules; None: the best of those in :data:`COOLDOWNS`.

    Raises:
        ScheduleError: a shape that is not there, bounds that are not positive or cross, or a warmup that leaves fewer
            than two updates.
    """

    steps: int
    peak_lr: tuple[float, float]
    warmup_steps: int = 0
    monotone: bool = True
    min_lr: float = 0.0
    cooldown_shape: str | None = None

    def __post_init__(self) -> None:
        low, high = self.peak_lr
        if not self.cooldowns:
            shapes = ", ".join(dict.fromkeys(str(cooldown["cooldown_shape"]) for cooldown in COOLDOWNS))
            raise ScheduleError(f"cooldown_shape must be {shapes}, but got {self.cooldown_shape!r}.")
        if not (0 < low <= high < np.inf):
            raise ScheduleError(f"peak_lr must have 0 < low <= high, both finite, but got {low:g} to {high:g}.")
        if self.steps < 2:
            raise ScheduleError(f"steps must be >= 2, but got {self.steps}.")
        check_updates(self.steps)
        if not 0 <= self.warmup_steps <= self.steps - 2:
            most = self.steps - 2
            raise ScheduleError(f"warmup_steps must be in [0, {most}] (steps - 2), but got {self.warmup_steps}.")
        if not 0 <= self.min_lr < low:
            raise ScheduleError(f"min_lr must be >= 0 and below the peak LR {low:g}, but got {self.min_lr:g}.")

    @property
    def cooldowns(self) -> Sequence[Mapping[str, ParameterValue]]:
        """The cooldowns that a WSD schedule may have."""
        return [cooldown for cooldown in COOLDOWNS if self.cooldown_shape in (None, cooldown["cooldown_shape"])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A schedule the optimum is compared with; `worse_by` is its final loss minus the optimum's."""

    schedule: Schedule
    predicted: Interval
    worse_by: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The schedule with the lowest predicted final loss.

    Attributes:
        schedule: the schedule.
        predicted: its final loss under the whole law.
        alternatives: the best ``cosine``, ``linear`` and ``wsd`` under the same bounds, and ``free`` where the schedule
            of free form was asked for but one of these is predicted better.
        seconds: wall time of the search.
    """

    schedule: Schedule
    predicted: Interval
    alternatives: Mapping[str, Alternative]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptimum:
    """Why a law has no such schedule, as a sentence that says what to do."""

    reason: str


def optimal_schedule(law: LossLaw, task: OptimumTask) -> Optimum | NoOptimum:
    """The schedule of free form that minimises the law's predicted final loss.

    Under the default law it minimises the mean of the stacked laws that have such an optimum. It is then compared with
    the alternatives under the whole law, and the best of all is returned: a WSD schedule may win.
    """
    begun = time.perf_counter()
    end = _blind_to_peaks(law, task) or _end_loss(law)
    if isinstance(end, NoOptimum):
        return end

    def coarse(peak_lr: float) -> Schedule:
        return _descend(end, task, peak_lr, LEVELS[:2])

    peak_lr = _best_peak(law, task, coarse).peak_lr
    free = _descend(end, task, peak_lr, LEVELS)
    if isinstance(law, Forecaster) and law.process is not None:
        free = _reshaped(law, task, free)
    return _compared(law, {"free": free, **_alternatives(law, task)}, begun)


def best_wsd(law: LossLaw, task: OptimumTask) -> Optimum | NoOptimum:
    """The WSD schedule (cooldown fraction and shape, and peak LR within its bounds) of lowest predicted final loss."""
    begun = time.perf_counter()
    blind = _blind_to_peaks(law, task)
    if blind is not None:
        return blind
    alternatives = _alternatives(law, task)
    return _compared(law, {"wsd": alternatives["wsd"], **alternatives}, begun, only="wsd")


def _parts(law: LossLaw) -> list[tuple[float, LossLaw]]:
    """The laws of a stack with their weights, those of no weight left out; a law on its own."""
    if not isinstance(law, Forecaster):
        return [(1.0, law)]
    return [(float(w), fit.law) for w, fit in zip(law.weights, law.fits, strict=True) if w > LEAST_WEIGHT]


def _blind_to_peaks(law: LossLaw, task: OptimumTask) -> NoOptimum | None:
    """A refusal when the peak LR is to be chosen by laws made for one peak LR."""
    low, high = task.peak_lr
    if low == high or any(part.name in PEAK_LAWS for _, part in _parts(law)):
        return None
    laws = ", ".join(PEAK_LAWS)
    return NoOptimum(reason=f"{law.name} is a law of one peak LR and cannot choose it: give it, or use auto or {laws}.")


def _end_loss(law: LossLaw) -> EndLoss | NoOptimum:
    """The law's loss from nodes; the mean over those of a stack that have one."""
    parts = _parts(law)
    usable = [(weight, part) for weight, part in parts if part.name in END_LOSSES]
    if not usable:
        return NoOptimum(reason=_refusal(parts[0][1].name))
    total = sum(weight for weight, _ in usable)
    return weighted([(weight / total, functools.partial(END_LOSSES[part.name], part)) for weight, part in usable])


def _refusal(name: str) -> str:
    why = (
        "its loss is linear in every LR drop, so it always prefers a later and deeper jump to the lowest LR"
        if name == AnnealingLaw.name
        else "it has no gradient by the LRs, or its loss does not depend on them"
    )
    allowed = ", ".join(END_LOSSES)
    return f"the {name} law alone has no optimum of free form: {why}; use auto or one of {allowed}, or choose a family."


def _descend(end: EndLoss, task: OptimumTask, peak_lr: float, levels: Sequence[int]) -> Schedule:
    """The optimum for one peak LR, on grids of so many pieces one after another."""
    least = max(task.min_lr / peak_lr, LEAST_RATIO)
    grid = NodeGrid.of(task.steps, task.warmup_steps, levels[0])
    left = (task.steps - grid.at) / (START_COOLDOWN * task.steps)
    fall = np.maximum(-np.log(np.clip(left, 1e-3, 1.0)), 0.0)
    for pieces in levels:
        finer = NodeGrid.of(task.steps, task.warmup_steps, pieces)
        fall = _minimised(end, finer, peak_lr, np.interp(finer.at, grid.at, fall), (least, task.monotone))
        grid = finer
    return grid.schedule(peak_lr, _log_z(grid, fall, least))


def _log_z(grid: NodeGrid, fall: FloatArray, least: float) -> FloatArray:
    return np.append(grid.warmup_log_z, np.log(least + (1 - least) * np.exp(-fall[grid.fixed :])))


def _minimised(end: EndLoss, grid: NodeGrid, peak_lr: float, start: FloatArray, form: tuple[float, bool]) -> FloatArray:
    """`s` of every node (0 on the fixed ones), from a start of the same shape."""
    least, monotone = form

    def spread(x: FloatArray) -> FloatArray:
        return np.append(np.zeros(grid.fixed), np.cumsum(x) if monotone else x)

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        log_z = _log_z(grid, spread(x), least)
        value, slope = end(grid, peak_lr, log_z)
        by_s = -slope[grid.fixed :] * (1 - least * np.exp(-log_z[grid.fixed :]))
        return value, np.cumsum(by_s[::-1])[::-1] if monotone else by_s

    body = start[grid.fixed :]
    x = np.maximum(np.diff(body, prepend=0.0), 0.0) if monotone else np.maximum(body, 0.0)
    options = {"maxiter": ITERATIONS, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-9}
    found = minimize(loss, x, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * x.size, options=options)
    return spread(np.asarray(found.x, dtype=np.float64))


def _reshaped(law: Forecaster, task: OptimumTask, free: Schedule) -> Schedule:
    """The schedule with its fall made longer or shorter and deeper or shallower, as the whole law likes it best.

    The residual process and the laws without an end loss speak here; they look at a few averages of the LR only.
    """
    peak_lr, body = free.peak_lr, free.lrs[task.warmup_steps :]
    ahead = np.arange(body.size, dtype=np.float64)[::-1]

    def reshaped(stretch: float, power: float) -> Schedule:
        z = np.interp(ahead / stretch, ahead[::-1], body[::-1] / peak_lr)
        z[0] = 1.0
        lrs = free.lrs.copy()
        lrs[task.warmup_steps :] = np.maximum(peak_lr * z**power, task.min_lr)
        return Schedule(lrs)

    stretch, power, best = 1.0, 1.0, free
    for factors in RESHAPE_FACTORS:
        tried = [(stretch * a, power * b) for a in factors for b in factors]
        schedules = [best, *(reshaped(a, b) for a, b in tried)]
        best = _lowest(law, schedules)
        if best is not schedules[0]:
            stretch, power = tried[[s is best for s in schedules].index(True) - 1]
    return best


def _alternatives(law: LossLaw, task: OptimumTask) -> dict[str, Schedule]:
    """The best cosine, linear and WSD schedules that end at the lowest LR allowed."""

    def made(family: str, peak_lr: float, **more: ParameterValue) -> Schedule:
        params = {"warmup_steps": task.warmup_steps, "final_lr_ratio": task.min_lr / peak_lr, **more}
        return build(family, {"peak_lr": peak_lr, **params}, steps=task.steps)

    found = {name: _best_peak(law, task, functools.partial(made, name)) for name in ("cosine", "linear")}
    wsd = functools.partial(made, "wsd")
    peak_lr = _best_peak(law, task, functools.partial(wsd, cooldown_fraction=START_COOLDOWN)).peak_lr
    best = _lowest(law, [wsd(peak_lr, cooldown_fraction=f, **shape) for f in FRACTIONS for shape in task.cooldowns])
    kept = {name: best.params[name] for name in ("cooldown_shape", "cooldown_power") if name in best.params}
    around = _around(float(str(best.params["cooldown_fraction"])), FRACTIONS)
    best = _lowest(law, [best, *(wsd(peak_lr, cooldown_fraction=f, **kept) for f in around)])
    fraction = best.params["cooldown_fraction"]
    found["wsd"] = _best_peak(law, task, functools.partial(wsd, cooldown_fraction=fraction, **kept))
    return found


def _around(best: float, grid: Sequence[float]) -> list[float]:
    """Points between the neighbours of a grid point."""
    index = int(np.argmin(np.abs(np.subtract(grid, best))))
    low, high = grid[max(index - 1, 0)], grid[min(index + 1, len(grid) - 1)]
    return [float(point) for point in np.linspace(low, high, 2 * ZOOM + 1)[1:-1]]


def _best_peak(law: LossLaw, task: OptimumTask, made: Callable[[float], Schedule]) -> Schedule:
    """The best of a one-parameter family of schedules: log-spaced peak LRs, then twice closer around the best."""
    low, high = task.peak_lr
    if low == high:
        return made(low)
    grid = np.geomspace(low, high, PEAKS).tolist()
    grid[0], grid[-1] = low, high
    best = _lowest(law, [made(peak_lr) for peak_lr in grid])
    for _ in range(2):
        closer = np.exp(_around(float(np.log(best.peak_lr)), np.log(grid).tolist())).tolist()
        best = _lowest(law, [best, *(made(peak_lr) for peak_lr in closer)])
        grid = sorted({*grid, *closer})
    return best


def _lowest(law: LossLaw, schedules: Sequence[Schedule]) -> Schedule:
    means = forecast_ends(law, schedules).log_mean
    return schedules[int(np.nanargmin(means))] if np.any(np.isfinite(means)) else schedules[0]


def _compared(
    law: LossLaw, candidates: Mapping[str, Schedule], begun: float, *, only: str | None = None
) -> Optimum | NoOptimum:
    """The best candidate (or the one that is asked for) beside the named families."""
    names = list(candidates)
    ends = forecast_ends(law, list(candidates.values()))
    if not np.all(np.isfinite(ends.log_mean)):
        bad = names[int(np.flatnonzero(~np.isfinite(ends.log_mean))[0])]
        return NoOptimum(reason=f"the law predicts a loss that is not > 0 for {bad}: bounds lie outside what it knows.")
    best = int(np.argmin(ends.log_mean)) if only is None else names.index(only)
    alternatives = {
        name: Alternative(schedule=candidates[name], predicted=ends.loss(i), worse_by=ends.difference(i, best))
        for i, name in enumerate(names)
        if name != "free" or i != best
    }
    return Optimum(
        schedule=candidates[names[best]],
        predicted=ends.loss(best),
        alternatives=alternatives,
        seconds=time.perf_counter() - begun,
    )
