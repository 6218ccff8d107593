"""The loop: ask, cut into segments, train, decide, tell; until the budget is spent.

Decisions are made in *virtual time*, which counts updates as if each virtual worker trained one per tick. A segment
of n updates that starts at tick v is due at v + n, and what follows from it is decided when every earlier one is
decided, whichever worker was really first. So the study is the same on a laptop, on a cluster, and after any crash.
Workers wait for each other only as far as equal segments take unequal seconds.

Where they do (``resources: {order: arrival}``), results are decided about in the order in which the ledger has them:
committed as they come, they say what was known when, so a resumed study goes on from its own log as it would have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from autosched.engine.confirm import confirmations
from autosched.engine.dispatcher import Dispatcher
from autosched.engine.failing_alike import failing_alike
from autosched.engine.retention import Retention
from autosched.ledger.events import (
    Event,
    SearchEnded,
    SegmentScheduled,
    SessionStarted,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
    TrialResumed,
)
from autosched.ledger.records import Decision, Failure, Observation
from autosched.ledger.state import TrialState
from autosched.search import budget
from autosched.search.policy import Policy, Proposal, Resume
from autosched.space import build_schedule
from autosched.space.hyperparameters import divided

LOOKAHEAD = 2
"""Running trials per worker at most: those that wait for a shared prefix leave their worker to another."""


@dataclass(frozen=True, slots=True)
class _Head:
    """A trial that reaches the end of its segment, and when in virtual time."""

    due: int
    trial: int
    start: int
    stop: int
    segment: str


class Loop:
    """Runs one study to its end; make a new one to resume.

    Args:
        dispatcher: trains segments; holds the space and the journal, whose first event is there already.
        retention: clears checkpoints away; holds the plans.
    """

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        retention: Retention,
        policy: Policy,
    ) -> None:
        self._space, self._journal, self._dispatcher = dispatcher.space, dispatcher.journal, dispatcher
        self._retention, self._plans = retention, retention.plans
        self._policy = policy
        self._exhausted = False
        self._by_arrival = dispatcher.space.resources.by_arrival

    def run(self) -> None:
        """Go on until the study is finished.

        Raises:
            WorkError: the ledger, the checkpoints or the workers failed; resume when that is mended.
        """
        backend = self._dispatcher.backend
        self._journal.commit(SessionStarted(backend=backend.name, workers=backend.workers))
        self._retention.restore(self._journal.state)
        self._judge_unjudged()
        while self._step():
            pass
        self._retention.finished(self._journal.state)
        stats = dict(self._dispatcher.meter.stats(backend.workers))
        self._journal.commit(StudyFinished(reason=self._reason(), stats=stats))

    def _step(self) -> bool:
        """Do the next thing; False when nothing is left to do."""
        self._note_stages()
        over = self._over()
        if over is not None:
            self._stop_all(over)
            return False
        self._schedule()
        if self._by_arrival:
            return self._settle_arrived() or self._propose() or self._wait()
        head = self._head()
        if head is not None and head.due <= self._journal.state.clock:
            self._settle(head)  # a shared prefix costs no time, so it is known before the next proposal is made
            return True
        if self._propose():
            return True
        if head is not None:
            self._settle(head)
        return head is not None

    def _settle_arrived(self) -> bool:
        """Decide about the segment that came back first; False when none is back."""
        state = self._journal.state
        back = [head for head in self._heads() if self._dispatcher.is_back(head.segment)]
        first = min(back, key=lambda head: (state.arrived[head.segment], head.trial), default=None)
        if first is not None:
            self._settle(replace(first, due=max(first.due, state.clock)))
        return first is not None

    def _wait(self) -> bool:
        """Wait until a segment comes back or the minutes are over; False when no trial runs."""
        running = bool(self._journal.state.active)
        if running:
            self._dispatcher.collect(self._dispatcher.seconds_left())
        return running

    def _note_stages(self) -> None:
        """Commit the stages that a staged controller has behind it, and clear away what only they needed."""
        noted = len(self._journal.state.stages)
        for stage in self._policy.stages(self._journal.state)[noted:]:
            self._journal.commit(stage)
            self._retention.stage_over(self._journal.state, stage)

    def _over(self) -> str | None:
        """What ends everything at once, running trials too; None while the study may go on."""
        state = self._journal.state
        return budget.spent(self._space, state, seconds=self._dispatcher.seconds()) or failing_alike(state)

    # -- scheduling ---------------------------------------------------------------------------------------------

    def _waiting(self) -> list[TrialState]:
        """Running trials, the one that waits longest first."""
        state = self._journal.state
        return sorted((state.trials[n] for n in state.active), key=lambda trial: (trial.due, trial.number))

    def _schedule(self) -> None:
        """Give every running trial its next segment while virtual workers are free."""
        state = self._journal.state
        for trial in self._waiting():
            plan = self._plans.of(trial)
            stop = plan.next_cut(trial.step)
            segment = plan.ids[stop]
            if segment not in state.scheduled:
                if len(state.in_flight) >= self._dispatcher.backend.workers:
                    continue
                due = max(state.clock, trial.due) + stop - trial.step
                scheduled = SegmentScheduled(trial=trial.number, segment=segment, start=trial.step, stop=stop, due=due)
                self._journal.commit(scheduled)
            self._dispatcher.order(plan, trial.step, stop)

    def _head(self) -> _Head | None:
        """The scheduled segment that is due first; of equals, the one of the oldest trial."""
        return min(self._heads(), key=lambda head: (head.due, head.trial), default=None)

    def _heads(self) -> list[_Head]:
        """The scheduled segments of running trials."""
        heads = []
        for trial in self._waiting():
            plan = self._plans.of(trial)
            stop = plan.next_cut(trial.step)
            segment = plan.ids[stop]
            if segment in self._journal.state.scheduled:
                due = max(trial.due, self._journal.state.scheduled[segment].due)
                heads.append(_Head(due, trial.number, trial.step, stop, segment))
        return heads

    # -- proposing ----------------------------------------------------------------------------------------------

    def _propose(self) -> bool:
        """Start a trial when a virtual worker is free and the budget allows; False when none was started."""
        state, workers = self._journal.state, self._dispatcher.backend.workers
        if len(state.in_flight) >= workers or len(state.active) >= LOOKAHEAD * workers:
            return False
        searching = state.proposed["confirm"] == 0
        going_on = searching and not self._exhausted and state.search_ended is None
        if going_on and (self._start_default() or self._search()):
            return True
        return self._confirm(searching=searching)

    def _start_default(self) -> bool:
        """Start the user's own baseline, the first trial of all; False when there is none or it was started."""
        state, default = self._journal.state, self._space.default
        if state.trials or default is None or budget.closed(self._space, state) is not None:
            return False
        self._start(Proposal(schedule=build_schedule(self._space, default), until=state.horizon, role="default"))
        return True

    def _search(self) -> bool:
        """Start or resume a trial of the search, or end it; False when nothing was done."""
        state = self._journal.state
        action = self._policy.ask(state)
        if action is None:
            self._exhausted = not state.active  # a trial that ends early makes room again
            return False
        if isinstance(action, SearchEnded):
            self._journal.commit(action)
            return True
        if not self._affordable(action):
            return False
        if isinstance(action, Proposal):
            self._start(action)
        else:
            resumed = TrialResumed(
                trial=action.trial, role=action.role, until=action.until, reason=action.reason, at=state.clock
            )
            self._journal.commit(resumed)
        return True

    def _affordable(self, action: Proposal | Resume) -> bool:
        """Whether the budget has what a turn needs: the updates until its end that no trial has scheduled."""
        state = self._journal.state
        if isinstance(action, Proposal):
            if budget.trials_left(self._space, state) == 0:
                return False
            ids = self._plans.make(action.schedule, self._space.seed).ids
        else:
            ids = self._plans.of(state.trials[action.trial]).ids
        return budget.fits(self._space, state, action.until - state.scheduled_steps(ids))

    def _confirm(self, *, searching: bool) -> bool:
        """Start the next confirmation run, once the search is over."""
        state = self._journal.state
        if searching and state.active:
            return False
        made = {(trial.of, trial.seed) for trial in state.trials if trial.role == "confirm"}
        for run in confirmations(self._space, state):
            if (run.of, run.seed) not in made:
                again = Proposal(schedule=state.trials[run.of].schedule, until=state.horizon, role="confirm")
                self._start(again, seed=run.seed, of=run.of)
                return True
        return False

    def _start(self, proposal: Proposal, *, seed: int | None = None, of: int | None = None) -> None:
        state, schedule = self._journal.state, proposal.schedule
        self._journal.commit(
            TrialProposed(
                trial=len(state.trials),
                role=proposal.role,
                family=schedule.family,
                params=schedule.params,
                seed=self._space.seed if seed is None else seed,
                fingerprint=schedule.fingerprint,
                at=state.clock,
                until=proposal.until,
                of=of,
                hyperparameters=divided(schedule.hyperparameters, self._space.hyperparameters)[1],
            )
        )

    # -- settling -----------------------------------------------------------------------------------------------

    def _settle(self, head: _Head) -> None:
        """Take the result of the segment that is due, and decide what becomes of its trial."""
        state = self._journal.state
        trial = state.trials[head.trial]
        outcome = self._dispatcher.result(head.segment)
        if outcome is None:
            return  # the minutes are over
        if isinstance(outcome, Failure):
            reason = f"{outcome.kind.replace('_', ' ')}: {outcome.reason}"
            self._end(TrialEnded(trial=head.trial, status="failed", step=trial.step, at=head.due, reason=reason))
            return
        shared = state.scheduled[head.segment].trial != head.trial
        reached = head.stop if outcome.divergence is None else max(outcome.divergence.step, head.start)
        advanced = TrialAdvanced(trial=head.trial, segment=head.segment, step=reached, shared=shared, at=head.due)
        ended = self._ended_by(outcome, head.trial, reached, head.due)
        if ended is not None:
            self._end(advanced, ended)
        else:
            self._journal.commit(advanced)
            self._retention.advanced(state, trial)
            self._judge(trial)

    def _ended_by(self, seen: Observation, trial: int, step: int, at: int) -> TrialEnded | None:
        """The end of a trial that was brought to `step` by what was seen of a segment; None when it is none."""
        if seen.divergence is not None:
            reason = f"diverged at update {seen.divergence.step}: {seen.divergence.reason}"
            return TrialEnded(
                trial=trial, status="diverged", step=step, at=at, reason=reason, divergence=seen.divergence
            )
        if step == self._space.horizon_steps:
            return TrialEnded(trial=trial, status="complete", step=step, at=at, value=seen.points[-1].loss)
        return None

    def _judge(self, trial: TrialState) -> None:
        """Ask whether a search trial goes on, and let it rest at the end of its turn.

        The user's default and the confirmations are never pruned.
        """
        if trial.role in {"default", "confirm"}:
            return
        decision = self._policy.judge(self._journal.state, trial.number)
        judged = TrialJudged(trial=trial.number, step=trial.step, decision=decision)
        ended = _rested(trial, decision)
        if ended is None:
            self._journal.commit(judged)
        else:
            self._end(judged, ended)

    def _judge_unjudged(self) -> None:
        """A driver may have died between a trial's advance and the decision about it.

        And a ledger that lost its end may have lost the half of what was written at once: a trial that is over has no
        end then. It gets the end that it had.
        """
        for trial in self._waiting():
            if not trial.segments:
                continue
            seen, moved = self._journal.state.observations[trial.segments[-1]], trial.step > trial.turns[-1].start
            made = [decision for step, decision in trial.decisions[-1:] if moved and step == trial.step]
            ended = self._ended_by(seen, trial.number, trial.step, trial.due)
            if ended is None and made:
                ended = _rested(trial, made[0])
            if ended is not None:
                self._end(ended)
            elif moved and not made:
                self._judge(trial)

    def _end(self, *events: Event) -> None:
        """Commit events, the last of which ends a trial."""
        self._journal.commit(*events)
        ended = events[-1]
        if isinstance(ended, TrialEnded):
            trial = self._journal.state.trials[ended.trial]
            self._retention.ended(self._journal.state, trial)
            if trial.segments:
                self._dispatcher.release(trial.segments[-1])
            self._plans.drop(ended.trial)

    def _stop_all(self, reason: str) -> None:
        state = self._journal.state
        for trial in self._waiting():
            self._end(
                TrialEnded(
                    trial=trial.number,
                    status="stopped",
                    step=trial.step,
                    at=state.clock,
                    reason=reason,
                    forecast=trial.last_forecast,
                )
            )

    def _reason(self) -> str:
        state = self._journal.state
        return (
            self._over() or self._policy.outcome(state) or budget.closed(self._space, state) or "nothing is left to try"
        )


def _rested(trial: TrialState, decision: Decision) -> TrialEnded | None:
    """The end of a trial, or of its turn, after a decision about it; None when it goes on."""
    if decision.action == "stop":
        status: Literal["pruned", "reached", "paused"] = "pruned"
    elif trial.step >= trial.until:
        status = "reached"
    elif decision.action == "pause":
        status = "paused"
    else:
        return None
    return TrialEnded(
        trial=trial.number,
        status=status,
        step=trial.step,
        at=trial.due,
        reason=decision.reason,
        forecast=decision.forecast,
    )
