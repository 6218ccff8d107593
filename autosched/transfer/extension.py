"""Going on from a finished WSD run: the same stable phase, a lower second stage, a new cooldown ("WSSD").

Schaipp et al. 2025 (arXiv:2501.18965, section 5; `scripts/horizon_transfer.py` of fabian-sp/lr-scheduling)::

    update    0 ......... C ................................ C' ........... new steps
    part        stable phase       second stage                 cooldown
    LR          as it was          ratio * peak LR              ratio * peak LR * fall

    name    meaning                                                                     unit
    C       first update of the old cooldown: the checkpoint to go on from              updates
    C'      first update of the new cooldown, the same share of the run as the old      updates
    ratio   the largest one <= 1 at which the convex bound's best base LR of the new    -
            schedule is that of the old one

The stable phase's LR was tuned for the shorter run, and nothing is trained twice. The published search takes the best
of 33 ratios; here the root is found. Where no ratio from 0.05 to 1 has it, there is no extension, and the reason says
so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from autosched.errors import ScheduleError
from autosched.schedules.pieces import Piece
from autosched.schedules.registry import build, get_family
from autosched.schedules.schedule import Schedule
from autosched.schedules.wsd import COOLDOWN
from autosched.transfer.change import Change
from autosched.transfer.convex_rules import best_base_lr
from autosched.transfer.rule import Axis, NoTransfer, Transfer

_LOWEST_RATIO = 0.05
_TRIED = 25  # ratios between 1 and the lowest, to bracket the root


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A longer run that goes on from a finished one.

    Attributes:
        schedule: LRs of the whole run, a table; its first `stable_steps` are those of the finished run.
        stable_steps: updates of the checkpoint to go on from.
        ratio: LR of the second stage over the stable phase's, in (0, 1].
        log_sd: standard deviation of the ratio's log, if the base LR's dependence on the horizon has an exponent of
            standard deviation 0.2.
    """

    schedule: Schedule
    stable_steps: int
    ratio: float
    log_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoExtension:
    """Why a run cannot be extended."""

    reason: str


def extend_wsd(schedule: Schedule, steps: int, *, exponent_sd: float = 0.2) -> Extension | NoExtension:
    """Extend a finished WSD run to `steps` updates; see the module.

    Args:
        schedule: a schedule of the family ``wsd`` that carries its parameters.
        steps: the new horizon.
        exponent_sd: standard deviation of the exponent with which the best base LR falls with the horizon.

    Raises:
        ScheduleError: another family, or LRs that are not those of its parameters.

    Example:
        >>> short = build("wsd", {"peak_lr": 0.01, "cooldown_fraction": 0.2}, steps=4_000)
        >>> longer = extend_wsd(short, 8_000)
        >>> longer.stable_steps, round(longer.ratio, 2), longer.schedule.common_steps(short)
        (3200, 0.53, 3200)
    """
    if schedule.family != "wsd" or build("wsd", schedule.params, steps=schedule.steps) != schedule.bare:
        raise ScheduleError(f"only a schedule of the family wsd can be extended, but this is {schedule.describe()}.")
    stable_steps = get_family("wsd").stable_steps(schedule.params, schedule.steps)
    if steps <= schedule.steps:
        return NoExtension(reason=f"an extension must be longer than the {schedule.steps} updates, but got {steps}.")
    wanted = math.log(best_base_lr(schedule))

    def gap(log_ratio: float) -> float:
        return math.log(best_base_lr(_extended(schedule, steps, stable_steps, math.exp(log_ratio)))) - wanted

    tried = np.linspace(0.0, math.log(_LOWEST_RATIO), _TRIED)
    below = 0.0
    for log_ratio in tried[1:]:
        if gap(log_ratio) >= 0:
            root = float(brentq(gap, log_ratio, below, xtol=1e-10))
            slope = (gap(root + 1e-3) - gap(root - 1e-3)) / 2e-3
            return Extension(
                schedule=_extended(schedule, steps, stable_steps, math.exp(root)),
                stable_steps=stable_steps,
                ratio=math.exp(root),
                log_sd=exponent_sd * math.log(steps / schedule.steps) / abs(slope),
            )
        below = log_ratio
    text = f"no second stage keeps the LR of the first {stable_steps} updates the best one for {steps} updates"
    return NoExtension(reason=f"{text}: take more updates, or a longer cooldown at the old LR.")


def _extended(schedule: Schedule, steps: int, stable_steps: int, ratio: float) -> Schedule:
    lrs = np.empty(steps, dtype=np.float64)
    lrs[:stable_steps] = schedule.lrs[:stable_steps]
    start = max(stable_steps, steps - COOLDOWN.steps(schedule.params, steps))
    peak = ratio * float(schedule.lrs[stable_steps])
    lrs[stable_steps:start] = peak
    lrs[start:] = Piece(steps - start, COOLDOWN.fall(schedule.params, steps - start)).scaled(peak).lrs()
    origin = {"extended_from_steps": schedule.steps, "stable_steps": stable_steps, "second_stage_ratio": ratio}
    return Schedule(lrs, "table", origin).beside(schedule.hyperparameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class WsdExtension:
    """The extension as a rule: the factor is that of the second stage, the stable phase keeps its LR."""

    name: str = "wsd-extension"
    axes: frozenset[Axis] = frozenset({"horizon", "shape", "batch", "width"})
    formula: str = "the stable phase as it was, then ratio * peak LR, then the cooldown; ratio from the convex bound"
    validity: str = (
        "a finished WSD run of which the checkpoint before the cooldown is there; 124M and 210M, 2 and 4 times"
    )
    source: str = "Schaipp et al. 2025, arXiv:2501.18965, section 5"

    def apply(self, change: Change) -> Transfer | NoTransfer:
        """The ratio of the second stage for the new horizon.

        Raises:
            ScheduleError: the old schedule is not of the family ``wsd``.
        """
        longer = extend_wsd(change.old.schedule, change.new.schedule.steps)
        if isinstance(longer, NoExtension):
            return NoTransfer(rule=self.name, reason=longer.reason)
        changed = [name for name in ("batch", "width") if change.ratio(name) not in (None, 1.0)]
        if changed:
            return NoTransfer(rule=self.name, reason=f"{self.name} goes on with the same {' and '.join(changed)}.")
        return Transfer(rules=(self.name,), factor=longer.ratio, log_sd=longer.log_sd)


WSD_EXTENSION = WsdExtension()
