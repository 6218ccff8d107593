"""What a law-guided search trains before it follows its law: short runs or a design, and at times one whole run.

The law knows nothing of a model it has not seen. In a space with ranges a few short runs of different peak LRs show
where the best one lies (:mod:`autosched.search.short_runs`). A space that lists its candidates has no room for other
runs: there, a few candidates of different peak LRs are trained a little, the *design*. Neither is needed where old
runs of the same model show the effect of the peak (:mod:`autosched.search.old_runs`).

After short runs, and where the law forecasts left-out curves badly or losses scatter much, as in mostly transient runs,
early forecasts of ends are worth little: a schedule of about the best peak LR and a middling shape is trained to its
end, the *anchor*, which shows the law a whole run and is a fair one itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from autosched.ledger.records import KEEP, Decision
from autosched.ledger.state import StudyState, TrialState
from autosched.randomness import generator
from autosched.search.law_candidates import Candidate, Candidates
from autosched.search.law_options import LawOptions
from autosched.search.old_runs import peak_prior
from autosched.search.peak_posterior import PeakPosterior
from autosched.search.protocols import Proposal, Thaw
from autosched.search.room import has_room
from autosched.search.short_runs import FAMILY, ShortRuns, ended_runs, peak_posterior, planned, to_horizon
from autosched.search.surrogate import Fitted, Surrogate
from autosched.space.records import Space
from autosched.transfer import PeakPrior

LEVERAGE = 5.0
"""Error of an end forecast from the first fifth of a run, over the scatter of one evaluation."""
FEWEST_RUNS = 2
"""Full runs that a budget must have before short runs are made."""
FEWEST_TRIALS = 3
"""Trials that a budget must have for each short run."""
ALONE = ("law", "none")
"""Pruners beside which there are short runs: to those that compare losses at one update, a cooled run looks best."""


class Start:
    """The beginning of a law-guided search. A function of the study's state; its caches are rebuilt from it.

    Args:
        space: what is searched.
        surrogate: the law of the study.
        pool: gives the candidates; called late, because drawing them takes longer than opening a study should.
    """

    def __init__(self, space: Space, options: LawOptions, surrogate: Surrogate, pool: Callable[[], Candidates]) -> None:
        self._space, self._options, self._surrogate, self._pool = space, options, surrogate, pool
        self._peaks_known: bool | None = None
        self._prior: tuple[PeakPrior | None] | None = None
        self._planned: tuple[ShortRuns | None, tuple[str, ...]] | None = None
        self._posterior_at: tuple[int, PeakPosterior | None] | None = None

    def action(self, state: StudyState) -> Proposal | Thaw | None:
        """What must be trained before anything else; None when nothing, or when it is under way."""
        return self._short_run(state) or self._design(state) or self._anchor(state)

    def waits(self, state: StudyState) -> bool:
        """Whether short runs are under way or still to come, before which nothing else is chosen."""
        runs, _ = self._short()
        if runs is None:
            return False
        made = self.short_trials(state)
        going = any(state.trials[n].status == "running" for n in made)
        return going or (len(made) < len(runs.log_peaks) and self._fits(state, runs.length))

    def decision(self, state: StudyState, trial: int) -> Decision | None:
        """What the beginning says of a running trial: go on, or wait for what comes first; None when it is over."""
        runs, _ = self._short()
        if runs is not None and trial in self.short_trials(state):
            over = state.trials[trial].step >= runs.length
            return Decision(action="pause", reason="the short run is over") if over else KEEP
        designed = self._designed(state)
        if (self._short_of_design(state.trials[trial]) and trial in designed) or self._is_anchor(state, trial):
            return KEEP
        missing = self._missing(state, designed)
        return Decision(action="pause", reason=missing) if missing else None

    def short_trials(self, state: StudyState) -> list[int]:
        """The trials that are short runs."""
        runs, marks = self._short()
        if runs is None:
            return []
        return [t.number for t in state.trials if t.kind == "search" and t.family == FAMILY and t.fingerprint in marks]

    def short_ends(self) -> Mapping[str, int]:
        """The fingerprints of the short runs' schedules, and after how many updates these runs end."""
        runs, marks = self._short()
        return {} if runs is None else dict.fromkeys(marks, runs.length)

    def peak_posterior(self, state: StudyState) -> PeakPosterior | None:
        """Where the best ln(peak LR) lies, as short runs tell it; None without them."""
        runs, marks = self._short()
        if runs is None:
            return None
        seen = sum(state.trials[number].step for number in self.short_trials(state))
        if self._posterior_at is None or self._posterior_at[0] != seen:
            peaks, losses = ended_runs(state, runs, marks)
            prior = self.prior()
            before = (
                PeakPosterior.of(self._pool().asked.features[:, 0])
                if prior is None
                else PeakPosterior(prior.mean, prior.sd)
            )
            carried = to_horizon(runs.length, self._space.horizon_steps)
            self._posterior_at = seen, peak_posterior(peaks, losses, before, carried)
        return self._posterior_at[1]

    def prior(self) -> PeakPrior | None:
        """Where other models' runs place the best peak LR; None where runs of the same model say it better."""
        if self._prior is None:
            self._prior = (None if self._knows_peaks() else peak_prior(self._space),)
        return self._prior[0]

    def _missing(self, state: StudyState, designed: list[int]) -> str:
        """What the law needs to see before anything else; empty when nothing."""
        if self.waits(state):
            return "the law needs to see short runs first"
        if len(designed) < self._design_size() or any(self._short_of_design(state.trials[n]) for n in designed):
            return "the law needs to see other peak LRs first"
        return "the law needs to see a whole run first" if self._anchor(state) is not None else ""

    def _knows_peaks(self) -> bool:
        """Whether comparable old runs show what the peak LR does, so that no design is needed."""
        if self._peaks_known is None:
            self._peaks_known = len({curve.schedule.peak_lr for curve in self._surrogate.old()}) > 1
        return self._peaks_known

    # -- short runs -------------------------------------------------------------------------------------------------

    def _short(self) -> tuple[ShortRuns | None, tuple[str, ...]]:
        """The short runs of the study and the fingerprints of their schedules; None where there are to be none."""
        if self._planned is None:
            runs = self._plan()
            self._planned = runs, () if runs is None else runs.fingerprints(self._space.horizon_steps)
        return self._planned

    def _plan(self) -> ShortRuns | None:
        space, count = self._space, self._options.short_runs
        steps = math.inf if space.search_steps is None else space.search_steps
        trials = math.inf if space.budget.trials is None else space.budget.trials
        small = steps < FEWEST_RUNS * space.horizon_steps or trials < FEWEST_TRIALS * count
        if space.candidates or not count or small or space.pruner.name not in ALONE or self._knows_peaks():
            return None
        pool = self._pool()
        peaks = np.unique(pool.asked.features[:, 0])
        if peaks.size <= count:
            return None
        shares, prior = (np.arange(count) + 0.5) / count, self.prior()
        aims = peaks[0] + shares * (peaks[-1] - peaks[0])
        if prior is not None:
            aims = np.array([prior.quantile(float(share)) for share in shares])
        warmups = [int(candidate.schedule.lrs.argmax()) for candidate in pool.pool]
        order = generator(space.seed, "short runs").permutation(count)
        return planned(space, aims[order].tolist(), int(np.median(warmups)), self._options.short_share)

    def _short_run(self, state: StudyState) -> Proposal | None:
        """The next short run, if it fits the budget."""
        runs, _ = self._short()
        made = 0 if runs is None else len(self.short_trials(state))
        if runs is None or made >= len(runs.log_peaks) or not self._fits(state, runs.length):
            return None
        return Proposal(family=FAMILY, params=runs.params(made), until=runs.length)

    # -- the design -------------------------------------------------------------------------------------------------

    def _design_size(self) -> int:
        if self._knows_peaks() or self._short()[0] is not None:
            return 0
        peaks = {candidate.schedule.peak_lr for candidate in self._pool().pool}
        return min(self._options.design, len(peaks))

    def _designed(self, state: StudyState) -> list[int]:
        searched = [trial.number for trial in state.trials if trial.kind == "search"]
        return searched[: self._design_size()]

    def _short_of_design(self, trial: TrialState) -> bool:
        reach = self._options.design_share * self._space.horizon_steps
        return trial.status == "running" and trial.step < reach  # a pruner may have stopped it: nobody waits for that

    def _design(self, state: StudyState) -> Proposal | None:
        """The next trial of the design: a random point among those nearest to the peak LR that is due."""
        done, size = len(self._designed(state)), self._design_size()
        if done >= size or not self._fits(state, self._space.horizon_steps):
            return None
        pool = self._pool().pool
        peaks = np.array([candidate.schedule.log_peak_lr for candidate in pool])
        tried = {trial.fingerprint for trial in state.trials}
        order = generator(self._space.seed, "design").permutation(size)
        share, prior = (order[done] + 1) / (size + 1), self.prior()
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
        central = self._central(state)
        trial = next((t for t in state.trials if t.fingerprint == central.schedule.fingerprint), None)
        if trial is None:
            return Proposal(family=central.spec.family, params=central.spec.params)
        if trial.status == "paused":
            return Thaw(trial=trial.number, reason="the law needs to see a whole run")
        return None  # it runs, or it diverged, failed or was stopped: then the law must do without

    def _central(self, state: StudyState) -> Candidate:
        place = self.peak_posterior(state) or PeakPosterior.of(self._pool().asked.features[:, 0])
        return self._pool().central(place.mean)

    def _is_anchor(self, state: StudyState, trial: int) -> bool:
        return self._needs_anchor(state) and (
            state.trials[trial].fingerprint == self._central(state).schedule.fingerprint
        )

    def _needs_anchor(self, state: StudyState) -> bool:
        """Whether no run is whole, and the law's errors on left-out curves or the losses' scatter are large.

        After short runs alone nothing tells how wrong the law is about whole ones.
        """
        if any(trial.status == "complete" and trial.kind != "confirm" for trial in state.trials):
            return False
        if any(curve.steps.size and curve.steps[-1] >= curve.schedule.steps for curve in self._surrogate.old()):
            return False
        if self.peak_posterior(state) is not None:
            return True
        fitted = self._surrogate.at(state)
        if not isinstance(fitted, Fitted):
            return False
        doubts = fitted.law.error, LEVERAGE * fitted.law.scatter
        return any(doubt >= self._options.trusted for doubt in doubts)

    def _fits(self, state: StudyState, needs: int) -> bool:
        return has_room(self._space, state, needs)
