"""What a law-guided search trains before it follows its law: pilots or a design, and at times one whole run.

The law knows nothing of a model it has not seen. In a space with ranges a few short pilot runs of different peak LRs
show where the best one lies (:mod:`autosched.search.pilots`). A space that lists its candidates has no room for other
runs: there, a few candidates of different peak LRs are trained a little, the *design*. Neither is needed where old
runs of the same model show the effect of the peak (:mod:`autosched.search.old_runs`).

After pilots, and where the law forecasts left-out curves badly or losses scatter much, as in mostly transient runs,
early forecasts of ends are worth little: a schedule of about the best peak LR and a middling shape is trained to its
end, the *reference run*, which shows the law a whole run and is a fair one itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState, TrialState
from autosched.randomness import generator
from autosched.search.budget import fits
from autosched.search.law_candidates import Candidate, Candidates
from autosched.search.law_options import LawOptions
from autosched.search.old_runs import peak_prior
from autosched.search.peak_posterior import PeakPosterior
from autosched.search.pilots import Pilots, peak_posterior, pilot_ends, planned, to_horizon
from autosched.search.policy import Proposal, Resume
from autosched.search.priors import FEWEST_FULL_RUNS, FEWEST_TRIALS_PER_PILOT, LEVERAGE
from autosched.search.surrogate import Fitted, Surrogate
from autosched.space.records import Space
from autosched.transfer import PeakPrior

ALONE = ("law", "none")
"""Pruners beside which there are pilots: to those that compare losses at one update, a cooled run looks best."""


class Start:
    """The beginning of a law-guided search. A function of the study's state; its caches are rebuilt from it.

    Args:
        space: what is searched.
        surrogate: the law of the study.
        pool: gives the candidates; called late, because drawing them takes longer than opening a study should.
    """

    def __init__(self, space: Space, options: LawOptions, surrogate: Surrogate, pool: Callable[[], Candidates]) -> None:
        self._space, self._options, self._surrogate, self._pool = space, options, surrogate, pool
        self._posterior: tuple[int, PeakPosterior | None] | None = None

    def action(self, state: StudyState) -> Proposal | Resume | None:
        """What must be trained before anything else; None when nothing, or when it is under way."""
        return self._pilot(state) or self._design(state) or self._reference(state)

    def waits(self, state: StudyState) -> bool:
        """Whether pilots are under way or still to come, before which nothing else is chosen."""
        pilots, made = self._pilots, _pilots_of(state)
        if pilots is None:
            return False
        going = any(trial.status == "running" for trial in made)
        return going or (len(made) < len(pilots.log_peaks) and fits(self._space, state, pilots.length))

    def decision(self, state: StudyState, trial: int) -> Decision | None:
        """What the beginning says of a running trial: go on, or wait for what comes first; None when it is over."""
        running = state.trials[trial]
        if running.role == "pilot":
            return Decision(action="keep", reason=f"a pilot run of {running.until} updates")
        if running.role == "design":
            return Decision(action="keep", reason=f"shows the law its peak LR until update {running.until}")
        if running.role == "reference" and self._needs_reference(state):
            return Decision(action="keep", reason="the law needs to see a whole run")
        missing = self._missing(state)
        return Decision(action="pause", reason=missing) if missing else None

    def peak_posterior(self, state: StudyState) -> PeakPosterior | None:
        """Where the best ln(peak LR) lies, given the pilots' ends; None without them."""
        made = _pilots_of(state)
        seen = sum(trial.step for trial in made)
        if self._posterior is None or self._posterior[0] != seen:
            found = None
            if made:
                prior = self.prior
                before = (
                    PeakPosterior.of(self._pool().asked.features[:, 0])
                    if prior is None
                    else PeakPosterior(prior.mean, prior.sd)
                )
                found = peak_posterior(*pilot_ends(made), before, to_horizon(made[0].until, self._space.horizon_steps))
            self._posterior = seen, found
        return self._posterior[1]

    @cached_property
    def prior(self) -> PeakPrior | None:
        """Where other models' runs place the best peak LR; None where runs of the same model say it better."""
        return None if self._knows_peaks else peak_prior(self._space)

    def _missing(self, state: StudyState) -> str:
        """What the law needs to see before anything else; empty when nothing."""
        if self.waits(state):
            return "the law needs to see pilot runs first"
        if len(_designed(state)) < self._design_size() or any(
            state.trials[number].role == "design" for number in state.active
        ):
            return "the law needs to see other peak LRs first"
        return "the law needs to see a whole run first" if self._reference(state) is not None else ""

    @cached_property
    def _knows_peaks(self) -> bool:
        """Whether comparable old runs show what the peak LR does, so that no design is needed."""
        return len({curve.schedule.peak_lr for curve in self._surrogate.old}) > 1

    # -- pilots -----------------------------------------------------------------------------------------------------

    @cached_property
    def _pilots(self) -> Pilots | None:
        """The pilots of the study; None where there are to be none."""
        space, count = self._space, self._options.pilots
        steps = math.inf if space.search_steps is None else space.search_steps
        trials = math.inf if space.budget.trials is None else space.budget.trials
        small = steps < FEWEST_FULL_RUNS * space.horizon_steps or trials < FEWEST_TRIALS_PER_PILOT * count
        if space.candidates or not count or small or space.pruner.name not in ALONE or self._knows_peaks:
            return None
        pool = self._pool()
        peaks = np.unique(pool.asked.features[:, 0])
        if peaks.size <= count:
            return None
        shares, prior = (np.arange(count) + 0.5) / count, self.prior
        aims = peaks[0] + shares * (peaks[-1] - peaks[0])
        if prior is not None:
            aims = np.array([prior.quantile(float(share)) for share in shares])
        outlines = [candidate.schedule.outline for candidate in pool.pool]
        warmups = [int(outline.updates[outline.lrs.argmax()]) for outline in outlines]
        order = generator(space.seed, "short runs").permutation(count)
        return planned(space, aims[order].tolist(), int(np.median(warmups)), self._options.pilot_share)

    def _pilot(self, state: StudyState) -> Proposal | None:
        """The next pilot, if it fits the budget."""
        pilots, made = self._pilots, len(_pilots_of(state))
        if pilots is None or made >= len(pilots.log_peaks) or not fits(self._space, state, pilots.length):
            return None
        return Proposal(schedule=pilots.schedule(made, self._space.horizon_steps), until=pilots.length, role="pilot")

    # -- the design -------------------------------------------------------------------------------------------------

    def _design_size(self) -> int:
        if self._knows_peaks or self._pilots is not None:
            return 0
        peaks = {candidate.schedule.peak_lr for candidate in self._pool().pool}
        return min(self._options.design, len(peaks))

    def _design(self, state: StudyState) -> Proposal | None:
        """The next trial of the design: a random point among those nearest to the peak LR that is due."""
        done, size = len(_designed(state)), self._design_size()
        if done >= size or not fits(self._space, state, self._space.horizon_steps):  # it is to be gone on with
            return None
        pool = self._pool().pool
        peaks = np.array([candidate.schedule.log_peak_lr for candidate in pool])
        tried = {trial.schedule for trial in state.trials}
        order = generator(self._space.seed, "design").permutation(size)
        share, prior = (order[done] + 1) / (size + 1), self.prior
        aims = np.unique(peaks) if np.unique(peaks).size <= 2 * size else np.sort(peaks)
        aim = float(np.quantile(aims, share, method="nearest")) if prior is None else prior.quantile(share)
        gaps = np.abs(peaks - aim)
        nearest = [i for i in np.argsort(gaps, kind="stable") if pool[i].schedule not in tried]
        nearest = [i for i in nearest if gaps[i] <= gaps[nearest[0]] + 1e-9]
        if not nearest:
            return None
        chosen = pool[int(generator(self._space.seed, done, "design").choice(nearest))]
        every, reach = self._space.checkpoint_every, self._options.design_share * self._space.horizon_steps
        until = min(every * math.ceil(reach / every), self._space.horizon_steps)
        return Proposal(schedule=chosen.schedule, until=until, role="design")

    # -- the reference run ------------------------------------------------------------------------------------------

    def _reference(self, state: StudyState) -> Proposal | Resume | None:
        """The whole run that the law needs to see; None when none is needed, it is under way, or it does not fit."""
        if not self._needs_reference(state) or not fits(self._space, state, self._space.horizon_steps):
            return None
        central = self._central(state).schedule
        trial = next((t for t in state.trials if t.schedule == central), None)
        if trial is None:
            return Proposal(schedule=central, until=self._space.horizon_steps, role="reference")
        if trial.status in {"reached", "paused"}:
            reason = "the law needs to see a whole run"
            return Resume(trial=trial.number, until=self._space.horizon_steps, reason=reason, role="reference")
        return None  # it runs, or it diverged, failed or was stopped: then the law must do without

    def _central(self, state: StudyState) -> Candidate:
        best = self.peak_posterior(state) or PeakPosterior.of(self._pool().asked.features[:, 0])
        return self._pool().central(best.mean)

    def _needs_reference(self, state: StudyState) -> bool:
        """Whether no run is whole, and the law's errors on left-out curves or the losses' scatter are large.

        After pilots alone nothing tells how wrong the law is about whole runs.
        """
        if state.best is not None:
            return False
        if any(curve.steps.size and curve.steps[-1] >= curve.schedule.steps for curve in self._surrogate.old):
            return False
        if self.peak_posterior(state) is not None:
            return True
        fitted = self._surrogate.at(state)
        if not isinstance(fitted, Fitted):
            return False
        doubts = fitted.law.error, LEVERAGE * fitted.law.scatter
        return any(doubt >= self._options.trusted for doubt in doubts)


def _pilots_of(state: StudyState) -> list[TrialState]:
    return [trial for trial in state.trials if trial.role == "pilot"]


def _designed(state: StudyState) -> list[TrialState]:
    """The trials that were proposed as the design."""
    return [trial for trial in state.trials if trial.turns[0].role == "design"]
