"""AutoLRS as a pure state machine: what to train next, and what follows from what was seen.

    state = State()
    work = ask(settings, state)                      # Work, or Finished, Failed, Wait
    seen = ...                                       # train it, somewhere
    state = tell(settings, state, work, seen)

A worked trace, two probes per stage, sequential::

    State()                    ask -> probe 0 of stage 0, updates 0 to 100, lr 0.01
    1 probe                    ask -> probe 1 of stage 0, updates 0 to 100, lr 0.1
    2 probes                   ask -> commit stage 0, updates 100 to 1000, lr 0.01: probe 0 won, and is its first tenth
    position 1000              ask -> probe 0 of stage 1, updates 1000 to 1200, lr 0.01
    …

With decayed probes each is followed by a decay, which is for scoring only; the run never goes on from its end::

    1 probe                    ask -> decay of probe 0, updates 100 to 125, lr 0.01 to 0
    1 probe, decayed           ask -> probe 1 of stage 0, updates 0 to 100, lr 0.1

Both functions are functions of their arguments alone; random numbers are keyed. So a run may be killed anywhere and
asked again, and several workers may train probes at once: those that are being trained are named in `running`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from autosched.errors import UsageError
from autosched.laws.priors import POINTS_PER_CURVE
from autosched.schedules.schedule import Schedule
from autosched.search.autolrs.choice import first_lr, next_lr, ranked
from autosched.search.autolrs.decayed import decay_lr, end_of_decay
from autosched.search.autolrs.forecasts import end_of_stage, level, values
from autosched.search.autolrs.priors import PROBE_POINTS
from autosched.search.autolrs.records import (
    Expectation,
    Failed,
    Finished,
    Numbers,
    Passed,
    Seen,
    State,
    Tried,
    Wait,
    Work,
    short,
    thinned,
)
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs.stages import Stage, stage_of


def ask(
    settings: Settings, state: State, *, running: Sequence[Work] = (), ends: Collection[int] | None = None
) -> Work | Wait | Finished | Failed:
    """What to train next.

    Args:
        running: probes and decays that are being trained.
        ends: numbers of the probes whose end is kept, so that the stage can go on from it; None for all. The winner is
            chosen among these, as nothing is to be trained twice.
    """
    if state.broken:
        return Failed(reason=state.broken)
    unsearched = fixed(settings, state)
    if unsearched is not None:
        return Wait() if running else unsearched
    stage = stage_of(settings, state.position)
    if stage is None:
        return Finished()
    decay = _decay(state, stage, running)
    if decay is not None:
        return decay
    if len(state.tried) + sum(work.kind == "probe" for work in running) < settings.probes:
        return _probe(settings, state, stage, running)
    return Wait() if running else _commit(settings, state, stage, ends)


def fixed(settings: Settings, state: State) -> Work | None:
    """Updates that come next and whose LR is not searched: warmup, message, cooldown; None where it is."""
    here = state.position
    if here < settings.warmup_steps:
        return Work(kind="warmup", start=here, stop=settings.warmup_steps, lr=settings.warmup_lr, stage=0)
    stage = stage_of(settings, here)
    if stage is not None and here < stage.checkpoint:
        return Work(kind="message", start=here, stop=stage.checkpoint, lr=state.lr or settings.low, stage=stage.index)
    if stage is None and settings.steps is not None and here < settings.steps:
        return Work(kind="cooldown", start=here, stop=settings.steps, lr=state.lr, stage=len(state.passed) - 1)
    return None


def _probe(settings: Settings, state: State, stage: Stage, running: Sequence[Work]) -> Work:
    taken = {tried.number for tried in state.tried} | {work.probe for work in running if work.kind == "probe"}
    number = next(number for number in range(settings.probes) if number not in taken)
    lr = next_lr(settings, state, stage, running) if taken else first_lr(settings, state, stage)
    stop = stage.checkpoint + stage.probe_updates(number)
    return Work(kind="probe", start=stage.checkpoint, stop=stop, lr=lr, stage=stage.index, probe=number)


def _decay(state: State, stage: Stage, running: Sequence[Work]) -> Work | None:
    """The decay of the first probe that waits for its own."""
    taken = {work.probe for work in running if work.kind == "decay"}
    for tried in state.tried:
        if tried.undecayed and tried.number not in taken:
            return decay_of(state, stage, tried)
    return None


def decay_of(state: State, stage: Stage, tried: Tried) -> Work:
    """The decay of a probe."""
    start = stage.checkpoint + stage.probe_updates(tried.number)
    stop, lr = start + stage.decay, decay_lr(state, tried)
    return Work(kind="decay", start=start, stop=stop, lr=lr, stage=stage.index, probe=tried.number)


def _commit(settings: Settings, state: State, stage: Stage, ends: Collection[int] | None) -> Work | Failed:
    order = [number for number in standing(settings, state) if number not in state.refused]
    if not order:
        return Failed(
            reason=f"all {len(state.tried)} LRs tried in stage {stage.index} diverged, from "
            f"{min(tried.lr for tried in state.tried):.3g} up: lower the bounds, now {settings.low:g} to "
            f"{settings.high:g}, or warm up."
        )
    kept = [number for number in order if ends is None or number in ends]
    reuse = settings.reuse and bool(kept)
    return commit_of(settings, state, stage, kept[0] if reuse else order[0], reuse=reuse)


def commit_of(settings: Settings, state: State, stage: Stage, number: int, *, reuse: bool) -> Work:
    """The rest of a stage with the LR of one of its probes, what was forecast of it included.

    Args:
        reuse: whether it goes on from the probe's end; else from the stage's checkpoint.
    """
    found = values(settings, state, stage)
    winner = next(tried for tried in state.tried if tried.number == number)
    start = stage.checkpoint + (stage.probe_updates(number) if reuse else 0)
    return Work(
        kind="commit",
        start=start,
        stop=stage.stop,
        lr=winner.lr,
        stage=stage.index,
        probe=number,
        expected=found.expected.get(number, ()),
        worths=found.worths,
    )


def standing(settings: Settings, state: State) -> list[int]:
    """Numbers of the present stage's probes so far that did not diverge, the best first: whose ends to keep.

    A probe that waits for its decay is not among them, and its end must be kept, too.
    """
    stage = stage_of(settings, state.position)
    return [] if stage is None else ranked(settings, state, values(settings, state, stage))


def tell(settings: Settings, state: State, work: Work, seen: Seen) -> State:
    """What follows from some work that was done.

    Raises:
        UsageError: losses that do not belong to the work.
    """
    _check(work, seen)
    first = state.first_loss
    if first is None and seen.losses:
        first = seen.losses[0]
    state = replace(state, trained=state.trained + seen.updates, first_loss=first)
    if work.kind == "probe":
        return _told_probe(settings, state, work, seen)
    if work.kind == "decay":
        return _told_decay(state, work, seen)
    if work.kind == "commit":
        return _told_commit(settings, state, work, seen)
    if not np.all(np.isfinite(seen.losses)):
        return replace(state, broken=f"the run diverged in its {work.kind}, at update {work.start + seen.updates}.")
    return replace(state, position=work.stop, lr=float(work.lrs[-1]), done=(*state.done, work))


def _check(work: Work, seen: Seen) -> None:
    diverged = not np.all(np.isfinite(seen.losses))
    if len(seen.steps) != len(seen.losses):
        raise UsageError(f"there are {len(seen.losses)} losses for {len(seen.steps)} steps.")
    if seen.steps and not work.start <= seen.steps[0] <= seen.steps[-1] <= work.stop:
        raise UsageError(f"steps {seen.steps[0]:g} to {seen.steps[-1]:g} do not lie in {work.start} to {work.stop}.")
    if seen.updates != work.updates and not (diverged and seen.updates < work.updates):
        raise UsageError(f"{seen.updates} of {work.updates} updates were trained, and no loss says why.")


def _told_probe(settings: Settings, state: State, work: Work, seen: Seen) -> State:
    stage = stage_of(settings, state.position)
    assert stage is not None, "a probe has a stage"  # noqa: S101 - the caller's works come from ask
    assert work.probe is not None, "a probe has a number"  # noqa: S101 - as above
    if work.stage != stage.index or any(tried.number == work.probe for tried in state.tried):
        raise UsageError(f"probe {work.probe} of stage {work.stage} is not under way.")
    end, reason = _end_of_probe(settings, state, stage, seen)
    tried = Tried(number=work.probe, lr=work.lr, steps=seen.steps, losses=seen.losses, end=end, reason=reason)
    return replace(state, tried=tuple(sorted((*state.tried, tried), key=lambda one: one.number)))


def _end_of_probe(settings: Settings, state: State, stage: Stage, seen: Seen) -> tuple[Expectation | None, str]:
    if not settings.needs_decays:
        return end_of_stage(settings, state, stage, seen)
    if np.all(np.isfinite(seen.losses)):
        return None, ""  # its decay tells
    return None, f"the probe diverged: its loss is {seen.losses[-1]:g} after {seen.updates} updates."


def _told_decay(state: State, work: Work, seen: Seen) -> State:
    waiting = next((one for one in state.tried if one.number == work.probe and one.undecayed), None)
    if waiting is None or work.lr != decay_lr(state, waiting):
        raise UsageError(f"the decay of probe {work.probe} of stage {work.stage} is not under way.")
    end, reason = end_of_decay(seen.losses)
    decayed = replace(waiting, decay_losses=seen.losses, end=end, reason=reason)
    return replace(state, tried=tuple(decayed if one is waiting else one for one in state.tried))


def _told_commit(settings: Settings, state: State, work: Work, seen: Seen) -> State:
    assert work.probe is not None, "a commit has a winner"  # noqa: S101 - the caller's works come from ask
    if not np.all(np.isfinite(seen.losses)):
        return replace(state, refused=(*state.refused, work.probe))
    stage = stage_of(settings, state.position)
    assert stage is not None, "a commit has a stage"  # noqa: S101 - as above
    steps, losses = _whole_stage(state, stage, work, seen)
    short_steps, short_losses = thinned(steps, losses, POINTS_PER_CURVE)
    passed = Passed(
        index=stage.index,
        start=stage.start,
        checkpoint=stage.checkpoint,
        stop=stage.stop,
        lr=work.lr,
        by_validation=stage.by_validation,
        tried=tuple(short(tried, PROBE_POINTS) for tried in state.tried),
        worths=work.worths,
        steps=short_steps,
        losses=short_losses,
        expected=work.expected,
        reached=level(losses),
    )
    done = replace(work, start=stage.checkpoint, expected=(), worths=())
    return replace(
        state,
        position=stage.stop,
        lr=work.lr,
        tried=(),
        refused=(),
        passed=(*state.passed, passed),
        done=(*state.done, done),
    )


def _whole_stage(state: State, stage: Stage, work: Work, seen: Seen) -> tuple[Numbers, Numbers]:
    """Steps and losses of a committed stage, those of the probe it went on from included."""
    if work.start == stage.checkpoint:
        return seen.steps, seen.losses
    winner = next(tried for tried in state.tried if tried.number == work.probe)
    first = seen.steps[0] if seen.steps else np.inf
    count = sum(step < first for step in winner.steps)
    return winner.steps[:count] + seen.steps, winner.losses[:count] + seen.losses


def schedule(state: State) -> Schedule | None:
    """The LRs of all committed updates; None before the first one."""
    return Schedule(np.concatenate([work.lrs for work in state.done])) if state.done else None
