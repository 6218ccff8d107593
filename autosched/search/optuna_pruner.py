"""Any Optuna pruner by name. They compare losses at the same step, so they throw late-decaying schedules away:
measured on 36 real runs, median and successive halving kill the best schedule in most orders. Use ``law`` instead;
these exist to compare with.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autosched.errors import SpaceError
from autosched.ledger.records import KEEP, Decision
from autosched.ledger.state import StudyState, TrialState, TrialStatus
from autosched.search.optuna_options import PRUNER_OPTIONS, check_options, made
from autosched.space.records import Component, Space

if TYPE_CHECKING:
    import optuna


def make_pruner(component: Component, space: Space) -> optuna.pruners.BasePruner:
    """An Optuna pruner by its name in a space file, with resources in updates.

    Raises:
        SpaceError: an option the pruner does not have, or a value it refuses.
    """
    from optuna import pruners

    check_options(f"pruner {component.name!r}", component.options, PRUNER_OPTIONS[component.name])
    rung = space.checkpoint_every
    makers: Mapping[str, tuple[Any, dict[str, Any]]] = {
        "median": (pruners.MedianPruner, {"n_startup_trials": 4, "n_warmup_steps": rung}),
        "percentile": (pruners.PercentilePruner, {"percentile": 25.0, "n_startup_trials": 4, "n_warmup_steps": rung}),
        "asha": (pruners.SuccessiveHalvingPruner, {"min_resource": rung, "reduction_factor": 3}),
        "hyperband": (
            pruners.HyperbandPruner,
            {"min_resource": rung, "max_resource": space.horizon_steps, "reduction_factor": 3},
        ),
        "threshold": (pruners.ThresholdPruner, {}),
    }
    maker, preset = makers[component.name]
    options = {**preset, **component.options}
    if "max_resource" in options and options["min_resource"] > options["max_resource"]:
        rule = f"min_resource must be at most max_resource ({options['max_resource']})"
        raise SpaceError(f"pruner {component.name!r}: {rule}, but got {options['min_resource']}.")
    pruner: optuna.pruners.BasePruner = made(f"pruner {component.name!r}", maker, options)
    return pruner


class NoPruner:
    """Keeps every trial."""

    def judge(self, state: StudyState, trial: int) -> Decision:
        """Keep."""
        return KEEP

    def resume(self, state: StudyState) -> None:
        """Nothing was stopped."""


class OptunaPruner:
    """Asks an Optuna pruner, on an in-memory study rebuilt from the ledger."""

    def __init__(self, space: Space, component: Component) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._name = component.name
        self._study = optuna.create_study(
            study_name=space.study, sampler=optuna.samplers.RandomSampler(seed=0), pruner=make_pruner(component, space)
        )
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._reported: dict[int, int] = {}
        self._verdicts: dict[int, bool] = {}
        self._horizon = space.horizon_steps
        self._cursor = 0

    def judge(self, state: StudyState, trial: int) -> Decision:
        """Stop when Optuna's pruner would prune at the trial's last evaluation."""
        self._catch_up(state)
        points = state.trials[trial].points
        if not points:
            return Decision(action="keep", reason=f"{self._name}: nothing evaluated yet")
        stop = self._verdicts[trial]
        seen = f"{self._name}: loss {points[-1].loss:.4f} at update {points[-1].step}"
        if stop:
            return Decision(action="stop", reason=f"{seen} is among the worse at that update")
        return Decision(action="keep", reason=f"{seen} is good enough at that update")

    def resume(self, state: StudyState) -> None:
        """What these pruners stop stays stopped."""

    def _catch_up(self, state: StudyState) -> None:
        """Read the log from the cursor; asking again is part of it, since some pruners note rungs when asked."""
        for kind, number, step, status, *_ in state.log[self._cursor :]:
            trial = state.trials[number]
            if trial.role == "confirm":
                continue
            if kind == "proposed" or (kind == "resumed" and number not in self._trials):
                self._trials[number] = self._study.ask()
            elif kind == "advanced":
                self._advance(trial, step)
            elif kind == "ended" and status not in {"reached", "paused"}:
                self._end(trial, status)
        self._cursor = len(state.log)

    def _advance(self, trial: TrialState, step: int) -> None:
        optuna_trial = self._trials[trial.number]
        first = self._reported.get(trial.number, 0)
        points = [point for point in trial.points[first:] if point.step <= step]
        for point in points:
            optuna_trial.report(point.loss, point.step)
        self._reported[trial.number] = first + len(points)
        if step < self._horizon:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._verdicts[trial.number] = optuna_trial.should_prune()

    def _end(self, trial: TrialState, status: TrialStatus) -> None:
        from optuna.trial import TrialState as OptunaState

        optuna_trial = self._trials.pop(trial.number)
        self._reported.pop(trial.number, None)
        self._verdicts.pop(trial.number, None)
        if status == "complete" and trial.value is not None:
            self._study.tell(optuna_trial, trial.value)
        elif status == "pruned" and trial.points:
            self._study.tell(optuna_trial, state=OptunaState.PRUNED)
        else:
            self._study.tell(optuna_trial, state=OptunaState.FAIL)
