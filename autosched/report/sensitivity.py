"""LR sensitivity of a study's families, from the trials that were trained to the end or diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autosched.curves.sensitivity import NoSensitivity, Sensitivity, lr_sensitivity
from autosched.ledger.state import StudyState, TrialState
from autosched.schedules.parameter import PEAK_LR


def sensitivities(state: StudyState) -> dict[str, Sensitivity | NoSensitivity]:
    """By family, in order of first appearance; families without a peak LR, or with a single one, are left out.

    Pruned, failed and stopped trials have no final loss and do not count; where bad LRs were pruned, the range is that
    of the others. The loss of an untrained model is that of the range test's first update where there was one, else the
    highest first evaluation of any trial, which is a little below it.
    """
    trials = [trial for trial in state.searched if PEAK_LR.name in trial.params]
    families = dict.fromkeys(trial.family for trial in trials)
    by_family = {name: [trial for trial in trials if trial.family == name] for name in families}
    searched = {name: own for name, own in by_family.items() if len({_peak(trial) for trial in own}) > 1}
    return {name: _sensitivity(own, _untrained(state)) for name, own in searched.items()}


def _sensitivity(trials: Sequence[TrialState], start_loss: float) -> Sensitivity | NoSensitivity:
    ended = [trial for trial in trials if trial.status in {"complete", "diverged"}]
    losses = [math.inf if trial.value is None else trial.value for trial in ended]
    return lr_sensitivity(np.array([_peak(trial) for trial in ended]), np.array(losses), start_loss=start_loss)


def _peak(trial: TrialState) -> float:
    peak = trial.params[PEAK_LR.name]
    return float(peak) if isinstance(peak, int | float) else math.nan


def _untrained(state: StudyState) -> float:
    swept = None if state.range_test is None else state.observations.get(state.range_test.segment)
    if swept is not None and swept.points:
        return swept.points[0].loss
    return max((trial.points[0].loss for trial in state.trials if trial.points), default=math.inf)
