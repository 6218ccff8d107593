"""What the loss law says of a study: fitted to its curves again and again, cheaply, and the same after a resume.

A cold fit (several starts, leave-one-curve-out weights, a learned kernel) costs tenths of a second, a warm one tens of
milliseconds. So the law is fitted cold when the study's trials have made 1, 2, 3, 4, 5, 6, 8, 10, … segments, a third
more each time, and warm from the last cold fit in between. Both depend on the log up to a place in it and on nothing
else: a surrogate that is made anew finds what the old one had found.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure, thinned
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import FULL, fit_forecaster
from autosched.laws.priors import POINTS_PER_CURVE, WORST_FORECAST_MISFIT, WORST_FORECAST_SHARE
from autosched.ledger.state import StudyState, TrialState
from autosched.search.divergence import lost
from autosched.search.old_runs import comparable
from autosched.search.priors import MOST_CURVES, REFIT_GROWTH
from autosched.space.records import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A law and which of its curves are which trials.

    Attributes:
        runs: trial -> number of its curve in the law; of a trial that so far shares all its updates, that of the trial
            it shares them with.
    """

    law: Forecaster
    runs: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a trial was at some place in the log."""

    trial: TrialState
    step: int


class Surrogate:
    """The law of one study. A function of the study's state; caches by place in its log.

    Args:
        space: gives the horizon, the segments' lengths, and the old runs that are known beforehand.
    """

    def __init__(self, space: Space) -> None:
        self._horizon, self._every = space.horizon_steps, space.checkpoint_every
        self._space = space
        self._segments: list[int] = []  # the places in the log where a trial advanced
        self._diverged = 0
        self._cursor = 0
        self._cold: tuple[int, Forecaster | FitFailure] | None = None
        self._now: tuple[tuple[int, int], Fitted | FitFailure] | None = None

    def at(self, state: StudyState) -> Fitted | FitFailure:
        """The law now."""
        place = self.place(state)
        if self._now is None or self._now[0] != place:
            self._now = place, self._fit(state)
        return self._now[1]

    def place(self, state: StudyState) -> tuple[int, int]:
        """How much was seen: segments, and divergences; what is proposed, paused or resumed teaches nothing."""
        for place in range(self._cursor, len(state.log)):
            entry = state.log[place]
            if entry.kind == "advanced":
                self._segments.append(place)
            self._diverged += entry.status == "diverged"
        self._cursor = len(state.log)
        return len(self._segments), self._diverged

    @cached_property
    def old(self) -> Sequence[Curve]:
        """The comparable old runs; read late, because a space may be checked before its sources are read."""
        return tuple(comparable(self._space))

    def _fit(self, state: StudyState) -> Fitted | FitFailure:
        milestone = _milestone(len(self._segments))
        if milestone == 0 and not self.old:
            return FitFailure(reason="nothing is trained yet.")
        if self._cold is None or self._cold[0] != milestone:
            length = 0 if milestone == 0 else self._segments[milestone - 1] + 1
            curves, _ = self.curves(state, length)
            self._cold = milestone, _fitted(curves, None)
        cold = self._cold[1]
        if isinstance(cold, FitFailure) and cold.tried:
            return cold  # until the next milestone
        curves, runs = self.curves(state, len(state.log))
        law = _fitted(curves, cold if isinstance(cold, Forecaster) else None)
        return Fitted(law=law, runs=runs) if isinstance(law, Forecaster) else law

    def curves(self, state: StudyState, length: int) -> tuple[list[Curve], dict[int, int]]:
        """The curves of the first `length` log entries, no update in two of them; and which trial has which.

        The old runs come first, all of them.
        """
        curves: list[Curve] = list(self.old)
        runs: dict[int, int] = {}
        holders: dict[str, int] = {}  # segment -> number of the curve that has its points
        for reach in self._chosen(state, length):
            segments = reach.trial.segments[: -(-reach.step // self._every)]
            known = [segment for segment in segments if segment in holders]
            curve = self._curve(reach, after=len(known) * self._every)
            if curve.steps.size:
                runs[reach.trial.number] = len(curves)
                for segment in segments:
                    holders.setdefault(segment, len(curves))
                curves.append(curve)
            elif known:
                runs[reach.trial.number] = holders[known[-1]]
        return curves, runs

    def _curve(self, reach: _Reach, *, after: int) -> Curve:
        seen = [p for p in reach.trial.points if after < p.step <= reach.step and p.loss < np.inf]
        trial = reach.trial
        curve = Curve(
            schedule=trial.schedule.prefix(trial.until) if trial.role == "pilot" else trial.schedule,
            steps=np.array([p.step for p in seen], dtype=np.float64),
            losses=np.array([p.loss for p in seen], dtype=np.float64),
            name=f"trial {trial.number}",
        )
        return thinned(curve, most=POINTS_PER_CURVE)

    def _chosen(self, state: StudyState, length: int) -> list[_Reach]:
        """The trials that tell most, furthest first: the best complete ones, then those that advanced last."""
        last: dict[int, tuple[int, int]] = {}
        diverged: set[int] = set()
        for place, (kind, number, step, status, *_) in enumerate(itertools.islice(state.log, length)):
            if kind == "advanced":
                last[number] = place, step
            elif status == "diverged":  # what leads to a divergence is no law's matter
                diverged.add(number)
        # Confirming runs have other seeds; of a run that lost what it had learned there is nothing to learn.
        reaches = {n: step for n, (_, step) in last.items() if n not in diverged and state.trials[n].role != "confirm"}
        gone = lost(reaches, state.trials)
        usable = {n: last[n] for n in reaches if n not in gone}
        reached = {n: _Reach(state.trials[n], step) for n, (_, step) in usable.items()}
        whole = sorted(
            (n for n, r in reached.items() if r.step == self._horizon),
            key=lambda n: (state.trials[n].points[-1].loss, n),
        )
        partial = sorted(reached.keys() - set(whole), key=lambda n: -usable[n][0])
        kept = whole[: max(MOST_CURVES // 2, MOST_CURVES - len(partial))]
        kept += partial[: MOST_CURVES - len(kept)]
        return sorted((reached[n] for n in kept), key=lambda reach: (-reach.step, reach.trial.number))


_PRESET = replace(FULL, fit=replace(FULL.fit, worst_sd=WORST_FORECAST_MISFIT, worst_share=WORST_FORECAST_SHARE))


def _fitted(curves: list[Curve], warm: Forecaster | None) -> Forecaster | FitFailure:
    if not curves:
        return FitFailure(reason="nothing is evaluated after the start-up yet.")
    try:
        return fit_forecaster(curves, _PRESET, warm=warm)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:  # what was trained outlives a broken fit
        return FitFailure(reason=f"the fit broke off: {type(error).__name__}: {error}")


def _milestone(segments: int) -> int:
    """The last count of segments, up to this one, at which the law is fitted cold; 0 before the first."""
    milestone = 0
    while (after := max(milestone + 1, round(REFIT_GROWTH * milestone))) <= segments:
        milestone = after
    return milestone
