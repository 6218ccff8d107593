"""`GradientNorms`: what a pilot run logged of its gradients, made into one norm per update."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autosched.curves.logged_series import Series, interpolated_schedule, last_logged
from autosched.errors import CurveError
from autosched.schedules.schedule import FloatArray, Schedule

FEWEST_NORMS = 10
"""Fewer do not tell a run's tenths apart."""
MOST_MISSING = 0.05
"""Share of the run at its end that may lack norms."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GradientNorms:
    """Gradient norms of a run that reached its end.

    Attributes:
        schedule: the LRs the run was made with.
        steps: updates done at each logged norm, increasing, shape (n,), within 0..schedule.steps.
        norms: norm at, or mean norm over, the updates since the step before, finite and > 0, shape (n,).
        name: where they came from.
        metric: what they were logged as.

    Raises:
        CurveError: vectors that do not fit, a norm that is not finite or not > 0, fewer than ten, or none from the last
            twentieth of the run: its end decides how the LR is annealed.
    """

    schedule: Schedule
    steps: FloatArray
    norms: FloatArray
    name: str = ""
    metric: str = "grad_norm"

    def __post_init__(self) -> None:
        steps, norms = np.array(self.steps, dtype=np.float64), np.array(self.norms, dtype=np.float64)
        if steps.shape != norms.shape or steps.ndim != 1:
            raise CurveError("steps and norms must be vectors of one length.", file=self.name)
        if steps.size < FEWEST_NORMS:
            text = f"a run must have at least {FEWEST_NORMS} gradient norms to be refined, but has {steps.size}."
            raise CurveError(text, file=self.name)
        if np.any(np.diff(steps) <= 0) or steps[0] < 0 or steps[-1] > self.schedule.steps:
            raise CurveError(f"steps must increase and lie in 0..{self.schedule.steps}.", file=self.name)
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        if bad.size:
            raise CurveError(_fault(float(norms[bad[0]]), int(steps[bad[0]])), file=self.name)
        if steps[-1] < (1 - MOST_MISSING) * self.schedule.steps:
            text = f"the gradient norms end at update {steps[-1]:.0f} of {self.schedule.steps}: let the run finish."
            raise CurveError(text, file=self.name)
        for array, field in ((steps, "steps"), (norms, "norms")):
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def on_every_update(self, steps: int) -> FloatArray:
        """The norms of a run of `steps` updates that has them at the same shares of the run, shape (steps,).

        A norm stands at the middle of the updates it covers; between them the norms are interpolated, before the first
        and after the last they stay. A run of the pilot's length that logged every update gets its norms as they are.
        """
        before = np.concatenate(([min(0.0, self.steps[0] - 1)], self.steps[:-1]))
        share = (before + self.steps) / 2 / self.schedule.steps
        return np.interp((np.arange(steps) + 0.5) / steps, share, self.norms)


def norms_of(
    norms: Series, lrs: Series, *, source: str, schedule: Schedule | None, metric: str = "grad_norm"
) -> GradientNorms:
    """Gradient norms with the LRs of `schedule`, or those that were logged; a resumed run's later values count.

    Raises:
        CurveError: with `source` and the row's line: what :func:`~autosched.curves.logged_series.last_logged` refuses,
            a norm that is not finite or not > 0, a step past the schedule's end, one LR and no schedule, or what
            :class:`GradientNorms` refuses.
    """
    kept = last_logged(norms, source)
    planned = schedule or interpolated_schedule(last_logged(lrs, source), source, until=kept)
    bad = ~(np.isfinite(kept.values) & (kept.values > 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise CurveError(_fault(float(kept.values[row]), int(kept.steps[row])), file=source, line=kept.line(row))
    if len(kept) and kept.steps[-1] > planned.steps:
        row = int(np.argmax(kept.steps > planned.steps))
        text = f"step {int(kept.steps[row])} lies past the horizon {planned.steps}."
        raise CurveError(text, file=source, line=kept.line(row))
    return GradientNorms(schedule=planned, steps=kept.steps, norms=kept.values, name=source, metric=metric)


def _fault(norm: float, step: int) -> str:
    return f"a gradient norm must be finite and > 0, but got {norm} at update {step}."
