"""What old runs tell a new study: losses where the model is the same, the best peak LR where it is another.

Of the same model and data the curves join those the law is fitted to, whatever their horizons: they identify it before
anything is trained. Of another model or other data the losses mean nothing here; only where the best peak LR lay is
carried over, as a normal prior on its log, by the default rules for the horizon, the batch and the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autosched.curves.curve import Curve
from autosched.errors import SpaceError, UsageError
from autosched.laws.fit import thinned
from autosched.laws.priors import POINTS_PER_CURVE
from autosched.schedules.schedule import Schedule
from autosched.search.priors import LEAST_PEAK_SD, MOST_CURVES, OTHER_MODEL_SD
from autosched.space.hyperparameters import coordinates, divided
from autosched.space.records import Space
from autosched.space.warm_start import OldRun, WarmStart
from autosched.transfer import (
    DEFAULTS,
    Change,
    NoTransfer,
    PeakPrior,
    Setting,
    Transfer,
    best_peak,
    peak_lr_prior,
    transferred,
)


def comparable(space: Space) -> list[Curve]:
    """The old runs of the same model and data, as curves.

    Raises:
        SpaceError: runs whose hyperparameters are not those of this space, or not known; or a source that was not
            read: where a study begins, :func:`chosen` reads it into the space.
    """
    for warm in space.warm_start:
        if not warm.runs:
            raise SpaceError(f"warm_start: {warm.source!r} was not read; a study begins with the runs in its space.")
    return [_placed(space, warm, run) for warm in space.warm_start if warm.model == "same" for run in warm.runs]


def _placed(space: Space, warm: WarmStart, run: OldRun) -> Curve:
    """The run's curve, with its hyperparameters in their places; those that it does not say are the trainer's own."""
    curve, own = run.curve(), space.trainer.own_hyperparameters
    for name, value in run.hyperparameters.items():
        if name not in space.hyperparameters and own.get(name) != value:
            text = f"runs were trained with {name} {value}: search {name}, or write it as an option of the trainer"
            raise SpaceError(f"warm_start: {warm.source!r}: {text}.")
    known = {**divided(own, space.hyperparameters)[1], **divided(run.hyperparameters, space.hyperparameters)[1]}
    for name, parameter in space.hyperparameters.items():
        if name not in known and not parameter.when:
            text = f"runs do not say their {name}, which is searched: write what it was as an option of the trainer"
            raise SpaceError(f"warm_start: {warm.source!r}: {text}.")
    places = coordinates(space.hyperparameters, known)
    return replace(curve, schedule=curve.schedule.beside(known, places)) if places.places else curve


def chosen(curves: Sequence[tuple[str, Curve]], model: str, most: int = MOST_CURVES) -> tuple[OldRun, ...]:
    """The runs that tell most, at most `most` of them, each thinned to at most 24 points after its start-up.

    Of the same model one after another from every octave of the peak LR, first those that got furthest, then those
    that ended lowest, so that a long list of the best does not hide what the law learns from the others. Of another
    model only complete runs, see :func:`peak_prior`; one per peak LR, the lowest.

    Raises:
        UsageError: no run has a loss after its start-up; of another model, no two complete runs of one horizon with
            different peak LRs.
    """
    usable = []
    for name, curve in curves:
        sound = curve.losses > 0
        positive = Curve(schedule=curve.schedule, steps=curve.steps[sound], losses=curve.losses[sound], name=name)
        thin = thinned(positive, most=POINTS_PER_CURVE)
        if thin.steps.size and curve.schedule.peak_lr > 0:
            usable.append(OldRun.of(thin, name))
    if not usable:
        raise UsageError("no run has a loss > 0 after its start-up, the first tenth of its horizon.")
    return _spread(usable, most) if model == "same" else _ladder(usable, most)


def peak_prior(space: Space) -> PeakPrior | None:
    """What the old runs of other models say of the best peak LR; of several sources the surest alone counts.

    ``mean = ln(best old peak x factor of the rules)``,
    ``sd**2 = (the old peak's, at least 0.2)**2 + (the rules')**2 + 0.35**2``; the last is for the change of model.
    None without such runs.
    """
    priors = [_carried(warm, space.horizon_steps) for warm in space.warm_start if warm.model == "other"]
    return min(priors, key=lambda prior: prior.sd) if priors else None


def _carried(warm: WarmStart, horizon: int) -> PeakPrior:
    """The prior from one source; the schedules' shapes are taken for alike."""
    found = best_peak([run.schedule().peak_lr for run in warm.runs], [run.losses[-1] for run in warm.runs])
    said = transfer_of(warm, warm.runs[0].horizon, horizon)
    prior = peak_lr_prior(found.peak_lr, said, best_log_sd=max(found.log_sd, LEAST_PEAK_SD))
    return PeakPrior(mean=prior.mean, sd=math.hypot(prior.sd, OTHER_MODEL_SD))


def transfer_of(warm: WarmStart, old_horizon: int, new_horizon: int) -> Transfer:
    """What the default rules say of the change of horizon and, where given, of batch and width."""
    (old_width, new_width), (old_batch, new_batch) = warm.width or (None, None), warm.batch or (None, None)
    change = Change(
        old=Setting(schedule=Schedule(np.ones(old_horizon)), width=old_width, batch=old_batch),
        new=Setting(schedule=Schedule(np.ones(new_horizon)), width=new_width, batch=new_batch),
    )
    rules = [DEFAULTS["horizon"]]
    rules += [DEFAULTS["batch"]] if warm.batch else []
    rules += [DEFAULTS["width"]] if warm.width else []
    said = transferred(change, rules)
    if isinstance(said, NoTransfer):  # each rule is asked only where what it needs is given
        raise UsageError(f"warm_start: {warm.source!r}: {said.reason}")
    return said


def _spread(runs: Sequence[OldRun], most: int) -> tuple[OldRun, ...]:
    groups: dict[int, list[OldRun]] = {}
    for run in sorted(runs, key=lambda run: (-run.steps[-1] / run.horizon, run.losses[-1], run.name)):
        groups.setdefault(round(math.log2(run.schedule().peak_lr)), []).append(run)
    turns = [(turn, run.losses[-1], run.name, run) for group in groups.values() for turn, run in enumerate(group)]
    return tuple(run for *_, run in sorted(turns, key=lambda entry: entry[:3])[:most])


def _ladder(runs: Sequence[OldRun], most: int) -> tuple[OldRun, ...]:
    """The complete runs of the horizon with the most peak LRs, the longest of equal ones; only their last points."""
    horizons: dict[int, dict[float, OldRun]] = {}
    for run in sorted(runs, key=lambda run: (run.losses[-1], run.name)):
        if run.steps[-1] == run.horizon:
            horizons.setdefault(run.horizon, {}).setdefault(run.schedule().peak_lr, run)
    ladder = max(horizons.items(), key=lambda item: (len(item[1]), item[0]), default=(0, {}))[1]
    if len(ladder) < 2:
        raise UsageError(
            "to place the best peak LR, two complete runs of one horizon and different peak LRs are needed."
        )
    return tuple(list(ladder.values())[:most])
