"""Whether a command keeps the promises that a search relies on: found out by running it a few times for a short while.

Every question is a comparison of losses at the first two evaluations; :mod:`autosched.trainer.soundness` is the sibling
for trainers that are classes. A command without checkpoints is ended after the second evaluation.
"""

from __future__ import annotations

import io
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
from autosched.trainer.findings import NOISE, Finding, broken, differ, kept
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
        yield broken(_runs, str(error).rstrip("."), "mend the command")
        return
    except Diverged as error:
        seen = f"at a peak LR of {case.schedule.peak_lr:g} it diverged: {error.reason.rstrip('.')}"
        yield broken(_runs, seen, "check with a default of smaller LRs", "unsure")
        return
    found = _runs(usual)
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


def _runs(usual: Losses) -> Finding:
    """The command runs and says losses above 0."""
    low = min(usual.values())
    if low > 0:
        return kept(_runs)
    remedy = "add a constant that makes it positive: loss laws read its logarithm"
    return broken(_runs, f"a loss was {low:g}", remedy, "unsure")


def _repeats(usual: Losses, again: Losses) -> Finding:
    """The same seed and LRs give the same losses."""
    if usual == again:
        return kept(_repeats)
    last = max(usual)
    seen = f"two runs were at {usual[last]:.6g} and {again[last]:.6g} after {last} updates"
    if differ(usual[last], again[last], NOISE):
        remedy = "seed the weights, the batches and all else that is random by {seed} or lr.seed"
        return broken(_repeats, seen, remedy)
    remedy = "nothing, where a GPU sums in any order; otherwise seed all that is random by {seed} or lr.seed"
    return broken(_repeats, seen, remedy, "unsure")


def _cuts(case: CommandCase, usual: Losses, noise: float) -> Finding:
    """A run that goes on from its checkpoint has the losses of one that was not cut."""
    whole, cut = usual[case.second], case.losses(case.schedule, cuts=(case.first,))[case.second]
    if not differ(whole, cut, noise):
        return kept(_cuts)
    seen = f"after {case.second} updates it was at {whole:.6g} whole and at {cut:.6g} when cut after {case.first}"
    remedy = (
        "save the optimizer's state, the loader's position and the state of the random generators, or go on without "
        "checkpoints"
    )
    return broken(_cuts, seen, remedy)


def _uses_lrs(case: CommandCase, usual: Losses, noise: float) -> Finding:
    """Other LRs give other losses, from then on."""
    other, begin = _halved(case)
    halved, whole = case.losses(other), usual[case.second]
    if not differ(whole, halved[case.second], noise):
        seen = f"halving them from update {begin} on left the loss after {case.second} updates at {whole:.6g}"
        remedy = "set the LR of every parameter group before each update, and let nothing set it after that"
        return broken(_uses_lrs, seen, remedy)
    if begin == case.first and differ(usual[case.first], halved[case.first], noise):
        seen = f"halving them after update {case.first} changed the loss before it"
        return broken(_uses_lrs, seen, "use the LR of update i for update i, counted from 0")
    return kept(_uses_lrs)


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
    """Another seed gives other losses."""
    one, other = usual[case.second], case.losses(case.schedule, seed=1)[case.second]
    if differ(one, other, noise):
        return kept(_uses_seed)
    seen = f"seeds 0 and 1 were both at {one:.6g}: runs on fresh seeds would confirm nothing"
    return broken(_uses_seed, seen, "seed the weights and the batches by {seed} or lr.seed")
