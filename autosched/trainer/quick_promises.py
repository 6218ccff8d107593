"""The promises of a trainer that a few updates show: see :mod:`autosched.trainer.soundness`."""

from __future__ import annotations

import io

from autosched.trainer.findings import (
    NOISE,
    UPDATES,
    Case,
    Finding,
    Promise,
    UsualRun,
    broken,
    differ,
    ended,
    kept,
    saved,
    started,
)
from autosched.trainer.values import as_loss, as_means


def _values(case: Case, usual: UsualRun) -> Finding:
    """train() counts its updates and gives their mean loss, evaluate() gives a loss above 0."""
    trainer = started(case)
    began = trainer.step
    as_means(trainer.train(case.lrs[:2]))
    if (began, trainer.step) != (0, 2):
        seen = f"step was {began} after start() and {trainer.step} after 2 updates"
        return broken(_values, seen, "set step to 0 in start() and add 1 for each LR that train() is given")
    loss = as_loss(trainer.evaluate())
    if loss <= 0:
        remedy = "add a constant that makes it positive: loss laws read its logarithm"
        return broken(_values, f"evaluate() gave {loss:g}", remedy, "unsure")
    return kept(_values)


def _repeats(case: Case, usual: UsualRun) -> Finding:
    """The same seed and LRs give the same losses."""
    one, other = usual.ends
    if one == other:
        return kept(_repeats)
    seen = f"two runs of {UPDATES} updates ended at {one:.6g} and {other:.6g}"
    if abs(one - other) <= NOISE * abs(one):
        remedy = "nothing, where a GPU sums in any order; otherwise see that nothing random comes from elsewhere"
        return broken(_repeats, seen, remedy, "unsure")
    remedy = (
        "draw batches and all else from generators of your own, seeded by (seed, step): autosched.trainer.generator"
    )
    return broken(_repeats, seen, remedy)


def _cuts(case: Case, usual: UsualRun) -> Finding:
    """How a run is cut into train() calls changes nothing."""
    whole, _ = usual.ends
    for cuts in ((1,), (2,), (1, 3)):
        parts = ended(case, case.lrs, cuts=cuts)
        if differ(whole, parts, usual.noise):
            seen = f"{UPDATES} updates ended at {whole:.6g} in one call and at {parts:.6g} when cut after {cuts}"
            remedy = (
                "use lrs[i] for the i-th update of the call, do len(lrs) updates; let batches depend on (seed, step), "
                "not on the call: a loader that begins anew in each call sees its first batches again"
            )
            return broken(_cuts, seen, remedy)
    return kept(_cuts)


def _evaluates(case: Case, usual: UsualRun) -> Finding:
    """evaluate() changes nothing."""
    whole, _ = usual.ends
    trainer = started(case)
    for index in range(UPDATES):
        first, second = as_loss(trainer.evaluate()), as_loss(trainer.evaluate())
        if differ(first, second, usual.noise):
            seen = f"after update {index} it gave {first:.6g}, and asked again {second:.6g}"
            return broken(_evaluates, seen, "evaluate on the same batches, without updates, in eval() mode")
        trainer.train(case.lrs[index : index + 1])
    last = as_loss(trainer.evaluate())
    if differ(whole, last, usual.noise):
        seen = f"a run that was evaluated in between ended at {last:.6g}, another at {whole:.6g}"
        remedy = (
            "use torch.no_grad() and model.eval(), model.train() afterwards, and no random numbers of the training's"
        )
        return broken(_evaluates, seen, remedy)
    return kept(_evaluates)


def _saves(case: Case, usual: UsualRun) -> Finding:
    """save() and load() carry all that the next update depends on."""
    trainer, half = started(case), UPDATES // 2
    trainer.train(case.lrs[:half])
    content = saved(trainer)
    trainer.train(case.lrs[half:])
    whole = as_loss(trainer.evaluate())
    for fresh, where in ((case.make(0), "a fresh trainer"), (trainer, "the trainer that had gone on")):
        fresh.load(io.BytesIO(content))
        if fresh.step != half:
            return broken(_saves, f"step is {fresh.step} after load(), and was {half}", "save and load step")
        fresh.train(case.lrs[half:])
        again = as_loss(fresh.evaluate())
        if differ(whole, again, usual.noise):
            seen = f"a run ended at {whole:.6g}, and at {again:.6g} when {where} loaded its middle"
            remedy = (
                "save the optimizer's state, buffers such as momentum, the loader's position, and the state of random "
                "generators that updates draw from"
            )
            return broken(_saves, seen, remedy)
    return kept(_saves)


def _uses_lrs(case: Case, usual: UsualRun) -> Finding:
    """Update i uses lrs[i]."""
    whole, _ = usual.ends
    heard = []
    for index in range(UPDATES):
        lrs = case.lrs.copy()
        lrs[index] *= 0.5
        heard.append(differ(whole, ended(case, lrs), usual.noise))
    if all(heard):
        return kept(_uses_lrs)
    missed = ", ".join(str(index) for index, matters in enumerate(heard) if not matters)
    seen = f"in a call of {UPDATES} updates, halving lrs[i] changed nothing for i = {missed}"
    if not any(heard):
        remedy = "set the LR of every parameter group before each update, and remove the optimizer's own scheduler"
    elif heard[:-1] == [True] * (UPDATES - 1):
        remedy = "set the LR before the update, not after it: it comes one update late"
    else:
        remedy = "set the LR before every update, not once in a call"
    return broken(_uses_lrs, seen, remedy)


def _uses_seed(case: Case, usual: UsualRun) -> Finding:
    """Another seed gives other losses."""
    one, other = usual.ends[0], ended(case, case.lrs, seed=1)
    if differ(one, other, usual.noise):
        return kept(_uses_seed)
    seen = f"seeds 0 and 1 both ended at {one:.6g}: runs on fresh seeds would confirm nothing"
    return broken(
        _uses_seed, seen, "draw the model's start and the batches from the seed that the constructor is given"
    )


def _means(case: Case, usual: UsualRun) -> Finding:
    """train_loss is the mean over the updates of a call."""
    single = started(case)
    losses = [as_means(single.train(case.lrs[i : i + 1]))["train_loss"] for i in range(UPDATES)]
    told, mean = as_means(started(case).train(case.lrs))["train_loss"], sum(losses) / UPDATES
    if abs(told - mean) <= max(usual.noise, 1e-4) * abs(mean):
        return kept(_means)
    seen = f"it was {told:.6g} for a call of {UPDATES} updates, whose mean is {mean:.6g}"
    return broken(_means, seen, "divide the sum by the number of updates, and let nothing of earlier calls in")


FIRST: tuple[Promise, ...] = (_values, _repeats)
QUICK: tuple[Promise, ...] = (_cuts, _evaluates, _saves, _uses_lrs, _uses_seed, _means)
