"""What a finished study says of the training that it stands for: the winner carried over, by rules or by its ladder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.errors import UsageError
from autosched.laws.fit import FitFailure
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.ledger.state import StudyState, TrialState
from autosched.randomness import generator
from autosched.report.confirmation import winner
from autosched.report.law_fit import study_law
from autosched.search.acquisition import joint_draws
from autosched.search.peak_posterior import PeakPosterior, with_interior_best
from autosched.space import build_schedule
from autosched.space.records import Range, ScheduleSpec, Space, Target
from autosched.space.target import OPTIONS
from autosched.transfer import DEFAULTS, BestPeak, Change, Setting, TransferRule, best_peak, carried
from autosched.transfer.carry_over import CarriedOver, carried_over_document, carry_over, changed_axes
from autosched.transfer.ladder import Ladder, Rung, check_ladder, fit_ladder
from autosched.transfer.rule import Axis

PEAKS = 65
"""Peak LRs over the searched range at which the law is asked: finer than any posterior of a best peak LR."""
DRAWS = 1000
Standing = tuple[StudyState, Space]
"""A study as it stands, and its space."""


def axis_of(space: Space) -> Axis:
    """What the rungs of a space's ladder differ in: its width where the target names one and no horizon."""
    target = space.target
    return "width" if target is not None and target.width is not None and target.steps is None else "horizon"


def size_of(space: Space, axis: Axis) -> float | None:
    """The horizon or the width of a space; None when the trainer's options do not say it."""
    if axis == "horizon":
        return space.horizon_steps
    known = [space.trainer.options[option] for option in OPTIONS["width"] if option in space.trainer.options]
    return float(known[0]) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """What is known of the target.

    Attributes:
        carried: the winner carried over; None when nothing changes but a ladder was asked for.
        ladder: the fitted one; None without rungs.
        notes: why something of it is missing.
    """

    carried: CarriedOver | None
    ladder: Ladder | None
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON data, for the study's summary."""
        found: dict[str, Any] = {} if self.carried is None else carried_over_document(self.carried)
        return {**found, "ladder": None if self.ladder is None else ladder_document(self.ladder)}


def ladder_document(ladder: Ladder) -> dict[str, Any]:
    """A ladder as JSON data; the peak LRs with their 90% intervals."""
    check = check_ladder(ladder)
    return {
        "axis": ladder.axis,
        "rungs": [_rung_document(rung) for rung in ladder.rungs],
        "exponent": ladder.exponent,
        "exponent_sd": ladder.exponent_sd,
        "formula": ladder.formula,
        "intercept": ladder.intercept,
        "covariance": ladder.covariance.tolist(),
        "check": None if check is None else {**dataclasses.asdict(check), "held": check.held},
    }


def _rung_document(rung: Rung) -> dict[str, Any]:
    return {"study": rung.study, "size": rung.size, "peak_lr": math.exp(rung.log_peak), "log_sd": rung.log_sd}


def on_target(study: Standing, rungs: Sequence[Standing]) -> TargetResult | None:
    """The winner of a study at the target of its space; None where the space has none, or the study no winner.

    Args:
        rungs: the studies of the ladder below it.
    """
    (state, space), target = study, study[1].target
    best = winner(state)
    if target is None or best is None:
        return None
    ladder, notes = _ladder([*rungs, study], axis_of(space)) if target.rungs else (None, [])
    there = {rung.name for rung, _ in rungs}
    gone = [name for name in target.rungs if name not in there]
    notes += [f"the ladder is without {name!r}: the ledger has no such study" for name in gone]
    try:
        return TargetResult(carried=_carried(best, target, ladder), ladder=ladder, notes=tuple(notes))
    except UsageError as error:
        return TargetResult(carried=None, ladder=ladder, notes=(*notes, f"nothing is carried over: {error}"))


def _carried(best: TrialState, target: Target, ladder: Ladder | None) -> CarriedOver | None:
    old = best.schedule
    change = Change(
        old=Setting(schedule=old, batch=target.from_batch, width=target.from_width),
        new=Setting(schedule=carried(old, steps=target.steps or old.steps), batch=target.batch, width=target.width),
    )
    axes = changed_axes(change)
    if not axes:
        return None
    rules: list[TransferRule] = [
        ladder if ladder is not None and axis == ladder.axis else DEFAULTS[axis] for axis in axes
    ]
    return carry_over(change, tuple(rules), {})


def _ladder(studies: Sequence[Standing], axis: Axis) -> tuple[Ladder | None, list[str]]:
    """The ladder of some studies, and notes on those that say nothing."""
    rungs: list[Rung] = []
    notes: list[str] = []
    for state, space in studies:
        size, peak = size_of(space, axis), peak_of(state, space)
        if size is None or isinstance(peak, str):
            reason = peak if isinstance(peak, str) else "its trainer's options name no width"
            notes.append(f"the ladder is without {state.name!r}: {reason}")
        else:
            rungs.append(Rung(study=state.name, size=size, log_peak=peak.log_lr, log_sd=peak.log_sd))
    try:
        return fit_ladder(rungs, axis), notes
    except UsageError as error:
        return None, [*notes, f"there is no ladder: {error}"]


def peak_of(state: StudyState, space: Space) -> BestPeak | str:
    """Where the best peak LR of a study lies, or why that is not known.

    By the study's law, asked for the winner's schedule at peak LRs all over the searched range: mean and standard
    deviation of the best one in joint draws of the final losses, given that it lies inside as the search supposes.
    Where no law describes the curves, from the losses of the complete trials, see :func:`autosched.transfer.best_peak`.
    """
    best = winner(state)
    if best is None:
        return "it has no complete trial"
    peak = space.family(best.family).parameters.get("peak_lr")
    domain = None if peak is None else peak.domain
    if not isinstance(domain, Range):
        return f"the peak LR of its best family, {best.family}, is not searched between bounds"
    law = study_law(state, space)
    if isinstance(law, FitFailure) or not isinstance(law.law, Forecaster):
        return _from_trials(state, best.family)
    log_peaks = np.linspace(math.log(domain.low), math.log(domain.high), PEAKS)
    params = [{**best.params, "peak_lr": float(peak)} for peak in np.exp(log_peaks).clip(domain.low, domain.high)]
    query = Query.ends([build_schedule(space, ScheduleSpec(family=best.family, params=each)) for each in params])
    ends = with_interior_best(law.law.forecast(query), query.features, PeakPosterior.of(log_peaks))
    alike = np.ones(PEAKS)
    draws = joint_draws(ends, alike, alike, count=DRAWS, random=generator(space.seed, "best peak LR"))
    places = log_peaks[draws.argmin(axis=1)]
    spacing = float(log_peaks[1] - log_peaks[0]) / math.sqrt(12)
    return BestPeak(log_lr=float(places.mean()), log_sd=math.hypot(float(places.std()), spacing), bracketed=True)


def _from_trials(state: StudyState, family: str) -> BestPeak | str:
    ended = [trial for trial in state.searched if trial.family == family and trial.value is not None]
    try:
        return best_peak([t.schedule.peak_lr for t in ended], [math.nan if t.value is None else t.value for t in ended])
    except UsageError as error:
        return str(error)
