"""Runs an LR range test: one segment in which the LR rises exponentially, and its training losses.

The sweep is an ordinary segment of an ordinary schedule, trained by whatever backend there is, retried and stored like
any other; only nothing is validated, and every update is a point. In a study its outcome is committed as
:class:`~autosched.ledger.events.RangeTested` before the first trial is proposed: a resume reads the bounds, trains
nothing for them again, and a driver that dies in between loses no more than a segment.
"""

from __future__ import annotations

from dataclasses import replace

from autosched.curves.range_test import RangeTest, RangeTestFailure, Sweep
from autosched.engine.dispatcher import Dispatcher
from autosched.engine.execute import SegmentRunner
from autosched.engine.plan import TrialPlan
from autosched.errors import WorkError
from autosched.ledger.events import RangeTested
from autosched.ledger.records import Failure, Observation, Purpose, Segment, SegmentIds
from autosched.ledger.sweeps import read_sweep
from autosched.space.auto_bounds import conflict
from autosched.space.records import Space
from autosched.space.trainer_spec import TrainerSpec

NEVER = 0
"""Stands for `eval_every` in the identity of a sweep, which no validated run can share."""


def sweep_plan(trainer: TrainerSpec, *, seed: int, sweep: Sweep) -> TrialPlan:
    """The sweep as a plan of one segment."""
    schedule = sweep.schedule()
    cuts = (sweep.steps,)
    return TrialPlan(
        schedule=schedule,
        seed=seed,
        cuts=cuts,
        ids=SegmentIds(trainer, seed=seed, eval_every=NEVER, schedule=schedule, cuts=cuts),
        validate=False,
    )


def run_sweep(
    runner: SegmentRunner, trainer: TrainerSpec, *, seed: int, sweep: Sweep, save_uri: str
) -> RangeTest | RangeTestFailure:
    """Run a range test outside a study, in this process.

    Args:
        save_uri: where the swept model may be stored; it is good for nothing.

    Raises:
        WorkError: the trainer failed.
    """
    plan = sweep_plan(trainer, seed=seed, sweep=sweep)
    outcome = runner.run(
        Segment(
            id=plan.ids[sweep.steps],
            trainer=trainer,
            seed=seed,
            start=0,
            stop=sweep.steps,
            horizon=sweep.steps,
            eval_every=1,
            lrs=plan.schedule.lrs,
            report_from=0,
            save_uri=save_uri if trainer.resumes else None,
            validate=False,
            purpose=Purpose(schedule=plan.schedule),
        )
    )
    return read_sweep(sweep, _trained(outcome))


def swept_space(space: Space) -> Space:
    """The space as the sweep's dispatcher must see it: one short run in which every update is looked at."""
    steps = space.range_test.steps
    return replace(space, horizon_steps=steps, eval_every=1, checkpoint_every=steps)


def find_bounds(space: Space, dispatcher: Dispatcher) -> RangeTested:
    """Run the range test of a study, or take its sweep from the ledger; returns what to commit about it.

    Args:
        dispatcher: of the study, with the :func:`swept_space`.

    Raises:
        WorkError: the sweep could not be trained, whatever was retried.
    """
    sweep, state = space.range_test, dispatcher.journal.state
    plan = sweep_plan(space.trainer, seed=space.seed, sweep=sweep)
    dispatcher.order(plan, 0, sweep.steps)
    outcome = dispatcher.result(plan.ids[sweep.steps])
    if outcome is None:
        over = f"{space.budget.minutes:g} minutes are over"
        return RangeTested(segment=plan.ids[sweep.steps], steps=0, at=state.clock, reason=over)
    seen = _trained(outcome)
    steps = sweep.steps if seen.divergence is None else seen.divergence.step
    tested = RangeTested(segment=seen.segment, steps=steps, at=state.clock + steps)
    found = read_sweep(sweep, seen)
    if isinstance(found, RangeTestFailure):
        return replace(tested, reason=found.reason)
    tested = replace(tested, divergence_lr=found.divergence_lr, reason=found.no_divergence)
    refused = conflict(space, found.low, found.high)
    return replace(tested, low=found.low, high=found.high) if refused is None else replace(tested, reason=refused)


def _trained(outcome: Observation | Failure) -> Observation:
    if isinstance(outcome, Failure):
        raise WorkError(f"the range test could not be trained: {outcome.kind.replace('_', ' ')}: {outcome.reason}")
    return outcome
