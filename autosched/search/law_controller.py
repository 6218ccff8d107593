"""The law-guided search: at every free worker, train what is likeliest to be the best per update it still needs.

All candidates' final losses are one joint normal: the stacked law's mean and uncertainty with the Gaussian process of
its residual, conditioned on every curve of the study, whole or partial (:mod:`autosched.laws.ends`). With joint draws
y of it, and needs_i the updates of candidate i that nobody has trained yet::

    score_i = P( y_i <= min_j y_j * (1 + tolerance) ) / needs_i,   the tolerance at least the scatter of an evaluation

The best by this score is started, or thawed when it was stopped before. After every segment of a running trial the
scores are looked at again, and the trial is paused when another one promises more: a paused trial costs nothing to
take up again, so the search moves between partial runs as freely as the law changes its mind. Completed trials are
known losses among the draws. Divergence is a constraint of its own (:mod:`autosched.search.divergence`).

At the start the law knows nothing of this model: a few trials of different peak LRs are trained a little first, unless
old runs of the same model show the effect of the peak (:mod:`autosched.search.old_runs`). Where the law then forecasts
left-out curves badly, or losses scatter much, as in short runs, its early forecasts of ends are worth little: a
schedule in the middle of the space is trained to its end, which shows the law a whole run and is a fair one itself.
Where no law can be fitted, TPE proposes, and every trial is trained as the pruner allows. Ways that were tried and what
they gave are in ``docs/search.md``.
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
from autosched.search.divergence import boundary
from autosched.search.law_candidates import Candidate, Candidates
from autosched.search.law_options import LawOptions
from autosched.search.old_runs import peak_prior
from autosched.search.optuna_controller import OptunaController
from autosched.search.protocols import Proposal, Thaw, Unstaged
from autosched.search.room import room_for, trials_left
from autosched.space.records import Component, Space
from autosched.transfer import PeakPrior

MOST_STOPPED = 24
INTERVAL = 0.9
HOPELESS = 0.05
ORIGINS = 6
MOST_SEEN = 200
LEVERAGE = 5.0
"""Error of an end forecast from the first fifth of a run, over the scatter of one evaluation."""
SAFE_SHARE = 0.2  # of the horizon: a run that got so far did not diverge at its peak
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


class LawController(Unstaged):
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
        self._peaks_known: bool | None = None
        self._told: tuple[PeakPrior | None] | None = None
        self._fallback: OptunaController | None = None
        self._known_ends: tuple[Any, Ends] | None = None
        self._weighed: tuple[int, int | None, _Scores | None] | None = None

    def ask(self, state: StudyState) -> Proposal | Thaw | None:
        """The most promising new point or stopped trial that fits the budget; None when nothing does.

        When all trials are proposed, stopped ones are thawed as long as they have a chance.
        """
        spent = trials_left(self._space, state) == 0
        planned = None if spent else self._design(state)
        if planned is not None:
            return planned
        anchor = None if spent else self._anchor(state)
        if anchor is not None:
            return anchor
        scores = self._scores(state, None)
        if scores is None:
            return None if spent else self._blind(state)
        number = scores.best()
        if number is None or (spent and scores.chance[number] < HOPELESS):
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
        if (self._short_of_design(state.trials[trial]) and trial in designed) or self._is_anchor(state, trial):
            return None
        missing = self._missing(state, designed)
        return Decision(action="pause", reason=missing) if missing else self._outdone(state, trial)

    def _missing(self, state: StudyState, designed: list[int]) -> str:
        """What the law needs to see before anything else; empty when nothing."""
        if len(designed) < self._design_size() or any(self._short_of_design(state.trials[n]) for n in designed):
            return "the law needs to see other peak LRs first"
        return "the law needs to see a whole run first" if self._anchor(state) is not None else ""

    def _outdone(self, state: StudyState, trial: int) -> Decision | None:
        """A pause when another candidate promises more than a running trial, which has had its stretch."""
        if state.trials[trial].step - taken_up_at(state, trial) < self._options.stretch * self._space.horizon_steps:
            return None
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

    def _knows_peaks(self) -> bool:
        """Whether comparable old runs show what the peak LR does, so that no design is needed."""
        if self._peaks_known is None:
            self._peaks_known = len({curve.schedule.peak_lr for curve in self._belief.old()}) > 1
        return self._peaks_known

    def _prior(self) -> PeakPrior | None:
        """Where other models' runs place the best peak LR; None where runs of the same model say it better."""
        if self._told is None:
            self._told = (None if self._knows_peaks() else peak_prior(self._space),)
        return self._told[0]

    def _design_size(self) -> int:
        if self._knows_peaks():
            return 0
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
        share, prior = (order[done] + 1) / (size + 1), self._prior()
        aims = np.unique(peaks) if np.unique(peaks).size <= 2 * size else np.sort(peaks)
        aim = float(np.quantile(aims, share, method="nearest")) if prior is None else prior.quantile(share)
        gaps = np.abs(peaks - aim)
        nearest = [i for i in np.argsort(gaps, kind="stable") if pool[i].schedule.fingerprint not in tried]
        nearest = [i for i in nearest if gaps[i] <= gaps[nearest[0]] + 1e-9]
        if not nearest:
            return None
        chosen = pool[int(generator(self._space.seed, done, "design").choice(nearest))]
        return Proposal(family=chosen.spec.family, params=chosen.spec.params)

    # -- the anchor -------------------------------------------------------------------------------------------------

    def _anchor(self, state: StudyState) -> Proposal | Thaw | None:
        """The whole run that the law needs to see, when it is not under way; None when none is needed or has room."""
        if not self._needs_anchor(state) or not self._fits(state, self._space.horizon_steps):
            return None
        central = self._pool().central()
        trial = next((t for t in state.trials if t.fingerprint == central.schedule.fingerprint), None)
        if trial is None:
            return Proposal(family=central.spec.family, params=central.spec.params)
        if trial.status == "paused":
            return Thaw(trial=trial.number, reason="the law needs to see a whole run")
        return None  # it runs, or it diverged, failed or was stopped: then the law must do without

    def _is_anchor(self, state: StudyState, trial: int) -> bool:
        central = self._pool().central().schedule.fingerprint
        return state.trials[trial].fingerprint == central and self._needs_anchor(state)

    def _needs_anchor(self, state: StudyState) -> bool:
        """Whether no run is whole, and the law's errors on left-out curves or the losses' scatter are large."""
        if any(trial.status == "complete" and trial.kind != "confirm" for trial in state.trials):
            return False
        if any(curve.steps.size and curve.steps[-1] >= curve.schedule.steps for curve in self._belief.old()):
            return False
        fitted = self._belief.at(state)
        if not isinstance(fitted, Fitted):
            return False
        doubts = fitted.law.error, LEVERAGE * fitted.law.process.kernel.scatter
        return any(doubt >= self._options.trusted for doubt in doubts)

    def _blind(self, state: StudyState) -> Proposal | None:
        """While no law can be fitted to this study: what TPE proposes, if a whole run fits."""
        if self._fallback is None:
            self._fallback = OptunaController(self._space, Component(name="tpe"))
        return self._fallback.ask(state) if self._fits(state, self._space.horizon_steps) else None

    # -- the scores -------------------------------------------------------------------------------------------------

    def _scores(self, state: StudyState, running: int | None) -> _Scores | None:
        """What all candidates promise now; `running` may be chosen beside those that do not run. None without a law."""
        if self._weighed is None or self._weighed[:2] != (len(state.log), running):
            fitted = self._belief.at(state)
            found = self._weigh(state, fitted, running) if isinstance(fitted, Fitted) else None
            self._weighed = len(state.log), running, found
        return self._weighed[2]

    def _weigh(self, state: StudyState, fitted: Fitted, running: int | None) -> _Scores | None:
        """Scores of the candidates that can be had; what the budget has no room for is no competitor either.

        None when the law can say nothing of any of them.
        """
        pool = self._pool()
        known = [pool.of(trial) for trial in state.trials if trial.status == "running" and trial.kind != "confirm"]
        known = sorted([*known, *pool.stopped(state, MOST_STOPPED)], key=lambda candidate: candidate.trial or 0)
        tried = {trial.fingerprint for trial in state.trials}
        seen, _ = self._belief.place(state)
        fresh = pool.novel(pool.near(seen, self._origins(state)), [t for t in state.trials if t.kind != "confirm"])
        every = [*known, *fresh, *pool.pool]
        free = np.array([self._free(state, candidate, running) for candidate in every], dtype=np.bool_)
        new = np.array([c.trial is not None or c.schedule.fingerprint not in tried for c in every], dtype=np.bool_)
        going = np.array([c.trial is not None and state.trials[c.trial].status == "running" for c in every])
        rows = np.flatnonzero((free & new) | going)
        candidates = [every[row] for row in rows]
        ends = self._ends(state, fitted, [*known, *fresh])
        ends = Ends(log_mean=ends.log_mean[rows], covariance=ends.covariance[np.ix_(rows, rows)])
        if candidates and not np.any(_sound(ends)):
            return None
        chance = self._chances(state, ends, self._survival(state, candidates), self._tolerance(fitted))
        chance = chance * self._prior_weights(state, candidates)
        needs = np.array([max(candidate.needs(state), self._space.eval_every) for candidate in candidates])
        return _Scores(candidates, chance, np.where(free[rows], chance * self._space.horizon_steps / needs, -1.0))

    def _ends(self, state: StudyState, fitted: Fitted, fresh: list[Candidate]) -> Ends:
        """Joint final losses of the fresh candidates and then of the pool; the same until something new is seen."""
        asked_for = (self._belief.place(state), tuple((c.trial, c.schedule.fingerprint) for c in fresh))
        if self._known_ends is None or self._known_ends[0] != asked_for:
            self._known_ends = asked_for, self._joint_ends(fitted, fresh)
        return self._known_ends[1]

    def _joint_ends(self, fitted: Fitted, fresh: list[Candidate]) -> Ends:
        asked = [AskedEnds.of([candidate.schedule for candidate in fresh]), self._pool().asked]
        runs = [None if c.trial is None else fitted.runs.get(c.trial) for c in fresh]
        runs += [None] * len(self._pool().pool)
        return joint_ends(fitted.law, asked if fresh else asked[1:], runs, luck=False)

    def _survival(self, state: StudyState, candidates: list[Candidate]) -> FloatArray:
        """Probability of each candidate not to diverge."""
        horizon = self._space.horizon_steps
        searched = [trial for trial in state.trials if trial.kind != "confirm"]
        diverged = [self._belief.schedule(trial) for trial in searched if trial.status == "diverged"]
        safe = [trial for trial in searched if trial.status != "diverged" and trial.step >= SAFE_SHARE * horizon]
        found = boundary([self._belief.schedule(trial) for trial in safe[-MOST_SEEN:]], diverged[-MOST_SEEN:])
        return np.ones(len(candidates)) if found is None else found.survival([c.schedule for c in candidates])

    def _tolerance(self, fitted: Fitted) -> float:
        """Relative gap of final losses that does not count: the scatter of an evaluation hides smaller ones."""
        return max(self._options.tolerance, fitted.law.process.kernel.scatter)

    def _chances(self, state: StudyState, ends: Ends, survival: FloatArray, tolerance: float) -> FloatArray:
        """Probability of each to be the best of all, complete trials included, within the tolerance."""
        random = generator(self._space.seed, len(state.log), "law")
        sound = _sound(ends)
        mean = np.where(sound, ends.log_mean, np.inf)
        usable = sound[:, None] & sound[None, :] & np.isfinite(ends.covariance)
        covariance = np.where(usable, ends.covariance, 0.0)
        draws = mean + _correlated(covariance, random.standard_normal((self._options.draws, mean.size)))
        draws = np.where(random.uniform(size=draws.shape) < survival, draws, np.inf)
        best = state.best_trial()
        least = draws.min(axis=1, initial=np.inf if best is None or best.value is None else float(np.log(best.value)))
        near = draws <= least[:, None] + tolerance
        chance: FloatArray = (near & np.isfinite(draws)).mean(axis=0)
        return chance

    def _prior_weights(self, state: StudyState, candidates: list[Candidate]) -> FloatArray:
        """What the prior leaves of each chance, 1 at its centre; all of it once a searched trial is complete."""
        prior = self._prior()
        if prior is None or any(trial.kind == "search" and trial.status == "complete" for trial in state.trials):
            return np.ones(len(candidates))
        peaks = np.log([max(candidate.schedule.peak_lr, 1e-300) for candidate in candidates])
        weights: FloatArray = np.exp(-0.5 * ((peaks - prior.mean) / prior.sd) ** 2)
        return weights

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
        if candidate.trial is None and trials_left(self._space, state) == 0:
            return False
        promised = 0 if running is None else self._space.horizon_steps - state.trials[running].step
        return self._fits(state, candidate.needs(state) - promised)

    def _fits(self, state: StudyState, needs: int) -> bool:
        room = room_for(self._space, state)
        return room is None or needs <= room


def taken_up_at(state: StudyState, trial: int) -> int:
    """The update from which a running trial goes on since it was started or thawed last."""
    for entry in reversed(state.log):
        if entry.trial == trial and entry.kind in {"proposed", "thawed"}:
            return entry.step
    return 0


def _sound(ends: Ends) -> NDArray[np.bool_]:
    """For which candidates the law has a mean and a variance, shape (n,); a law of very few losses may overflow."""
    return np.isfinite(ends.log_mean) & np.isfinite(np.diag(ends.covariance))


def _correlated(covariance: FloatArray, normal: NDArray[np.float64]) -> FloatArray:
    """Draws of a joint normal from independent ones, shape (draws, n)."""
    values, vectors = np.linalg.eigh(covariance + _JITTER * np.eye(len(covariance)))
    roots: FloatArray = vectors * np.sqrt(np.maximum(values, 0.0))
    return normal @ roots.T
