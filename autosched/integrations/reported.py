"""Trials of another library as the law rule sees them: schedules, reported losses and final values.

What a library calls a trial's value need not be the loss that was reported while it trained (a full validation set
instead of a part of it, say). The law forecasts reported losses, so values are brought to their scale first::

    gap = median over complete trials of (value - last reported loss)
    best = min over complete trials of value, less the gap

How much the gaps differ from trial to trial is how badly `best` is known. When an objective returns its last reported
loss, the gap is exactly 0.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.integrations.schedule_text import cached_schedule, steps_and_peak
from autosched.laws.priors import SEEN_SHARE
from autosched.search.law_rule import LawRule, OtherRun, Verdict

_LOGGER = logging.getLogger("autosched.integrations")
_RECENT_RUNS = 512


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportedRun:
    """A trial.

    Attributes:
        name: for a person, e.g. ``trial 3``.
        number: the later, the larger.
        schedule: as :mod:`autosched.integrations.schedule_text` writes it.
        losses: reported, by updates done.
        value: what it is judged by when its schedule is done, nats; None before.
    """

    name: str
    number: int
    schedule: str
    losses: Mapping[int, float]
    value: float | None = None

    @property
    def steps(self) -> int:
        """Updates its schedule has."""
        return steps_and_peak(self.schedule)[0]

    @property
    def last_step(self) -> int:
        """Updates done at the last report; 0 without one."""
        return max(self.losses, default=0)

    @property
    def gap(self) -> float | None:
        """Value less the last reported loss; None when that is not a loss of the run's end."""
        last = self.losses.get(self.last_step, math.nan)
        if self.value is None or not math.isfinite(last) or self.last_step < SEEN_SHARE * self.steps:
            return None
        return self.value - last

    def curve(self, gap: float = 0.0) -> Curve:
        """Reported losses with the schedule, and the value at its end when no loss was reported there.

        Args:
            gap: of values above reported losses.
        """
        seen = {step: loss for step, loss in self.losses.items() if 0 < loss < math.inf}
        if self.value is not None:
            seen.setdefault(self.steps, self.value - gap)
        steps = sorted(seen)
        return Curve(
            schedule=cached_schedule(self.schedule),
            steps=np.array(steps, dtype=np.float64),
            losses=np.array([seen[step] for step in steps], dtype=np.float64),
            name=self.name,
        )


def judge_reported(rule: LawRule, run: ReportedRun, others: Sequence[ReportedRun]) -> Verdict:
    """Whether a running trial should be stopped.

    Args:
        others: trials of the same objective, running, stopped and complete; `value` is set for the complete ones.

    Raises:
        UsageError: a report after more updates than the schedule has, or a loss that is not > 0.
    """
    _check(run)
    last = run.losses.get(run.last_step, 0.0)
    if not math.isfinite(last):
        return Verdict(stop=True, reason=f"the loss after update {run.last_step} is {last}", chance=0.0)
    complete = [(other.value, other) for other in others if other.value is not None]
    gaps = [gap for gap in (other.gap for _, other in complete) if gap is not None]
    gap = float(np.median(gaps)) if gaps else 0.0
    value, winner = min(complete, key=lambda pair: pair[0], default=(None, None))
    best = None if value is None else value - gap
    if best is not None and not best > 0:
        raise UsageError(f"the law needs losses > 0, but the best complete trial has {value:g}.")
    spread = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else 0.0
    recent = others[-_RECENT_RUNS:]
    if winner is not None and winner not in recent:
        recent = [winner, *recent]
    return rule.judge(run.curve(), _as_others(recent, gap), best, best_sd=spread / best if best else 0.0)


class LawlessWarning:
    """Says once, to whoever looks at the log, that trials are not stopped because no law describes them."""

    def __init__(self) -> None:
        self._said = False

    def hear(self, verdict: Verdict) -> None:
        """Warn at the first verdict that no law could be asked for."""
        if verdict.lawless and not self._said:
            self._said = True
            _LOGGER.warning(
                "no law describes the trials so far (%s): none is stopped until one does; MedianPruner, Hyperband or "
                "ASHA compare losses at equal updates and need no law",
                verdict.reason,
            )


def first_in_cell(steps: Iterable[int], total: int, cells: int) -> bool:
    """Whether the last report is the first one in its part of the run, so that a trial is judged once for each.

    Args:
        steps: updates done at all reports.
        total: updates of the run.
        cells: parts of equal length.

    Example:
        >>> [first_in_cell(range(0, last, 10), 100, 4) for last in (11, 21, 31, 41)]
        [False, False, True, False]
    """
    before, last = [-1, *sorted(steps)][-2:]
    return last * cells // total > before * cells // total


def check_checks(checks: int) -> None:
    """Raise UsageError unless it is a number of checks in a run."""
    if isinstance(checks, bool) or not isinstance(checks, int) or checks < 1:
        raise UsageError(f"checks must be a whole number >= 1, but got {checks!r}.")


def _as_others(others: Sequence[ReportedRun], gap: float) -> Iterator[OtherRun]:
    for other in others:
        if not _sound(other):
            continue
        done = other.value is not None
        yield OtherRun(
            number=other.number,
            peak_lr=steps_and_peak(other.schedule)[1],
            share=1.0 if done else other.last_step / other.steps,
            complete=done,
            curve=partial(other.curve, gap),
        )


def _sound(run: ReportedRun) -> bool:
    """Whether there is something to learn from a trial: of a lost model, or of other updates than planned, is not."""
    if not run.losses:
        return run.value is not None
    return run.last_step <= run.steps and 0 < run.losses[run.last_step] < math.inf


def _check(run: ReportedRun) -> None:
    if run.last_step > run.steps:
        raise UsageError(
            f"{run.name} reported a loss after {run.last_step} updates, but its schedule has {run.steps}; "
            "report the number of updates done."
        )
    for step, loss in run.losses.items():
        if math.isfinite(loss) and loss <= 0:
            raise UsageError(f"the law needs losses > 0, but {run.name} reported {loss:g} after update {step}.")
