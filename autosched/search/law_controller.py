"""The law-guided search: at every free worker, train what promises most per update it still needs.

All candidates' final losses are one joint normal: the stacked law's mean and uncertainty with the Gaussian process of
its residual, conditioned on every curve of the study, whole or partial (:mod:`autosched.laws.forecaster`). By joint
draws of it, a candidate is worth its chance to be (nearly) the best, or its expected improvement on the best complete
run where pilots have shown the place of the best peak LR (:mod:`autosched.search.acquisition`)::

    score_i = worth_i / cost_i,    cost_i the updates of candidate i that nobody has trained yet

The best by this score is started, or resumed when it was stopped before. After every segment of a running trial the
scores are looked at again, and the trial is paused when another one promises more: a paused trial costs nothing to
take up again, so the search moves between partial runs as freely as the law changes its mind. Divergence is a
constraint of its own (:mod:`autosched.search.divergence`).

What is trained before the law is followed is :mod:`autosched.search.law_start`'s matter. Where no law can be fitted,
TPE proposes, and every trial is trained as the pruner allows. Ways that were tried and what they gave are in
``docs/explanation/search.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosched.laws.fit import FitFailure
from autosched.laws.forecast import Forecast, Query
from autosched.laws.forecaster import Forecaster
from autosched.ledger.events import SearchEnded
from autosched.ledger.records import Decision
from autosched.ledger.records import Forecast as Recorded
from autosched.ledger.state import StudyState
from autosched.randomness import generator
from autosched.schedules.registry import get_family
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.search.acquisition import chances, gains, joint_draws
from autosched.search.budget import fits, remaining, to_go, trials_left
from autosched.search.divergence import boundary, lost
from autosched.search.law_candidates import CANDIDATE_ROLES, Candidate, Candidates
from autosched.search.law_options import LawOptions
from autosched.search.law_rule import LawRule, recorded
from autosched.search.law_start import Start
from autosched.search.optuna_controller import OptunaController
from autosched.search.peak_posterior import with_interior_best
from autosched.search.policy import Proposal, Resume
from autosched.search.priors import (
    HYPERPARAMETER_PEAK_SD,
    MOST_CURVES,
    ORIGINS,
    REMEMBERED,
    SAFE_SHARE,
    SHAPE_PEAK_SD,
    UNTESTED_DOUBT,
)
from autosched.search.surrogate import Fitted, Surrogate
from autosched.space.hyperparameters import central, coordinates
from autosched.space.records import Component, ScheduleSpec, Space


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Candidates and what each promises; those that may not be chosen now have a score of -1.

    Attributes:
        chance: of being (nearly) the best, shape (n,).
        improvement: expected improvement, log loss, shape (n,); None before a run is complete.
        gain: the improvement where it counts; None where the chance does.
        score: gain or chance per share of the horizon that is still needed, shape (n,).
    """

    candidates: list[Candidate]
    chance: FloatArray
    improvement: FloatArray | None
    gain: FloatArray | None
    score: FloatArray

    def said(self, better: int, worse: int) -> str:
        """How much one promises, and another, for a person."""
        if self.gain is None:
            return f"{self.chance[better]:.0%} against {self.chance[worse]:.0%} to be the best"
        return f"an expected improvement of {self.gain[better]:.3%} against {self.gain[worse]:.3%}"

    def best(self) -> int | None:
        """The candidate of the highest score; None when none may be chosen."""
        if not self.candidates:
            return None
        number = int(self.score.argmax())
        return number if self.score[number] >= 0 else None


class LawController:
    """Proposes, resumes and pauses by the law. A function of the study's state; its caches are rebuilt from it.

    Args:
        space: what is searched.
        options: see :class:`LawOptions`.
    """

    def __init__(self, space: Space, options: Mapping[str, Any]) -> None:
        self._space, self._options = space, LawOptions.of(options)
        self._surrogate = Surrogate(space)
        self._start = Start(space, self._options, self._surrogate, lambda: self._pool)
        self._known_ends: tuple[Any, Forecast] | None = None
        self._weighed: tuple[int, int | None, _Scores | None] | None = None

    def ask(self, state: StudyState) -> Proposal | Resume | SearchEnded | None:
        """The most promising new point or stopped trial that fits the budget; None when nothing does.

        When all trials are proposed, stopped ones are resumed as long as they have a chance. Where the space says what
        a run must be worth, the end of the search when none is.
        """
        spent = trials_left(self._space, state) == 0
        first = None if spent else self._start.action(state)
        if first is not None or self._start.waits(state):
            return first
        scores = self._scores(state, None)
        if scores is None:
            return self._rest(state) if spent else self._blind.ask(state)
        number = scores.best()
        if number is None or (spent and scores.chance[number] < LawRule().threshold):
            return None
        end = self._end(state, scores)
        if end is not None:
            return None if state.active else end
        chosen = scores.candidates[number]
        if chosen.trial is None:
            return Proposal(schedule=chosen.schedule, until=self._space.horizon_steps)
        reason = f"its chance of being the best is {scores.chance[number]:.0%} again"
        return Resume(trial=chosen.trial, until=self._space.horizon_steps, reason=reason)

    def outcome(self, state: StudyState) -> str | None:
        """Why no run was worth it any more; otherwise the budget knows."""
        return None if state.search_ended is None else state.search_ended.reason

    def can_branch(self, schedule: Schedule, step: int) -> bool:
        """Anywhere in the stable phase: it branches off on purpose."""
        family = get_family(schedule.family)
        return step <= family.stable_steps(family.complete(schedule.params, steps=schedule.steps), schedule.steps)

    def forecast(self, state: StudyState, trial: int) -> Recorded | None:
        """What the law says of a running trial's final loss; None while there is no law."""
        fitted = self._surrogate.at(state)
        if not isinstance(fitted, Fitted) or state.trials[trial].role == "pilot":
            return None
        schedule = state.trials[trial].schedule
        end = fitted.law.forecast(Query.ends([schedule]), [fitted.runs.get(trial)])
        return recorded(end, law=fitted.law.name, step=state.trials[trial].step)

    def is_lawless(self, state: StudyState) -> bool:
        """Whether no law describes what is a whole run and more: then TPE proposes."""
        return state.best is not None and isinstance(self._surrogate.at(state), FitFailure)

    def has_seen(self, state: StudyState, trial: int) -> bool:
        """Whether losses of this trial are among those the law is fitted to; its first ones are not."""
        fitted = self._surrogate.at(state)
        return isinstance(fitted, Fitted) and trial in fitted.runs

    def chance(self, state: StudyState, trial: int) -> float:
        """A running trial's chance to be (nearly) the best of all, by all that is known; 0 while nothing is."""
        scores = self._scores(state, trial)
        if scores is None:
            return 0.0
        return next((c for one, c in zip(scores.candidates, scores.chance, strict=True) if one.trial == trial), 0.0)

    def judge(self, state: StudyState, trial: int) -> Decision | None:
        """Whether a running trial should wait, because another candidate promises more per update; None to go on."""
        return self._start.decision(state, trial) or self._outdone(state, trial)

    def _outdone(self, state: StudyState, trial: int) -> Decision | None:
        """A pause when another candidate promises more than a running trial, which has had its stretch.

        One that has shown the law nothing yet goes on: in its first updates all are alike to it.
        """
        if not self.has_seen(state, trial):
            return None
        running = state.trials[trial]
        if running.step - running.turns[-1].start < self._options.stretch * self._space.horizon_steps:
            return None
        scores = self._scores(state, trial)
        end = None if scores is None else self._end(state, scores)
        if end is not None:
            return Decision(action="pause", reason=end.reason)
        best = None if scores is None else scores.best()
        if scores is None or best is None or scores.candidates[best].trial == trial:
            return None
        own = next(i for i, candidate in enumerate(scores.candidates) if candidate.trial == trial)
        if scores.score[best] <= self._options.patience * scores.score[own]:
            return None
        other = scores.candidates[best]
        name = f"trial {other.trial}" if other.trial is not None else f"a new {other.spec.family}"
        return Decision(action="pause", reason=f"{name} promises more: {scores.said(best, own)}")

    def _end(self, state: StudyState, scores: _Scores) -> SearchEnded | None:
        """The end of the search when no run that may be chosen is expected to gain what it must; None otherwise."""
        worth, best = self._space.budget.stop_when, state.best_trial()
        if worth is None or scores.improvement is None or best is None or best.value is None:
            return None
        number = int(np.where(scores.score >= 0, scores.improvement, -1.0).argmax())
        gain = best.value * -math.expm1(-float(scores.improvement[number]))
        if scores.score[number] < 0 or gain >= worth.gain_below:
            return None
        steps, left = scores.candidates[number].cost_to_go(state), remaining(self._space, state)
        rest = "" if left is None else f"; {left} updates of the budget are left"
        reason = (
            f"one more run is not worth it: {steps} updates for an expected gain of {gain:.2g} nats, below "
            f"{worth.gain_below:g}{rest}"
        )
        return SearchEnded(reason=reason, gain=gain, steps=steps, at=state.clock)

    @cached_property
    def _pool(self) -> Candidates:
        """Made late: drawing a pool takes longer than opening a study should."""
        return Candidates(self._space, size=self._options.pool, near=self._options.near)

    @cached_property
    def _blind(self) -> OptunaController:
        """What proposes while no law can be fitted to this study."""
        return OptunaController(self._space, Component(name="tpe"))

    def _rest(self, state: StudyState) -> Resume | None:
        """Without a law, when all trials are proposed: go on with one that was only begun, the lowest loss first."""
        begun = [trial for trial in state.searched if trial.status in {"reached", "paused"} and trial.role != "pilot"]
        fitting = [trial for trial in begun if fits(self._space, state, self._pool.of(trial).cost_to_go(state))]
        if not fitting:
            return None
        chosen = min(fitting, key=lambda trial: (trial.points[-1].loss if trial.points else math.inf, trial.number))
        reason = "no law can be fitted, so what was begun is trained to the end"
        return Resume(trial=chosen.number, until=self._space.horizon_steps, reason=reason)

    # -- the scores -------------------------------------------------------------------------------------------------

    def _scores(self, state: StudyState, running: int | None) -> _Scores | None:
        """What all candidates promise now; `running` may be chosen beside those that do not run. None without a law."""
        if self._weighed is None or self._weighed[:2] != (len(state.log), running):
            fitted = self._surrogate.at(state)
            found = self._weigh(state, fitted, running) if isinstance(fitted, Fitted) else None
            self._weighed = len(state.log), running, found
        return self._weighed[2]

    def _weigh(self, state: StudyState, fitted: Fitted, running: int | None) -> _Scores | None:
        """Scores of the candidates that can be had; what the budget has no room for is no competitor either.

        None when the law can say nothing of any of them.
        """
        pool = self._pool
        whole = [trial for trial in state.searched if trial.role != "pilot"]
        going = [trial for trial in whole if trial.status == "running"]
        known = [*map(pool.of, going), *pool.stopped(state, MOST_CURVES)]
        known = sorted(known, key=lambda candidate: candidate.trial or 0)
        tried = {trial.schedule for trial in state.trials}
        seen, _ = self._surrogate.place(state)
        fresh = pool.novel(pool.near(seen, self._origins(state)), whole)
        every = [*known, *fresh, *pool.pool]
        free = np.array([self._free(state, candidate, running) for candidate in every], dtype=np.bool_)
        new = np.array([c.trial is not None or c.schedule not in tried for c in every], dtype=np.bool_)
        runs = np.array(
            [c.trial is not None and state.trials[c.trial].status == "running" for c in every], dtype=np.bool_
        )
        rows = np.flatnonzero((free & new) | runs)
        candidates = [every[row] for row in rows]
        ends = self._ends(state, fitted, [*known, *fresh])
        ends = ends[rows]
        if candidates and not np.any(ends.sound):
            return None
        chance, improvement, gain = self._worth(state, fitted, candidates, ends, pending=(runs & ~free)[rows])
        cost = np.array([max(candidate.cost_to_go(state), self._space.eval_every) for candidate in candidates])
        worth = chance if gain is None else gain
        score = np.where(free[rows], worth * self._space.horizon_steps / cost, -1.0)
        return _Scores(candidates, chance, improvement, gain, score)

    def _worth(
        self,
        state: StudyState,
        fitted: Fitted,
        candidates: list[Candidate],
        ends: Forecast,
        pending: NDArray[np.bool_],
    ) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
        """Of each candidate the chance to be the best, its expected improvement, and the latter where it counts.

        It counts once a run is complete and pilots have shown where the best peak LR lies: only then are forecasts
        of peak LRs that nobody has seen bounded, so that following them is no chase after what is known least.
        """
        survival, weights = self._survival(state, candidates), self._prior_weights(state, candidates)
        random = generator(self._space.seed, len(state.log), "law")
        draws = joint_draws(ends, survival, weights, count=self._options.draws, random=random)
        best = state.best_trial()
        least = math.inf if best is None or best.value is None else math.log(best.value)
        chance = chances(draws, least, self._tolerance(fitted))
        if math.isinf(least):
            return chance, None, None
        improvement = gains(draws, least, pending)
        counts = self._start.peak_posterior(state) is not None and improvement.max(initial=0.0) > 0
        return chance, improvement, improvement if counts else None

    def _ends(self, state: StudyState, fitted: Fitted, fresh: list[Candidate]) -> Forecast:
        """Joint final losses of the fresh candidates and then of the pool; the same until something new is seen."""
        asked_for = (self._surrogate.place(state), tuple((c.trial, c.schedule) for c in fresh))
        if self._known_ends is None or self._known_ends[0] != asked_for:
            self._known_ends = asked_for, self._joint_ends(state, fitted, fresh)
        return self._known_ends[1]

    def _joint_ends(self, state: StudyState, fitted: Fitted, fresh: list[Candidate]) -> Forecast:
        asked = [Query.ends([candidate.schedule for candidate in fresh]), self._pool.asked]
        runs = [None if c.trial is None else fitted.runs.get(c.trial) for c in fresh]
        runs += [None] * len(self._pool.pool)
        ends = _comparing(fitted.law).forecast(asked if fresh else asked[1:], runs, observation_noise=False)
        best = self._start.peak_posterior(state)
        if best is None:
            return ends
        return with_interior_best(ends, np.concatenate([group.features for group in asked]), best)

    def _survival(self, state: StudyState, candidates: list[Candidate]) -> FloatArray:
        """Probability of each candidate not to diverge."""
        horizon = self._space.horizon_steps
        searched = state.searched
        gone = lost({trial.number: trial.step for trial in searched}, state.trials)
        failed = gone | {trial.number for trial in searched if trial.status == "diverged"}
        diverged = [trial.schedule for trial in searched if trial.number in failed]
        safe = [trial for trial in searched if trial.number not in failed and trial.step >= SAFE_SHARE * horizon]
        found = boundary([trial.schedule for trial in safe[-REMEMBERED:]], diverged[-REMEMBERED:])
        return np.ones(len(candidates)) if found is None else found.survival([c.schedule for c in candidates])

    def _tolerance(self, fitted: Fitted) -> float:
        """Relative gap of final losses that does not count: the scatter of an evaluation hides smaller ones."""
        return max(self._options.tolerance, fitted.law.scatter)

    def _prior_weights(self, state: StudyState, candidates: list[Candidate]) -> FloatArray:
        """How likely each candidate's peak LR is the best by what is known beforehand, 1 for the likeliest.

        Pilots of this very model tell it to the end; other models' runs until a candidate is complete.
        """
        best, prior = self._start.peak_posterior(state), self._start.prior
        complete = any(trial.role in CANDIDATE_ROLES and trial.status == "complete" for trial in state.trials)
        if best is not None:
            mean, sd = best.mean, np.hypot(math.hypot(best.sd, SHAPE_PEAK_SD), self._moved_by(candidates))
        elif prior is not None and not complete:
            mean, sd = prior.mean, np.hypot(prior.sd, self._moved_by(candidates))
        else:
            return np.ones(len(candidates))
        peaks = np.array([candidate.schedule.log_peak_lr for candidate in candidates])
        weights: FloatArray = np.exp(-0.5 * ((peaks - mean) / sd) ** 2)
        return weights

    def _moved_by(self, candidates: list[Candidate]) -> FloatArray:
        """How far each candidate's hyperparameters may move the best peak LR, ln, shape (n,); 0 without any."""
        searched = self._space.hyperparameters
        middle = np.array(coordinates(searched, central(searched)).places)
        places = np.array([c.schedule.coordinates.places for c in candidates]).reshape(len(candidates), middle.size)
        distances: FloatArray = np.sqrt(np.sum((places - middle) ** 2, axis=1))
        return HYPERPARAMETER_PEAK_SD * distances

    def _origins(self, state: StudyState) -> list[ScheduleSpec]:
        """The points whose neighbourhood is looked at: the best complete trials, and the latest ones."""
        done = [trial for trial in state.searched if trial.status == "complete" and trial.value is not None]
        done.sort(key=lambda trial: (trial.value, trial.number))
        latest = [trial for trial in reversed(state.trials) if trial.role in CANDIDATE_ROLES]
        chosen = {trial.number: trial for trial in [*done[: ORIGINS // 2], *latest[: ORIGINS // 2]]}
        inside = {family.family for family in self._space.schedule}
        return [trial.spec for trial in chosen.values() if trial.family in inside]

    def _free(self, state: StudyState, candidate: Candidate, running: int | None) -> bool:
        """Whether a candidate may be chosen: it does not run already, and the budget has what it needs."""
        if candidate.trial is not None and state.trials[candidate.trial].status == "running":
            return candidate.trial == running
        if candidate.trial is None and trials_left(self._space, state) == 0:
            return False
        promised = 0 if running is None else to_go(state, running)
        return fits(self._space, state, candidate.cost_to_go(state) - promised)


def _comparing(law: Forecaster) -> Forecaster:
    """The law for weighing candidates against each other.

    What a cooldown gives that nobody saw is one error of all of them, so it is left out; and the search doubts more
    than what is said of a single run: it does without the calibration, and twice as much where nothing was tested.
    """
    return replace(law, cooldown=None, calibration=1.0, inflation=law.inflation if law.tested else UNTESTED_DOUBT)
