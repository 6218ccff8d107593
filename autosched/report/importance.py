"""Which searched parameters decide the final loss, by Optuna's own evaluator (PED-ANOVA; Watanabe et al. 2023).

    importance = share of the variance between the better trials' density and all trials' that one parameter explains

It looks at complete trials of what all families share; a parameter that only some families have cannot be compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from autosched.ledger.state import StudyState
from autosched.search.optuna_controller import locate
from autosched.space.records import Space

FEWEST_TRIALS = 10
"""Complete trials below which nothing is said. Source: PED-ANOVA looks at the better tenth, then one trial."""


def importances(state: StudyState, space: Space) -> Mapping[str, float]:
    """By searched parameter its share of 1, the greatest first; empty with too few trials."""
    done = [trial for trial in state.searched if trial.value is not None]
    located = [(trial.value, locate(space, trial.spec)) for trial in done]
    points = [(value, found) for value, found in located if found is not None]
    if len(points) < FEWEST_TRIALS:
        return {}
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    for value, (params, distributions) in points:
        study.add_trial(optuna.create_trial(value=value, params=params, distributions=distributions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the evaluator is new in Optuna
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name.partition(".")[2] or name: share for name, share in found.items()}


def importance_text(found: Mapping[str, float]) -> str:
    """All in one line, e.g. ``weight_decay 61%, peak_lr 30%``."""
    return ", ".join(f"{name} {share:.0%}" for name, share in found.items())
