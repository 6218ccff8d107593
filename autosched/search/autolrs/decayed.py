"""What decayed probes are worth: their losses at the end of a short decay of the LR to 0.

A probe's loss at a constant LR is the progress it made plus noise that grows with its LR and that a cooldown removes;
in a river valley, the height above the river (Wen et al. 2024, arXiv:2410.05192). The decay removes noise, and what is
left is nearer to the progress, so nothing is extrapolated. No decay starts below the LR that the run had: a probe with
a lower one would otherwise have a longer cooldown than others of the noise that was there before it, and look good for
that. What a short decay cannot remove still counts against high LRs (short-horizon bias, Wu et al. 2018,
arXiv:1803.02021). Probes see the same batches, so losses are compared batch by batch::

    l_it     loss of probe i on the batch of update t, t in the last half of the decay          nats
    d_it     l_it - mean over probes of l_it, for each probe clipped to its median -+ 3 sd      nats
    worth_i  mean over i and t of l_it + mean over t of d_it
    sd_i     sqrt(var over t of d_it, shrunk to the mean of all probes' / number of t)

Where validation losses score the stage there is one per probe, at the end of the decay; its sd is not known, and 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autosched.curves.thinning import NORMAL
from autosched.schedules.schedule import FloatArray
from autosched.search.autolrs.priors import DECAY_CLIP, DECAY_SCATTER_LOSSES, DECAY_SCORED
from autosched.search.autolrs.records import Expectation, Numbers, State, Tried


def decayed_worths(tried: Sequence[Tried]) -> dict[int, Expectation]:
    """By number of the probe, for those that did not diverge; the sd is that of the difference to the others."""
    fine = [one for one in tried if one.end is not None]
    if not fine:
        return {}
    count = min(len(one.decay_losses) for one in fine)
    losses = np.array([_scored(one.decay_losses[-count:]) for one in fine])
    off = _clipped(losses - losses.mean(axis=0))
    means, sds = losses.mean() + off.mean(axis=1), _sd(off)
    return {
        one.number: Expectation(name="decayed", mean=float(mean), sd=float(sd))
        for one, mean, sd in zip(fine, means, sds, strict=True)
    }


def decay_lr(state: State, tried: Tried) -> float:
    """Where a probe's decay starts: at its own LR, or at that of the run before its stage if this is higher."""
    return max(tried.lr, state.lr)


def end_of_decay(losses: Numbers) -> tuple[Expectation | None, str]:
    """One probe's loss at the end of its decay, by itself; or why it has none."""
    if not losses:
        return None, "the decay has no loss."
    if not np.all(np.isfinite(losses)):
        return None, f"the probe diverged in its decay: its loss is {losses[-1]:g} after {len(losses) - 1} losses."
    scored = np.asarray(_scored(losses))
    sd = float(scored.std(ddof=1)) / math.sqrt(scored.size) if scored.size > 1 else 0.0
    return Expectation(name="decayed", mean=float(scored.mean()), sd=sd), ""


def _scored(losses: Numbers) -> Numbers:
    return losses[-max(1, math.ceil(DECAY_SCORED * len(losses))) :]


def _clipped(off: FloatArray) -> FloatArray:
    """Differences, shape (probes, losses), without outliers."""
    if off.shape[1] <= 2:
        return off
    middle = np.median(off, axis=1, keepdims=True)
    sd = NORMAL * np.median(np.abs(off - middle), axis=1, keepdims=True)
    clipped: FloatArray = np.clip(off, middle - DECAY_CLIP * sd, middle + DECAY_CLIP * sd)
    return clipped


def _sd(off: FloatArray) -> FloatArray:
    """Of the means over losses, shape (probes,)."""
    count = off.shape[1]
    if count == 1:
        return np.zeros(off.shape[0])
    variance = off.var(axis=1, ddof=1)
    shrunk = ((count - 1) * variance + DECAY_SCATTER_LOSSES * variance.mean()) / (count - 1 + DECAY_SCATTER_LOSSES)
    sd: FloatArray = np.sqrt(shrunk / count)
    return sd
