"""What becomes of a running trial under the law controller: it goes on, waits, or is stopped; with the law's forecast.

With the forecast's mean m and relative standard deviation s, and the best complete loss b, the probability that the
trial beats it is ``Phi((ln b - ln m) / s)``. Under the `threshold` of the law pruner's options the trial is stopped,
unless the law has seen nothing of it yet; a share of such trials is kept nevertheless, to count how often that would
have been wrong (holdouts). A stopped trial stays among the controller's candidates, so it is resumed when the law
changes its mind.
"""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.special import ndtr, ndtri

from autosched.ledger.records import KEEP, Decision, Forecast
from autosched.ledger.state import StudyState
from autosched.randomness import uniform
from autosched.search.law_controller import LawController
from autosched.search.law_pruner import LawPrunerOptions
from autosched.search.policy import Pruner
from autosched.space.records import Space


class LawJudge:
    """The pruner ``law`` beside the controller ``law``, whose surrogate it shares.

    Args:
        space: gives the seed of the holdout draws.
        options: of the law pruner; `threshold` and `holdout_share` count here.
    """

    def __init__(self, space: Space, controller: LawController, options: LawPrunerOptions) -> None:
        self._seed, self._controller, self._options = space.seed, controller, options

    def judge(self, state: StudyState, trial: int) -> Decision:
        """Stop what cannot win, pause what promises less than another candidate, keep the rest."""
        forecast = self._controller.forecast(state, trial)
        hopeless = None if forecast is None else self._hopeless(state, trial, forecast)
        decision = hopeless or self._controller.judge(state, trial) or KEEP
        return decision if decision.forecast is not None else replace(decision, forecast=forecast)

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
