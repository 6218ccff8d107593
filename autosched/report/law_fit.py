"""The law behind a study: the surrogate that its search followed, kept so that it can be asked again."""

from __future__ import annotations

import numpy as np

from autosched.curves import Curve
from autosched.laws.files import SavedLaw
from autosched.laws.fit import FitFailure
from autosched.laws.forecaster import Forecaster
from autosched.laws.priors import WORST_MISFIT
from autosched.ledger.state import StudyState, TrialState
from autosched.search.surrogate import Surrogate
from autosched.space.records import Space


def study_law(state: StudyState, space: Space) -> SavedLaw | FitFailure:
    """The law that the search follows at this place of the study; ``autosched predict law.json`` reads it.

    Confirmation runs are left out: their seeds differ, and a law does not know seeds. A pilot counts as far as it was
    meant to go.
    """
    if space.hyperparameters:
        names = ", ".join(space.hyperparameters)
        return FitFailure(reason=f"a law file knows LRs alone, and this study searched {names} too.")
    surrogate = Surrogate(space)
    fitted = surrogate.at(state)
    if isinstance(fitted, FitFailure):
        return fitted
    curves, runs = surrogate.curves(state, len(state.log))
    logs = list(curves)
    for trial, number in runs.items():
        if curves[number].name == f"trial {trial}":  # not one that so far shares all its updates with another
            logs[number] = _log(state.trials[trial])
    return SavedLaw.of(fitted.law, logs)


def misfit(law: SavedLaw) -> float | None:
    """By how much the law misses its curves, root mean square of log residuals; None of one that was not fitted."""
    if not isinstance(law.law, Forecaster):
        return None
    return float(law.law.weights @ [fit.residual_sd for fit in law.law.fits])


def misfit_note(law: SavedLaw) -> str | None:
    """What to know of a law that misses its curves by more than those of language models are missed; else None."""
    missed = misfit(law)
    if missed is None or missed <= WORST_MISFIT:
        return None
    return f"the law misses the curves by {missed:.0%} (root mean square), and its forecasts are as unsure as that"


def _log(trial: TrialState) -> Curve:
    """All that a trial logged, by which its run is recognised when its log is longer."""
    return Curve(
        schedule=trial.schedule,
        steps=np.array([point.step for point in trial.points], dtype=np.float64),
        losses=np.array([point.loss for point in trial.points]),
        name=f"trial {trial.number}",
    )
