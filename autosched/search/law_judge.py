"""What becomes of a running trial under the law controller: it goes on, waits, or is stopped; with the law's forecast.

With the forecast's mean m and relative standard deviation s, and the best complete loss b, the probability that the
trial beats it is ``Phi((ln b - ln m) / s)``. Under the `threshold` of the law pruner's options the trial is stopped,
unless the law has seen nothing of it yet; a share of such trials is kept nevertheless, to count how often that would
have been wrong (holdouts). A stopped trial stays among the controller's candidates, so it is resumed when the law
changes its mind.

Where no law describes the curves, the controller proposes as TPE does, and Hyperband stops what it proposed: the usual
search, until a law fits again.
"""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.special import ndtr, ndtri

from autosched.ledger.records import LAWLESS, Decision, Forecast
from autosched.ledger.state import StudyState
from autosched.randomness import uniform
from autosched.search.law_controller import LawController
from autosched.search.law_pruner import LawPrunerOptions
from autosched.search.optuna_pruner import OptunaPruner
from autosched.search.policy import Pruner
from autosched.space.records import Component, Space

INSTEAD = "hyperband"


class LawJudge:
    """The pruner ``law`` beside the controller ``law``, whose surrogate it shares.

    Args:
        space: gives the seed of the holdout draws.
        options: of the law pruner; `threshold` and `holdout_share` count here.
    """

    def __init__(self, space: Space, controller: LawController, options: LawPrunerOptions) -> None:
        self._space, self._seed, self._controller, self._options = space, space.seed, controller, options
        self._usual: OptunaPruner | None = None

    def judge(self, state: StudyState, trial: int) -> Decision:
        """Stop what cannot win, pause what promises less than another candidate, keep the rest."""
        forecast = self._controller.forecast(state, trial)
        hopeless = None if forecast is None else self._hopeless(state, trial, forecast)
        nothing = Decision(action="keep", reason="no other candidate promises more")
        decision = hopeless or self._controller.judge(state, trial) or self._lawless(state, trial) or nothing
        return decision if decision.forecast is not None else replace(decision, forecast=forecast)

    def _lawless(self, state: StudyState, trial: int) -> Decision | None:
        """What Hyperband says while no law describes the curves; None while one does."""
        if not self._controller.is_lawless(state):
            return None
        if self._usual is None:
            self._usual = OptunaPruner(self._space, Component(name=INSTEAD))
        usual = self._usual.judge(state, trial)
        return replace(usual, reason=f"{LAWLESS}; {usual.reason}")

    def resume(self, state: StudyState) -> None:
        """The controller resumes, weighing stopped trials against new ones."""

    def _hopeless(self, state: StudyState, trial: int, forecast: Forecast) -> Decision | None:
        best = state.best_trial()
        if best is None or best.value is None or not self._controller.has_seen(state, trial):
            return None
        chance = chance_below(forecast, best.value)
        threshold = self._options.rule.threshold
        if chance >= threshold or self._controller.chance(state, trial) >= threshold:
            return None  # the controller knows more than the law: where short runs place the best peak LR
        reason = f"its chance to beat {best.value:.4f} is {chance:.1%}"
        if uniform(self._seed, trial, "holdout") < self._options.holdout_share:
            return Decision(
                action="keep", reason=f"{reason}, but it is kept as a holdout", forecast=forecast, holdout=True
            )
        return Decision(action="stop", reason=reason, forecast=forecast)


def chance_below(forecast: Forecast, loss: float) -> float:
    """Probability that a loss forecast as log-normal with this 90% interval ends below `loss`."""
    sd = (math.log(forecast.high) - math.log(forecast.low)) / (2 * float(ndtri(0.95)))
    gap = math.log(loss) - math.log(forecast.mean)
    return float(ndtr(gap / sd)) if sd > 0 else float(gap > 0)


class PausingPruner:
    """Another pruner beside the law controller: what it would keep, the controller may pause."""

    def __init__(self, inner: Pruner, controller: LawController) -> None:
        self._inner, self._controller = inner, controller

    def judge(self, state: StudyState, trial: int) -> Decision:
        """The pruner's decision, or a pause; with the law's forecast when the pruner made none."""
        decision = self._inner.judge(state, trial)
        if decision.action == "keep" and not decision.holdout:
            decision = self._controller.judge(state, trial) or decision
        return (
            decision
            if decision.forecast is not None
            else replace(decision, forecast=self._controller.forecast(state, trial))
        )

    def resume(self, state: StudyState) -> None:
        """The controller resumes."""
