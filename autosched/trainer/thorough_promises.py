"""The promises of a trainer that take many updates to see: see :mod:`autosched.trainer.soundness`."""

from __future__ import annotations

import gc
import io
import math
import tracemalloc
from typing import Any

import numpy as np

from autosched.errors import CheckpointError
from autosched.trainer.findings import UPDATES, Case, Finding, Promise, UsualRun, broken, differ, kept, saved, started
from autosched.trainer.protocol import Diverged, Trainer
from autosched.trainer.values import as_loss

SURVIVED = 1e6
"""Of the usual LR: what no model survives."""
WARM, CYCLES = 5, 10
"""Calls until buffers are there, and calls whose memory is compared with that of as many further ones."""
LEAK_BYTES = 1024
"""Growth per call that counts. Source: an empty list has 56 bytes, a tensor's Python side some hundreds."""


def _groups(case: Case, usual: UsualRun) -> Finding:
    """Every parameter group follows the LR."""
    trainer = started(case)
    found = []
    for lr in (case.lr, 0.5 * case.lr):
        trainer.train(np.array([lr]))
        found.append([group["lr"] for optimizer in _optimizers(trainer) for group in optimizer.param_groups])
    fixed = [index for index, (one, other) in enumerate(zip(*found, strict=True)) if float(one) == float(other) != 0]
    if fixed:
        seen = f"group {fixed[0]} of {len(found[0])} kept an LR of {float(found[0][fixed[0]]):g} when it was halved"
        return broken(_groups, seen, "set the LR of all groups, each times its own factor if they have some")
    return kept(_groups)


def _optimizers(trainer: Trainer) -> list[Any]:
    """What is an optimizer of torch among a trainer's attributes, and in lists of them."""
    values = list(getattr(trainer, "__dict__", {}).values())
    values += [item for value in values if isinstance(value, list | tuple) for item in value]
    return [value for value in values if hasattr(value, "param_groups") and hasattr(value, "zero_grad")]


def _rests(case: Case, usual: UsualRun) -> Finding:
    """An LR of 0 leaves the validation loss as it is."""
    trainer = started(case)
    before = as_loss(trainer.evaluate())
    trainer.train(np.zeros(UPDATES))
    after = as_loss(trainer.evaluate())
    if not differ(before, after, usual.noise):
        return kept(_rests)
    seen = f"it went from {before:.6g} to {after:.6g} in {UPDATES} updates"
    remedy = (
        "nothing where normalisation keeps running statistics; else some weights have an LR or a decay of their own"
    )
    return broken(_rests, seen, remedy, "unsure")


def _loses(case: Case, usual: UsualRun) -> Finding:
    """A model that an LR has destroyed is told."""
    trainer, huge = started(case), np.full(5 * UPDATES, SURVIVED * case.lr)
    start = as_loss(trainer.evaluate())
    seen = []
    try:
        for lrs in (huge, huge[:1]):
            if not math.isfinite(float(trainer.train(lrs)["train_loss"])):
                return kept(_loses)
            seen.append(as_loss(trainer.evaluate()))
    except Diverged:
        return kept(_loses)
    if not all(map(math.isfinite, seen)) or (seen[0] > start and seen[0] != seen[1]):
        return kept(_loses)
    text = f"with an LR of {huge[0]:g} the loss is {seen[0]:g} and then {seen[1]:g}, and was {start:g} at the start"
    remedy = "raise Diverged(step, loss, reason) where a loss is not finite; do not replace it, or leave the update out"
    return broken(_loses, text, remedy, "broken" if seen[0] <= start else "unsure")


def _refuses(case: Case, usual: UsualRun) -> Finding:
    """A file that is no checkpoint of this run is refused."""
    trainer = started(case)
    trainer.train(case.lrs[:2])
    content = saved(trainer)
    for file, what in ((b"no checkpoint\n", "a text"), (content[: len(content) // 2], "half of a checkpoint")):
        fresh = case.make(0)
        try:
            fresh.load(io.BytesIO(file))
        except Exception:  # noqa: S112 - any error is a refusal: the engine trains the updates before it again
            continue
        return broken(_refuses, f"load() took {what}", "use autosched.trainer.read_checkpoint")
    try:
        case.make(1).load(io.BytesIO(content))
    except CheckpointError:
        return kept(_refuses)
    except Exception as error:
        seen = f"of another seed's checkpoint load() said {type(error).__name__}"
        return broken(_refuses, seen, "raise CheckpointError: read_checkpoint does", "unsure")
    remedy = "keep the options and the seed in the file and compare them: read_checkpoint does"
    return broken(_refuses, "load() took the checkpoint of another seed", remedy, "unsure")


def _forgets(case: Case, usual: UsualRun) -> Finding:
    """Memory does not grow from update to update."""
    trainer = started(case)
    tracemalloc.start()
    try:
        sizes = [_memory_after(trainer, case, calls) for calls in (WARM, CYCLES, CYCLES, CYCLES)]
    finally:
        tracemalloc.stop()
    # The median of three: what else the process makes or frees meanwhile falls into one of them.
    objects, held = np.median(np.diff(sizes, axis=0), axis=0)
    if objects < CYCLES and held < CYCLES * LEAK_BYTES:
        return kept(_forgets)
    seen = f"{CYCLES} updates left {objects:.0f} objects and {held / 1024:.0f} KiB behind, and the next as much"
    return broken(
        _forgets, seen, "keep numbers, not tensors with their graphs: loss.item(), and clear what you collect"
    )


def _memory_after(trainer: Trainer, case: Case, calls: int) -> tuple[int, int]:
    """Objects that the garbage collector sees, and bytes that Python holds, after some more calls."""
    for _ in range(calls):
        trainer.train(case.lrs[:1])
        trainer.evaluate()
        saved(trainer)
    gc.collect()
    return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]


THOROUGH: tuple[Promise, ...] = (_groups, _rests, _loses, _refuses, _forgets)
