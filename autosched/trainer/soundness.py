"""Whether a trainer keeps the promises of :class:`autosched.trainer.Trainer`: found out by training a few updates.

Everything is asked from outside, by comparing losses, so that a trainer of any framework can be asked. A finding says
what was seen and what to do. The contract suite (:mod:`autosched.testing.trainer_contract`) is the stricter sibling,
for a trainer's own tests.

    quick      about 40 updates and 15 evaluations: values, repeatability, cuts, evaluations, checkpoints, LR, seed
    thorough   about 120 more: parameter groups, an LR of zero, an LR that no model survives, damaged files, memory
"""

from __future__ import annotations

import gc
import io
import math
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from autosched.errors import CheckpointError, UsageError
from autosched.schedules.schedule import FloatArray
from autosched.trainer.protocol import Diverged, Trainer
from autosched.trainer.values import as_loss, as_means, own_place

Level = Literal["kept", "unsure", "broken"]
UPDATES = 4
"""Of a run. Source: the least in which an update that is neither the first nor the last of its call has a neighbour."""
NOISE = 1e-3
"""Relative difference of two equal runs up to which a device's sums are blamed, and other checks allow ten times it.
Source: GPUs that sum in any order differ by 1e-6 to 1e-4 after a few updates."""
SURVIVED = 1e6
"""Of the usual LR: what no model survives."""
WARM, CYCLES = 5, 10
"""Calls until buffers are there, and calls whose memory is compared with that of as many further ones."""
LEAK_BYTES = 1024
"""Growth per call that counts. Source: an empty list has 56 bytes, a tensor's Python side some hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A trainer and LRs that it trains well with.

    Attributes:
        make: a trainer that has not started, from a seed.
        lr: a usual one.
    """

    make: Callable[[int], Trainer]
    lr: float

    @property
    def lrs(self) -> FloatArray:
        """LRs of a run, shape (UPDATES,), all of them different."""
        return np.geomspace(self.lr, 0.5 * self.lr, UPDATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How a promise is kept.

    Attributes:
        promise: what a trainer promises, as a sentence.
        seen: what was seen, where it is not kept for sure.
        remedy: what to do then.
    """

    promise: str
    level: Level = "kept"
    seen: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class UsualRun:
    """A case's run at its LRs, in one call, which most promises are compared with: trained twice, and once for all."""

    case: Case

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Validation losses of two equal runs."""
        return _ended(self.case, self.case.lrs), _ended(self.case, self.case.lrs)

    @property
    def noise(self) -> float:
        """Relative difference that counts for nothing: ten times that of two equal runs."""
        one, other = self.ends
        return 10 * abs(one - other) / abs(one)


Promise = Callable[[Case, UsualRun], Finding]


def check_soundness(case: Case, *, thorough: bool = False) -> Iterator[Finding]:
    """Findings one after another; the first two promises carry the others, and what breaks one of them ends it all."""
    usual = UsualRun(case)
    for promise in FIRST:
        finding = _asked(promise, case, usual)
        yield finding
        if finding.level == "broken":
            return
    for promise in (*QUICK, *(THOROUGH if thorough else ())):
        yield _asked(promise, case, usual)


def _asked(promise: Promise, case: Case, usual: UsualRun) -> Finding:
    try:
        return promise(case, usual)
    except Diverged as error:
        seen = f"training with an LR of {case.lr:g} diverged at update {error.step}: {error.reason}"
        return Finding(promise=_said(promise), level="unsure", seen=seen, remedy="check with a smaller LR")
    except UsageError as error:
        return Finding(
            promise=_said(promise), level="broken", seen=str(error).rstrip("."), remedy="give what is asked for"
        )
    except (Exception, SystemExit) as error:  # whatever a trainer of a stranger does
        return Finding(promise=_said(promise), level="broken", seen=own_place(error), remedy="mend the error")


def _said(promise: Promise) -> str:
    return (promise.__doc__ or "").partition("\n")[0].rstrip(".")


def _kept(promise: Promise) -> Finding:
    return Finding(promise=_said(promise))


def _broken(promise: Promise, seen: str, remedy: str, level: Level = "broken") -> Finding:
    return Finding(promise=_said(promise), level=level, seen=seen, remedy=remedy)


def _started(case: Case, seed: int = 0) -> Trainer:
    trainer = case.make(seed)
    trainer.start()
    return trainer


def _ended(case: Case, lrs: FloatArray, *, cuts: Sequence[int] = (), seed: int = 0) -> float:
    """The validation loss after these LRs, trained in one call or in several."""
    trainer = _started(case, seed)
    for start, stop in zip((0, *cuts), (*cuts, len(lrs)), strict=True):
        trainer.train(lrs[start:stop])
    return as_loss(trainer.evaluate())


def _differ(one: float, other: float, noise: float) -> bool:
    return abs(one - other) > noise * abs(one)


# -- quick ------------------------------------------------------------------------------------------------------------


def _values(case: Case, usual: UsualRun) -> Finding:
    """train() counts its updates and gives their mean loss, evaluate() gives a loss above 0."""
    trainer = _started(case)
    began = trainer.step
    as_means(trainer.train(case.lrs[:2]))
    if (began, trainer.step) != (0, 2):
        seen = f"step was {began} after start() and {trainer.step} after 2 updates"
        return _broken(_values, seen, "set step to 0 in start() and add 1 for each LR that train() is given")
    loss = as_loss(trainer.evaluate())
    if loss <= 0:
        remedy = "add a constant that makes it positive: loss laws read its logarithm"
        return _broken(_values, f"evaluate() gave {loss:g}", remedy, "unsure")
    return _kept(_values)


def _repeats(case: Case, usual: UsualRun) -> Finding:
    """The same seed and LRs give the same losses."""
    one, other = usual.ends
    if one == other:
        return _kept(_repeats)
    seen = f"two runs of {UPDATES} updates ended at {one:.6g} and {other:.6g}"
    if abs(one - other) <= NOISE * abs(one):
        remedy = "nothing, where a GPU sums in any order; otherwise see that nothing random comes from elsewhere"
        return _broken(_repeats, seen, remedy, "unsure")
    remedy = (
        "draw batches and all else from generators of your own, seeded by (seed, step): autosched.trainer.generator"
    )
    return _broken(_repeats, seen, remedy)


def _cuts(case: Case, usual: UsualRun) -> Finding:
    """How a run is cut into train() calls changes nothing."""
    whole, _ = usual.ends
    for cuts in ((1,), (2,), (1, 3)):
        parts = _ended(case, case.lrs, cuts=cuts)
        if _differ(whole, parts, usual.noise):
            seen = f"{UPDATES} updates ended at {whole:.6g} in one call and at {parts:.6g} when cut after {cuts}"
            remedy = (
                "use lrs[i] for the i-th update of the call, do len(lrs) updates; let batches depend on (seed, step), "
                "not on the call: a loader that begins anew in each call sees its first batches again"
            )
            return _broken(_cuts, seen, remedy)
    return _kept(_cuts)


def _evaluates(case: Case, usual: UsualRun) -> Finding:
    """evaluate() changes nothing."""
    whole, _ = usual.ends
    trainer = _started(case)
    for index in range(UPDATES):
        first, second = as_loss(trainer.evaluate()), as_loss(trainer.evaluate())
        if _differ(first, second, usual.noise):
            seen = f"after update {index} it gave {first:.6g}, and asked again {second:.6g}"
            return _broken(_evaluates, seen, "evaluate on the same batches, without updates, in eval() mode")
        trainer.train(case.lrs[index : index + 1])
    last = as_loss(trainer.evaluate())
    if _differ(whole, last, usual.noise):
        seen = f"a run that was evaluated in between ended at {last:.6g}, another at {whole:.6g}"
        remedy = (
            "use torch.no_grad() and model.eval(), model.train() afterwards, and no random numbers of the training's"
        )
        return _broken(_evaluates, seen, remedy)
    return _kept(_evaluates)


def _saves(case: Case, usual: UsualRun) -> Finding:
    """save() and load() carry all that the next update depends on."""
    trainer, half = _started(case), UPDATES // 2
    trainer.train(case.lrs[:half])
    content = _saved(trainer)
    trainer.train(case.lrs[half:])
    whole = as_loss(trainer.evaluate())
    for fresh, where in ((case.make(0), "a fresh trainer"), (trainer, "the trainer that had gone on")):
        fresh.load(io.BytesIO(content))
        if fresh.step != half:
            return _broken(_saves, f"step is {fresh.step} after load(), and was {half}", "save and load step")
        fresh.train(case.lrs[half:])
        again = as_loss(fresh.evaluate())
        if _differ(whole, again, usual.noise):
            seen = f"a run ended at {whole:.6g}, and at {again:.6g} when {where} loaded its middle"
            remedy = (
                "save the optimizer's state, buffers such as momentum, the loader's position, and the state of random "
                "generators that updates draw from"
            )
            return _broken(_saves, seen, remedy)
    return _kept(_saves)


def _uses_lrs(case: Case, usual: UsualRun) -> Finding:
    """Update i uses lrs[i]."""
    whole, _ = usual.ends
    heard = []
    for index in range(UPDATES):
        lrs = case.lrs.copy()
        lrs[index] *= 0.5
        heard.append(_differ(whole, _ended(case, lrs), usual.noise))
    if all(heard):
        return _kept(_uses_lrs)
    missed = ", ".join(str(index) for index, matters in enumerate(heard) if not matters)
    seen = f"in a call of {UPDATES} updates, halving lrs[i] changed nothing for i = {missed}"
    if not any(heard):
        remedy = "set the LR of every parameter group before each update, and remove the optimizer's own scheduler"
    elif heard[:-1] == [True] * (UPDATES - 1):
        remedy = "set the LR before the update, not after it: it comes one update late"
    else:
        remedy = "set the LR before every update, not once in a call"
    return _broken(_uses_lrs, seen, remedy)


def _uses_seed(case: Case, usual: UsualRun) -> Finding:
    """Another seed gives other losses."""
    one, other = usual.ends[0], _ended(case, case.lrs, seed=1)
    if _differ(one, other, usual.noise):
        return _kept(_uses_seed)
    seen = f"seeds 0 and 1 both ended at {one:.6g}: runs on fresh seeds would confirm nothing"
    return _broken(
        _uses_seed, seen, "draw the model's start and the batches from the seed that the constructor is given"
    )


def _means(case: Case, usual: UsualRun) -> Finding:
    """train_loss is the mean over the updates of a call."""
    single = _started(case)
    losses = [as_means(single.train(case.lrs[i : i + 1]))["train_loss"] for i in range(UPDATES)]
    told, mean = as_means(_started(case).train(case.lrs))["train_loss"], sum(losses) / UPDATES
    if abs(told - mean) <= max(usual.noise, 1e-4) * abs(mean):
        return _kept(_means)
    seen = f"it was {told:.6g} for a call of {UPDATES} updates, whose mean is {mean:.6g}"
    return _broken(_means, seen, "divide the sum by the number of updates, and let nothing of earlier calls in")


FIRST: tuple[Promise, ...] = (_values, _repeats)
QUICK: tuple[Promise, ...] = (_cuts, _evaluates, _saves, _uses_lrs, _uses_seed, _means)


# -- thorough ---------------------------------------------------------------------------------------------------------


def _groups(case: Case, usual: UsualRun) -> Finding:
    """Every parameter group follows the LR."""
    trainer = _started(case)
    found = []
    for lr in (case.lr, 0.5 * case.lr):
        trainer.train(np.array([lr]))
        found.append([group["lr"] for optimizer in _optimizers(trainer) for group in optimizer.param_groups])
    fixed = [index for index, (one, other) in enumerate(zip(*found, strict=True)) if float(one) == float(other) != 0]
    if fixed:
        seen = f"group {fixed[0]} of {len(found[0])} kept an LR of {float(found[0][fixed[0]]):g} when it was halved"
        return _broken(_groups, seen, "set the LR of all groups, each times its own factor if they have some")
    return _kept(_groups)


def _optimizers(trainer: Trainer) -> list[Any]:
    """What is an optimizer of torch among a trainer's attributes, and in lists of them."""
    values = list(getattr(trainer, "__dict__", {}).values())
    values += [item for value in values if isinstance(value, list | tuple) for item in value]
    return [value for value in values if hasattr(value, "param_groups") and hasattr(value, "zero_grad")]


def _rests(case: Case, usual: UsualRun) -> Finding:
    """An LR of 0 leaves the validation loss as it is."""
    trainer = _started(case)
    before = as_loss(trainer.evaluate())
    trainer.train(np.zeros(UPDATES))
    after = as_loss(trainer.evaluate())
    if not _differ(before, after, usual.noise):
        return _kept(_rests)
    seen = f"it went from {before:.6g} to {after:.6g} in {UPDATES} updates"
    remedy = (
        "nothing where normalisation keeps running statistics; else some weights have an LR or a decay of their own"
    )
    return _broken(_rests, seen, remedy, "unsure")


def _loses(case: Case, usual: UsualRun) -> Finding:
    """A model that an LR has destroyed is told."""
    trainer, huge = _started(case), np.full(5 * UPDATES, SURVIVED * case.lr)
    start = as_loss(trainer.evaluate())
    seen = []
    try:
        for lrs in (huge, huge[:1]):
            if not math.isfinite(float(trainer.train(lrs)["train_loss"])):
                return _kept(_loses)
            seen.append(as_loss(trainer.evaluate()))
    except Diverged:
        return _kept(_loses)
    if not all(map(math.isfinite, seen)) or (seen[0] > start and seen[0] != seen[1]):
        return _kept(_loses)
    text = f"with an LR of {huge[0]:g} the loss is {seen[0]:g} and then {seen[1]:g}, and was {start:g} at the start"
    remedy = "raise Diverged(step, loss, reason) where a loss is not finite; do not replace it, or leave the update out"
    return _broken(_loses, text, remedy, "broken" if seen[0] <= start else "unsure")


def _refuses(case: Case, usual: UsualRun) -> Finding:
    """A file that is no checkpoint of this run is refused."""
    trainer = _started(case)
    trainer.train(case.lrs[:2])
    content = _saved(trainer)
    for file, what in ((b"no checkpoint\n", "a text"), (content[: len(content) // 2], "half of a checkpoint")):
        fresh = case.make(0)
        try:
            fresh.load(io.BytesIO(file))
        except Exception:  # noqa: S112 - any error is a refusal: the engine trains the updates before it again
            continue
        return _broken(_refuses, f"load() took {what}", "use autosched.trainer.read_checkpoint")
    try:
        case.make(1).load(io.BytesIO(content))
    except CheckpointError:
        return _kept(_refuses)
    except Exception as error:
        seen = f"of another seed's checkpoint load() said {type(error).__name__}"
        return _broken(_refuses, seen, "raise CheckpointError: read_checkpoint does", "unsure")
    remedy = "keep the options and the seed in the file and compare them: read_checkpoint does"
    return _broken(_refuses, "load() took the checkpoint of another seed", remedy, "unsure")


def _forgets(case: Case, usual: UsualRun) -> Finding:
    """Memory does not grow from update to update."""
    trainer = _started(case)
    tracemalloc.start()
    try:
        sizes = [_memory_after(trainer, case, calls) for calls in (WARM, CYCLES, CYCLES)]
    finally:
        tracemalloc.stop()
    objects, held = np.diff([size[0] for size in sizes]), np.diff([size[1] for size in sizes])
    if objects.min() < CYCLES and held.min() < CYCLES * LEAK_BYTES:
        return _kept(_forgets)
    seen = f"{CYCLES} updates left {objects.min()} objects and {held.min() / 1024:.0f} KiB behind, and the next as much"
    return _broken(
        _forgets, seen, "keep numbers, not tensors with their graphs: loss.item(), and clear what you collect"
    )


def _memory_after(trainer: Trainer, case: Case, calls: int) -> tuple[int, int]:
    """Objects that the garbage collector sees, and bytes that Python holds, after some more calls."""
    for _ in range(calls):
        trainer.train(case.lrs[:1])
        trainer.evaluate()
        _saved(trainer)
    gc.collect()
    return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]


def _saved(trainer: Trainer) -> bytes:
    file = io.BytesIO()
    trainer.save(file)
    return file.getvalue()


THOROUGH: tuple[Promise, ...] = (_groups, _rests, _loses, _refuses, _forgets)
