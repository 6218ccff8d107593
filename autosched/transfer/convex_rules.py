"""Rules from the convex bound: across horizons and shapes of a schedule, without any training.

The bound of :mod:`autosched.laws.convex_bound` is least at a base LR ``g(schedule)`` in closed form, so (Schaipp et al.
2025, arXiv:2501.18965, section 5)::

    convex-bound     new / old = g(new schedule) / g(old schedule)
    convex-shape     new / old = g(new schedule) / g(old schedule) * sqrt(new steps / old steps)

For one shape g falls with the square root of the horizon (from 5,000 to 500,000 updates ``g * sqrt(steps)`` moves by
less than 0.5% for cooldowns of 5% to all of the run), so the second is the first without what the horizon does. It goes
beside another rule for the horizon, where the bound's power of 1/2 is more than real runs show
(docs/records/transfer.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autosched.laws.convex_bound import optimal_base_lr
from autosched.schedules.schedule import Schedule
from autosched.transfer.change import Change
from autosched.transfer.rule import Axis, Transfer

WIDEST_SHAPE = 0.8
"""Log factor between shapes beyond which nothing was compared with real runs (cooldowns 0.1 to 0.9 are 0.68 apart)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexRule:
    """A ratio of best base LRs; see the module.

    Attributes:
        keeps_horizon: whether the factor has the bound's own dependence on the horizon.
        exponent_sd: standard deviation of the horizon's exponent.
        shape_sd: standard deviation of the log factor between shapes, as a share of it.
    """

    name: str
    axes: frozenset[Axis]
    formula: str
    validity: str
    source: str
    keeps_horizon: bool
    exponent_sd: float = 0.2
    shape_sd: float = 0.4

    def apply(self, change: Change) -> Transfer:
        """The ratio for this change."""
        steps = math.log(change.new.schedule.steps / change.old.schedule.steps)
        whole = math.log(best_base_lr(change.new.schedule) / best_base_lr(change.old.schedule))
        shape = whole + 0.5 * steps
        horizon_sd = self.exponent_sd * steps if self.keeps_horizon else 0.0
        return Transfer(
            rules=(self.name,),
            factor=math.exp(whole if self.keeps_horizon else shape),
            log_sd=math.hypot(horizon_sd, self.shape_sd * shape),
            warnings=tuple(self._warnings(change, shape)),
        )

    def _warnings(self, change: Change, shape: float) -> list[str]:
        said = []
        if abs(shape) > WIDEST_SHAPE:
            text = f"{self.name} was compared with real runs for shapes up to {math.exp(WIDEST_SHAPE):.2g} times apart"
            said.append(f"{text}, but these are {math.exp(abs(shape)):.3g} times apart.")
        if self.keeps_horizon and change.ratio("batch") not in (None, 1.0):
            said.append(f"{self.name} counts updates and holds for one batch size.")
        return said


def best_base_lr(schedule: Schedule) -> float:
    """The peak LR at which the schedule's shape has its least bound, for a distance and a gradient norm of 1."""
    return optimal_base_lr(schedule.lrs / schedule.peak_lr).lr


CONVEX_BOUND = ConvexRule(
    name="convex-bound",
    axes=frozenset({"horizon", "shape"}),
    formula="ratio of the base LRs that minimise the convex bound",
    validity="any two schedules in theory; real runs' best LR falls less with the horizon than its square root",
    source="Schaipp et al. 2025, arXiv:2501.18965",
    keeps_horizon=True,
)
CONVEX_SHAPE = ConvexRule(
    name="convex-shape",
    axes=frozenset({"shape"}),
    formula="ratio of the base LRs that minimise the convex bound, at one horizon",
    validity="cooldowns of 10% to 90%, checked on Llama 124M; other shapes in theory",
    source="Schaipp et al. 2025, arXiv:2501.18965",
    keeps_horizon=False,
)
