"""Whether a command keeps the promises that a search relies on: found out by running it a few times for a short while.

Every question is a comparison of losses at the first two evaluations; :mod:`autosched.trainer.soundness` is the sibling
for trainers that are classes. A command without checkpoints is ended after the second evaluation.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autosched.errors import AutoschedError
from autosched.ledger.records import Purpose, Segment
from autosched.randomness import generator
from autosched.schedules import Schedule, build
from autosched.space.draw import draw
from autosched.space.hyperparameters import divided
from autosched.space.records import ScheduleSpec, Space
from autosched.trainer import Diverged
from autosched.trainer.findings import NOISE, Finding
from autosched.trainer.protocol import SegmentTrainer
from workers.command.options import read_command_options
from workers.command.space_check import names_parameters

Losses = dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCase:
    """A space whose trainer is a command, and what runs it.

    Attributes:
        make: a trainer that has not started, from a seed.
    """

    space: Space
    make: Callable[[int], SegmentTrainer]

    @property
    def first(self) -> int:
        """Updates to the first evaluation."""
        return min(self.space.eval_every, self.space.horizon_steps)

    @property
    def second(self) -> int:
        """Updates to the second one."""
        return min(2 * self.first, self.space.horizon_steps)

    @property
    def spec(self) -> ScheduleSpec:
        """The default, or else a point of the space."""
        return self.space.default or draw(self.space, generator("check-trainer"))

    @property
    def schedule(self) -> Schedule:
        """The schedule to run it with."""
        params, _ = divided(self.spec.params, self.space.hyperparameters)
        return build(self.spec.family, params, steps=self.space.horizon_steps)

    def losses(self, schedule: Schedule, *, seed: int = 0, cuts: Sequence[int] = ()) -> Losses:
        """The losses at both evaluations, trained in one piece or from checkpoint to checkpoint."""
        trainer, found = self.make(seed), Losses()
        try:
            trainer.start()
            for start, stop in zip((0, *cuts), (*cuts, self.second), strict=True):
                if start:
                    content = io.BytesIO()
                    trainer.save(content)
                    trainer.close()
                    trainer = self.make(seed)
                    trainer.load(io.BytesIO(content.getvalue()))
                found |= {p.step: p.loss for p in trainer.train_segment(self._segment(schedule, seed, start, stop))}
        finally:
            trainer.close()
        return found

    def _segment(self, schedule: Schedule, seed: int, start: int, stop: int) -> Segment:
        uri = "memory" if self.space.trainer.resumes else None
        return Segment(
            id=f"check-{stop}",
            trainer=self.space.trainer,
            seed=seed,
            start=start,
            stop=stop,
            horizon=self.space.horizon_steps,
            eval_every=self.space.eval_every,
            lrs=schedule.lrs[start:stop],
            report_from=start,
            save_uri=uri,
            load_uri=uri if start else None,
            purpose=Purpose(schedule=schedule, trial=None, log=""),
        )


def check_command(case: CommandCase) -> Iterator[Finding]:
    """Findings one after another; the first promise carries the others."""
    try:
        usual = case.losses(case.schedule)
    except AutoschedError as error:
        yield Finding(promise=_RUNS, level="broken", seen=str(error).rstrip("."), remedy="mend the command")
        return
    except Diverged as error:
        seen = f"at a peak LR of {case.schedule.peak_lr:g} it diverged: {error.reason.rstrip('.')}"
        yield Finding(promise=_RUNS, level="unsure", seen=seen, remedy="check with a default of smaller LRs")
        return
    found = _positive(usual)
    yield found
    if found.level != "kept":
        return
    again = case.losses(case.schedule)
    yield _repeats(usual, again)
    noise = 10 * max((abs(usual[step] - again[step]) / abs(usual[step]) for step in usual), default=0.0)
    if case.space.trainer.resumes and case.second > case.first:
        yield _cuts(case, usual, noise)
    yield _uses_lrs(case, usual, noise)
    yield _uses_seed(case, usual, noise)


_RUNS = "The command runs and says losses above 0"


def _positive(usual: Losses) -> Finding:
    low = min(usual.values())
    if low > 0:
        return Finding(promise=_RUNS)
    remedy = "add a constant that makes it positive: loss laws read its logarithm"
    return Finding(promise=_RUNS, level="unsure", seen=f"a loss was {low:g}", remedy=remedy)


def _repeats(usual: Losses, again: Losses) -> Finding:
    promise = "The same seed and LRs give the same losses"
    if usual == again:
        return Finding(promise=promise)
    last = max(usual)
    far = abs(usual[last] - again[last]) > NOISE * abs(usual[last])
    return Finding(
        promise=promise,
        level="broken" if far else "unsure",
        seen=f"two runs were at {usual[last]:.6g} and {again[last]:.6g} after {last} updates",
        remedy="seed the weights, the batches and all else that is random by {seed} or lr.seed"
        if far
        else "nothing, where a GPU sums in any order; otherwise seed all that is random by {seed} or lr.seed",
    )


def _cuts(case: CommandCase, usual: Losses, noise: float) -> Finding:
    promise = "A run that goes on from its checkpoint has the losses of one that was not cut"
    cut = case.losses(case.schedule, cuts=(case.first,))
    if not _differ(usual, cut, case.second, noise):
        return Finding(promise=promise)
    return Finding(
        promise=promise,
        level="broken",
        seen=f"after {case.second} updates it was at {usual[case.second]:.6g} whole and at {cut[case.second]:.6g} when "
        f"cut after {case.first}",
        remedy="save the optimizer's state, the loader's position and the state of the random generators, or go on "
        "without checkpoints",
    )


def _uses_lrs(case: CommandCase, usual: Losses, noise: float) -> Finding:
    promise = "Other LRs give other losses, from then on"
    other, begin = _halved(case)
    seen = case.losses(other)
    if not _differ(usual, seen, case.second, noise):
        return Finding(
            promise=promise,
            level="broken",
            seen=f"halving them from update {begin} on left the loss after {case.second} updates at "
            f"{usual[case.second]:.6g}",
            remedy="set the LR of every parameter group before each update, and let nothing set it after that",
        )
    if begin == case.first and _differ(usual, seen, case.first, noise):
        return Finding(
            promise=promise,
            level="broken",
            seen=f"halving them after update {case.first} changed the loss before it",
            remedy="use the LR of update i for update i, counted from 0",
        )
    return Finding(promise=promise)


def _halved(case: CommandCase) -> tuple[Schedule, int]:
    """A schedule with half the LRs, and the update from which on it has them."""
    lrs, spec = case.schedule.lrs.copy(), case.spec
    if names_parameters(read_command_options(case.space.trainer.options).given_fields):
        params = {**divided(spec.params, case.space.hyperparameters)[0], "peak_lr": 0.5 * case.schedule.peak_lr}
        return build(spec.family, params, steps=case.space.horizon_steps), 0
    begin = case.first if case.first < case.second else 0
    lrs[begin:] *= 0.5
    return Schedule(lrs), begin


def _uses_seed(case: CommandCase, usual: Losses, noise: float) -> Finding:
    promise = "Another seed gives other losses"
    if _differ(usual, case.losses(case.schedule, seed=1), case.second, noise):
        return Finding(promise=promise)
    return Finding(
        promise=promise,
        level="broken",
        seen=f"seeds 0 and 1 were both at {usual[case.second]:.6g}: runs on fresh seeds would confirm nothing",
        remedy="seed the weights and the batches by {seed} or lr.seed",
    )


def _differ(one: Losses, other: Losses, step: int, noise: float) -> bool:
    return not math.isclose(one[step], other[step], rel_tol=noise, abs_tol=0.0)
