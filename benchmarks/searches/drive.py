"""Drives a search through a world in virtual time: an update costs one tick of one worker.

A library's search is three calls. The driver shows it every logged loss of the runs it asked for, in the order in which
they would be seen by workers that train one update per tick.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Protocol

from autosched.report.calibration import Told
from searches.world import Run, World


@dataclass(frozen=True, slots=True)
class Ticket:
    """A run in training; `number` counts from 0 in the order of asking."""

    number: int
    run: Run


class Search(Protocol):
    """A search library, as it is used.

    A worked trace::

        ask()                              -> Ticket(0, run)
        report(ticket, step=200, loss=5.4) -> True          # go on
        report(ticket, step=400, loss=4.6) -> False         # stopped: never seen again
        ask()                              -> Ticket(1, other run)
        report(…)                          -> True
        finish(ticket, final=3.02)                          # trained to the horizon
        ask()                              -> None          # nothing is left to try
    """

    def ask(self) -> Ticket | None:
        """The next run to train; None when nothing is left."""

    def report(self, ticket: Ticket, step: int, loss: float) -> bool:
        """A logged loss; whether the run goes on."""

    def finish(self, ticket: Ticket, final: float) -> None:
        """The run is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one search went.

    Attributes:
        spent: updates until a complete run was at or under the target, every update paid each time it is needed; None
            when there never was one.
        spent_sharing: the same with each update paid once however many runs share it; None when missed, or when the
            method cannot share.
        shares: whether the method has a prefix store.
        winner_killed: the best run was stopped early (in a continuous world: one at or under the target).
        kills: runs that were stopped early.
        false_kills: those that would have been better than the best complete run at that time (any run would, while
            none is complete).
        forecasts: what the method said about ends, where it says something.
    """

    spent: int | None
    spent_sharing: int | None = None
    shares: bool = False
    winner_killed: bool = False
    kills: int = 0
    false_kills: int = 0
    forecasts: tuple[Told, ...] = ()


@dataclass(slots=True)
class Tally:
    """Counts kills while a search goes on; the only judge of what a false kill is, for every method."""

    world: World
    incumbent: float = float("inf")
    kills: int = 0
    false_kills: int = 0
    winner_killed: bool = False

    def killed(self, run: Run) -> None:
        """A run was stopped early."""
        self.kills += 1
        self.false_kills += run.truth < self.incumbent
        self.winner_killed |= self.world.is_winner(run)

    def completed(self, run: Run) -> bool:
        """A run was trained to its end; whether that is what was sought."""
        self.incumbent = min(self.incumbent, run.truth)
        return run.truth <= self.world.target


@dataclass(order=True, slots=True)
class _Training:
    """A run on a worker; ordered by when its next loss is due."""

    due: int
    number: int
    ticket: Ticket = field(compare=False)
    seen: int = field(compare=False)
    step: int = field(compare=False)


def drive(world: World, search: Search, *, workers: int = 1) -> Outcome:
    """Let a search run until it has found the target, or nothing is left to try.

    Args:
        workers: runs that train at the same time.
    """
    tally = Tally(world)
    queue: list[_Training] = []
    paid, clock = 0, 0
    while True:
        while len(queue) < workers and paid < world.limit:
            ticket = search.ask()
            if ticket is None:
                break
            started = _Training(clock, ticket.number, ticket, 0, 0)
            heapq.heappush(queue, _advanced(started, world.horizon))
        if not queue:
            return _outcome(tally, None)
        training = heapq.heappop(queue)
        run, clock = training.ticket.run, training.due
        if training.seen > run.curve.steps.size:
            search.finish(training.ticket, run.final)
            paid += world.horizon
            if tally.completed(run):
                return _outcome(tally, paid + sum(other.step - (other.due - clock) for other in queue))
        elif search.report(training.ticket, training.step, float(run.curve.losses[training.seen - 1])):
            heapq.heappush(queue, _advanced(training, world.horizon))
        else:
            tally.killed(run)
            paid += training.step


def _advanced(training: _Training, horizon: int) -> _Training:
    """Until the next logged loss, or after the last one the horizon."""
    steps, seen = training.ticket.run.curve.steps, training.seen
    stop = int(steps[seen]) if seen < steps.size else horizon
    return _Training(training.due + stop - training.step, training.number, training.ticket, seen + 1, stop)


def _outcome(tally: Tally, spent: int | None) -> Outcome:
    return Outcome(spent=spent, winner_killed=tally.winner_killed, kills=tally.kills, false_kills=tally.false_kills)
