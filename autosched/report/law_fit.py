"""The law behind a study: fitted to what its trials showed, kept so that it can be asked again."""

from __future__ import annotations

import numpy as np

from autosched.curves import Curve
from autosched.laws.auto import fit_auto
from autosched.laws.files import SavedLaw
from autosched.laws.fit import FitFailure
from autosched.ledger.state import StudyState, TrialState
from autosched.space import build_schedule
from autosched.space.records import ScheduleSpec, Space

MOST_CURVES = 24
"""Curves a study's law is fitted to: the complete ones first, then those that went farthest."""


def study_law(state: StudyState, space: Space) -> SavedLaw | FitFailure:
    """The stacked law of the trials that share the study's seed; ``autosched predict law.json`` reads it.

    Confirmation runs are left out: their seeds differ, and a law does not know seeds.
    """
    seen = [trial for trial in state.trials if trial.kind != "confirm" and len(trial.points) > 1]
    ranked = sorted(seen, key=lambda trial: (trial.status != "complete", -trial.step, trial.number))[:MOST_CURVES]
    curves = [_curve(trial, space) for trial in ranked]
    if not curves:
        return FitFailure(reason="no trial has two evaluations yet.")
    fitted = fit_auto(curves)
    return fitted if isinstance(fitted, FitFailure) else SavedLaw.of(fitted, curves)


def _curve(trial: TrialState, space: Space) -> Curve:
    return Curve(
        schedule=build_schedule(space, ScheduleSpec(family=trial.family, params=trial.params)),
        steps=np.array([point.step for point in trial.points], dtype=np.float64),
        losses=np.array([point.loss for point in trial.points]),
        name=f"trial {trial.number}",
    )
