"""A ladder: best peak LRs of one's own code at several horizons or widths, and the power that they follow.

    ln peak_i = a + b ln(size_i / largest) + e_i,    e_i ~ N(0, sd_i**2)

with a free and b with the prior of what is published. The rungs correct the prior as far as they are sure of their
peaks; a chi-square above its degrees of freedom widens what is left. A worked trace::

    Rung(size=300, log_peak=ln 0.020, log_sd=0.2), Rung(600, ln 0.015, 0.2), Rung(1200, ln 0.012, 0.2)
        -> b = -0.34 +- 0.09
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosched.errors import UsageError
from autosched.schedules.schedule import FloatArray
from autosched.transfer.change import Change, Quantity
from autosched.transfer.power_rules import TOKEN_HORIZON
from autosched.transfer.rule import Axis, NoTransfer, Transfer

PRIORS: dict[Axis, tuple[float, float]] = {
    "horizon": (TOKEN_HORIZON.terms[0].exponent, TOKEN_HORIZON.terms[0].exponent_sd),
    "width": (-0.5, 0.5),
}
"""Mean and sd of the exponent before any rung. Horizon: that of the token horizon. Width, of one LR for all weights: by
muP it is -1 for hidden matrices and 0 for the others (arXiv:2203.03466), and between is all that is known."""
QUANTITIES: dict[Axis, Quantity] = {"horizon": "steps", "width": "width"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One study of a ladder.

    Attributes:
        study: its name.
        size: its horizon in updates, or its width.
        log_peak, log_sd: natural log of its best peak LR, and the standard deviation of that.
    """

    study: str
    size: float
    log_peak: float
    log_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the smaller rungs say of the largest one's best peak LR, and what was found there."""

    predicted: float
    low: float
    high: float
    found: float

    @property
    def held(self) -> bool:
        """Whether the 90% interval held it."""
        return self.low <= self.found <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The fitted power; a transfer rule for the study's own model and data.

    Attributes:
        axis: what the rungs differ in.
        rungs: by size, the smallest first.
        intercept, exponent: a and b.
        covariance: of both, shape (2, 2).
    """

    axis: Axis
    rungs: tuple[Rung, ...]
    intercept: float
    exponent: float
    covariance: FloatArray

    @property
    def name(self) -> str:
        """The name in records."""
        return "ladder"

    @property
    def axes(self) -> frozenset[Axis]:
        """What it covers."""
        return frozenset({self.axis})

    @property
    def exponent_sd(self) -> float:
        """Standard deviation of the exponent."""
        return math.sqrt(self.covariance[1, 1])

    @property
    def formula(self) -> str:
        """The rule in one line."""
        return f"peak LR ~ {QUANTITIES[self.axis]}**{self.exponent:.2f} (sd {self.exponent_sd:.2f})"

    @property
    def validity(self) -> str:
        """What it is known to hold for."""
        sizes = ", ".join(f"{rung.size:g}" for rung in self.rungs)
        return f"this model and data at {QUANTITIES[self.axis]} of {sizes}"

    @property
    def source(self) -> str:
        """Where it comes from."""
        return f"the studies {', '.join(rung.study for rung in self.rungs)}"

    def at(self, size: float) -> tuple[float, float]:
        """Natural log of the best peak LR at a size, and its standard deviation."""
        x = np.array([1.0, math.log(size / self.rungs[-1].size)])
        return float(x @ [self.intercept, self.exponent]), math.sqrt(float(x @ self.covariance @ x))

    def apply(self, change: Change) -> Transfer | NoTransfer:
        """From the peak LR of the old schedule to the line at the new size."""
        ratio = change.ratio(QUANTITIES[self.axis])
        if ratio is None:
            return NoTransfer(rule=self.name, reason=f"{self.name} needs the {self.axis} of both runs.")
        log_peak, log_sd = self.at(self.rungs[-1].size * ratio)
        spanned = self.rungs[-1].size / self.rungs[0].size
        text = f"the ladder spans a factor of {spanned:.3g} in {QUANTITIES[self.axis]}, and this is one of {ratio:.3g}"
        return Transfer(
            rules=(self.name,),
            factor=math.exp(log_peak) / change.old.schedule.peak_lr,
            log_sd=log_sd,
            warnings=(f"{text} beyond it.",) if ratio > spanned else (),
        )


def fit_ladder(rungs: Sequence[Rung], axis: Axis) -> Ladder:
    """The posterior of a and b, by least squares with the prior as one more row.

    Raises:
        UsageError: fewer than two sizes.

    Example:
        >>> exact = [Rung(study=f"s{n}", size=n, log_peak=-0.3 * math.log(n), log_sd=0.01) for n in (100, 200, 400)]
        >>> round(fit_ladder(exact, "horizon").exponent, 2)
        -0.3
    """
    ordered = tuple(sorted(rungs, key=lambda rung: rung.size))
    if len({rung.size for rung in ordered}) < 2:
        raise UsageError(f"a ladder needs studies of at least two {QUANTITIES[axis]}.")
    middle, sd = PRIORS[axis]
    weights = 1 / np.array([*(rung.log_sd for rung in ordered), sd])
    logs = np.array([math.log(rung.size / ordered[-1].size) for rung in ordered])
    rows = weights[:, None] * np.vstack([np.column_stack([np.ones_like(logs), logs]), [0.0, 1.0]])
    values = weights * np.array([*(rung.log_peak for rung in ordered), middle])
    covariance = np.linalg.inv(rows.T @ rows)
    best = covariance @ rows.T @ values
    misfit = float(np.sum((rows @ best - values) ** 2)) / (len(values) - 2)
    return Ladder(
        axis=axis,
        rungs=ordered,
        intercept=float(best[0]),
        exponent=float(best[1]),
        covariance=covariance * max(1.0, misfit),
    )


def check_ladder(ladder: Ladder) -> Check | None:
    """The largest rung against what the smaller ones say of it; None when they are too few to say anything."""
    *smaller, largest = ladder.rungs
    if len({rung.size for rung in smaller}) < 2:
        return None
    log_peak, log_sd = fit_ladder(smaller, ladder.axis).at(largest.size)
    seen = Transfer(rules=(), factor=1.0, log_sd=math.hypot(log_sd, largest.log_sd))
    low, high = seen.interval(math.exp(log_peak))
    return Check(predicted=math.exp(log_peak), low=low, high=high, found=math.exp(largest.log_peak))
