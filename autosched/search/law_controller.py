"""The law-guided search: at every free worker, train what is likeliest to be the best per update it still needs.

All candidates' final losses are one joint normal: the stacked law's mean and uncertainty with the Gaussian process of
its residual, conditioned on every curve of the study, whole or partial (:mod:`autosched.laws.ends`). With joint draws
y of it, and needs_i the updates of candidate i that nobody has trained yet::

    score_i = P( y_i <= min_j y_j * (1 + tolerance) ) / needs_i

The best by this score is started, or thawed when it was stopped before. After every segment of a running trial the
scores are looked at again, and the trial is paused when another one promises more: a paused trial costs nothing to
take up again, so the search moves between partial runs as freely as the law changes its mind. Completed trials are
known losses among the draws. Divergence is a constraint of its own (:mod:`autosched.search.divergence`).

At the start the law knows nothing of this model: a few trials of different peak LRs are trained a little first. Ways
that were tried and what they gave are in ``docs/search.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autosched.laws.auto import AutoLaw
from autosched.laws.ends import AskedEnds, Ends, joint_ends
from autosched.ledger.records import Decision, Forecast
from autosched.ledger.state import StudyState, TrialState
from autosched.randomness import generator
from autosched.schedules.schedule import FloatArray
from autosched.search.belief import Belief, Fitted
from autosched.search.law_candidates import Candidate, Candidates
from autosched.search.law_options import LawOptions
from autosched.search.protocols import Proposal, Thaw
from autosched.search.room import room_for
from autosched.space.records import Space

MOST_STOPPED = 24
INTERVAL = 0.9
ORIGINS = 6
_JITTER = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Candidates and what each promises; those that may not be chosen now have a score of -1.

    Attributes:
        chance: of being (nearly) the best, shape (n,).
        score: chance per share of the horizon that is still needed, shape (n,).
    """

    candidates: list[Candidate]
    chance: FloatArray
    score: FloatArray

    def best(self) -> int | None:
        """The candidate of the highest score; None when none may be chosen."""
        if not self.candidates:
            return None
        number = int(self.score.argmax())
        return number if self.score[number] >= 0 else None


class LawController:
    """Proposes, thaws and pauses by the law. A function of the study's state; its caches are rebuilt from it.

    Args:
        space: what is searched.
        options: see :class:`LawOptions`.
    """

    counts_prefixes: ClassVar[bool] = True

    def __init__(self, space: Space, options: Mapping[str, Any]) -> None:
        self._space, self._options = space, LawOptions.of(options)
        self._belief = Belief(space)
        self._candidates: Candidates | None = None
        self._weighed: tuple[int, int | None, _Scores | None] | None = None

    def ask(self, state: StudyState) -> Proposal | Thaw | None:
        """The most promising new point or stopped trial that fits the budget; None when nothing does."""
        planned = self._design(state)
        if planned is not None:
            return planned
        scores = self._scores(state, None)
        if scores is None:
            return self._blind(state)
        number = scores.best()
        if number is None:
            return None
        chosen = scores.candidates[number]
        if chosen.trial is None:
            return Proposal(family=chosen.spec.family, params=chosen.spec.params)
        return Thaw(trial=chosen.trial, reason=f"its chance of being the best is {scores.chance[number]:.0%} again")

    def forecast(self, state: StudyState, trial: int) -> Forecast | None:
        """What the law says of a running trial's final loss; None while there is no law."""
        fitted = self._belief.at(state)
        if not isinstance(fitted, Fitted):
            return None
        schedule = self._belief.schedule(state.trials[trial])
        end = fitted.law.forecast(schedule, np.array([float(schedule.steps)]), run=fitted.runs.get(trial))
        low, high = end.interval(INTERVAL)
        if not (np.isfinite(high[0]) and low[0] > 0):
            return None
        step = state.trials[trial].step
        return Forecast(mean=float(end.mean[0]), low=float(low[0]), high=float(high[0]), law=AutoLaw.name, step=step)

    def pause(self, state: StudyState, trial: int) -> Decision | None:
        """Whether a running trial should wait, because another candidate promises more per update; None to go on."""
        designed = self._designed(state)
        if self._short_of_design(state.trials[trial]) and trial in designed:
            return None
        if len(designed) < self._design_size() or any(self._short_of_design(state.trials[n]) for n in designed):
            return Decision(action="pause", reason="the law needs to see other peak LRs first")
        scores = self._scores(state, trial)
        best = None if scores is None else scores.best()
        if scores is None or best is None or scores.candidates[best].trial == trial:
            return None
        own = next(i for i, candidate in enumerate(scores.candidates) if candidate.trial == trial)
        if scores.score[best] <= self._options.patience * scores.score[own]:
            return None
        other = scores.candidates[best]
        name = f"trial {other.trial}" if other.trial is not None else f"a new {other.spec.family}"
        reason = f"{name} promises more: {scores.chance[best]:.0%} against {scores.chance[own]:.0%} to be the best"
        return Decision(action="pause", reason=reason)

    # -- the design -------------------------------------------------------------------------------------------------

    def _pool(self) -> Candidates:
        if self._candidates is None:  # made late: drawing a pool takes longer than opening a study should
            self._candidates = Candidates(self._space, size=self._options.pool, near=self._options.near)
        return self._candidates

    def _design_size(self) -> int:
        peaks = {candidate.schedule.peak_lr for candidate in self._pool().pool}
        return min(self._options.design, len(peaks))

    def _designed(self, state: StudyState) -> list[int]:
        searched = [trial.number for trial in state.trials if trial.kind == "search"]
        return searched[: self._design_size()]

    def _short_of_design(self, trial: TrialState) -> bool:
        reach = self._options.design_share * self._space.horizon_steps
        return trial.status in {"running", "paused", "pruned"} and trial.step < reach

    def _design(self, state: StudyState) -> Proposal | None:
        """The next trial of the design: a random point among those nearest to the peak LR that is due."""
        done, size = len(self._designed(state)), self._design_size()
        if done >= size or not self._fits(state, self._space.horizon_steps):
            return None
        pool = self._pool().pool
        peaks = np.log([max(candidate.schedule.peak_lr, 1e-300) for candidate in pool])
        tried = {trial.fingerprint for trial in state.trials}
        order = generator(self._space.seed, "design").permutation(size)
        aims = np.unique(peaks) if np.unique(peaks).size <= 2 * size else np.sort(peaks)
        aim = float(np.quantile(aims, (order[done] + 1) / (size + 1), method="nearest"))
        gaps = np.abs(peaks - aim)
        nearest = [i for i in np.argsort(gaps, kind="stable") if pool[i].schedule.fingerprint not in tried]
        nearest = [i for i in nearest if gaps[i] <= gaps[nearest[0]] + 1e-9]
        if not nearest:
            return None
        chosen = pool[int(generator(self._space.seed, done, "design").choice(nearest))]
        return Proposal(family=chosen.spec.family, params=chosen.spec.params)

    def _blind(self, state: StudyState) -> Proposal | None:
        """While no law can be fitted: a point of the pool nobody has tried."""
        tried = {trial.fingerprint for trial in state.trials}
        left = [c for c in self._pool().pool if c.schedule.fingerprint not in tried]
        left = [c for c in left if self._fits(state, c.needs(state))]
        if not left:
            return None
        chosen = left[int(generator(self._space.seed, len(state.trials), "blind").integers(len(left)))]
        return Proposal(family=chosen.spec.family, params=chosen.spec.params)

    # -- the scores -------------------------------------------------------------------------------------------------

    def _scores(self, state: StudyState, running: int | None) -> _Scores | None:
        """What all candidates promise now; `running` may be chosen beside those that do not run. None without a law."""
        if self._weighed is None or self._weighed[:2] != (len(state.log), running):
            fitted = self._belief.at(state)
            found = self._weigh(state, fitted, running) if isinstance(fitted, Fitted) else None
            self._weighed = len(state.log), running, found
        return self._weighed[2]

    def _weigh(self, state: StudyState, fitted: Fitted, running: int | None) -> _Scores:
        pool = self._pool()
        known = [pool.of(trial) for trial in state.trials if trial.status == "running" and trial.kind != "confirm"]
        known += pool.stopped(state, MOST_STOPPED)
        near = pool.near(state, self._origins(state))
        tried = {trial.fingerprint for trial in state.trials}
        pooled = [i for i, candidate in enumerate(pool.pool) if candidate.schedule.fingerprint not in tried]
        fresh = [*known, *[c for c in near if c.schedule.fingerprint not in tried]]
        candidates = [*fresh, *[pool.pool[i] for i in pooled]]
        ends = self._ends(fitted, fresh, pooled)
        chance = self._chances(state, ends, generator(self._space.seed, len(state.log), "law"))
        horizon = self._space.horizon_steps
        needs = np.array([max(candidate.needs(state), self._space.eval_every) for candidate in candidates])
        free = np.array([self._free(state, c, running) for c in candidates], dtype=np.bool_)
        return _Scores(candidates, chance, np.where(free, chance * horizon / needs, -1.0))

    def _ends(self, fitted: Fitted, fresh: list[Candidate], pooled: list[int]) -> Ends:
        """Joint final losses of the fresh candidates, then of those of the pool that nobody has tried."""
        asked = [AskedEnds.of([candidate.schedule for candidate in fresh]), self._pool().asked]
        runs = [None if c.trial is None else fitted.runs.get(c.trial) for c in fresh]
        whole = joint_ends(
            fitted.law, asked if fresh else asked[1:], [*runs, *[None] * len(self._pool().pool)], luck=False
        )
        rows = np.array([*range(len(fresh)), *[len(fresh) + i for i in pooled]], dtype=np.intp)
        return Ends(log_mean=whole.log_mean[rows], covariance=whole.covariance[np.ix_(rows, rows)])

    def _chances(self, state: StudyState, ends: Ends, random: np.random.Generator) -> FloatArray:
        """Probability of each to be the best of all, complete trials included, within the tolerance."""
        sound = np.isfinite(ends.log_mean)
        mean = np.where(sound, ends.log_mean, np.inf)
        covariance = np.where(sound[:, None] & sound[None, :], ends.covariance, 0.0)
        draws = mean + _correlated(covariance, random.standard_normal((self._options.draws, mean.size)))
        best = state.best_trial()
        least = draws.min(axis=1, initial=np.inf if best is None or best.value is None else float(np.log(best.value)))
        chance: FloatArray = (draws <= least[:, None] + self._options.tolerance).mean(axis=0)
        return chance

    def _origins(self, state: StudyState) -> list[Any]:
        """The points whose neighbourhood is looked at: the best complete trials, and the latest ones."""
        done = [t for t in state.trials if t.kind != "confirm" and t.status == "complete" and t.value is not None]
        done.sort(key=lambda trial: (trial.value, trial.number))
        latest = [t for t in reversed(state.trials) if t.kind == "search"][: ORIGINS // 2]
        numbers = dict.fromkeys(t.number for t in [*done[: ORIGINS // 2], *latest])
        inside = {family.family for family in self._space.schedule}
        return [self._pool().of(state.trials[n]).spec for n in numbers if state.trials[n].family in inside]

    def _free(self, state: StudyState, candidate: Candidate, running: int | None) -> bool:
        """Whether a candidate may be chosen: it does not run already, and the budget has what it needs."""
        if candidate.trial is not None and state.trials[candidate.trial].status == "running":
            return candidate.trial == running
        promised = 0 if running is None else self._space.horizon_steps - state.trials[running].step
        return self._fits(state, candidate.needs(state) - promised)

    def _fits(self, state: StudyState, needs: int) -> bool:
        room = room_for(self._space, state)
        return room is None or needs <= room


def _correlated(covariance: FloatArray, normal: NDArray[np.float64]) -> FloatArray:
    """Draws of a joint normal from independent ones, shape (draws, n)."""
    values, vectors = np.linalg.eigh(covariance + _JITTER * np.eye(len(covariance)))
    roots: FloatArray = vectors * np.sqrt(np.maximum(values, 0.0))
    return normal @ roots.T
