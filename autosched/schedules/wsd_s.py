"""WSD-S: decay at every checkpoint, then go on from the decayed weights at the peak LR, in one run.

With checkpoints c[1] < .. < c[k] = steps, p = decay_fraction and r = final_lr_ratio, for t >= W = warmup_steps::

    c[i]  = steps * checkpoint_ratio**(i - k)         checkpoint_spacing geometric: .., steps/4, steps/2, steps
    c[i]  = steps * i / k                             even
    d[i]  = floor(p * (c[i] - c[i-1]) + 1/2)          updates of the decay that ends at c[i], at least 1; c[0] = 0
    lr[t] = peak_lr                                   before that decay, and again from update c[i] on
    lr[t] = peak_lr / (1 + u (1 / r - 1))             in it, u the share of it that is over: 1 / LR rises in a line

Checkpoints are rounded to whole updates, counted from the start of the run; those within the warmup are left out. WSD
branches off the stable phase for every budget and throws the decay away; here the decays are part of the one run, whose
weights at every checkpoint are those of a run that was meant to end there.

Source: Wen et al. 2024, arXiv:2410.05192 (abstract read); that the decay is inverse-proportional, that the LR jumps
back to the peak without a new warmup and that checkpoints are a list of updates is as in Levanter, the training library
of one of its authors.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "checkpoints": 2, "decay_fraction": 0.5, "final_lr_ratio": 0.25}
    >>> build("wsd_s", params, steps=8).lrs.round(3).tolist()
    [1.0, 1.0, 1.0, 0.4, 1.0, 1.0, 1.0, 0.4]
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autosched.schedules.composition import composed
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of, int_of, text_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import decay, inverse_proportional


def wsd_s_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formulas."""
    pieces: list[Piece] = []
    previous, share, peak = 0, float_of(params, "decay_fraction"), float_of(params, "peak_lr")
    shape = partial(inverse_proportional, final_ratio=float_of(params, "final_lr_ratio"))
    for end in checkpoint_updates(params, steps).tolist():
        begin = max(previous, start)
        if end > begin:
            updates = min(max(1, math.floor(share * (end - previous) + 0.5)), end - begin)
            pieces += [Piece(end - updates - begin, peak), Piece(updates, decay(updates, shape, begin=peak))]
        previous = end
    return pieces


def checkpoint_updates(params: Params, steps: int) -> NDArray[np.int64]:
    """The updates after which a decayed checkpoint is there, strictly rising, the last one `steps`.

    Example:
        >>> checkpoint_updates({"checkpoints": 3, "checkpoint_spacing": "geometric", "checkpoint_ratio": 2.0}, 100)
        array([ 25,  50, 100])
        >>> checkpoint_updates({"checkpoints": 3, "checkpoint_spacing": "even"}, 100)
        array([ 33,  67, 100])
    """
    count = int_of(params, "checkpoints")
    if text_of(params, "checkpoint_spacing") == "even":
        exact = steps * np.arange(1, count + 1, dtype=np.float64) / count
    else:
        exact = steps * float_of(params, "checkpoint_ratio") ** np.arange(1 - count, 1, dtype=np.float64)
    whole = np.unique(np.floor(exact + 0.5).astype(np.int64))
    return np.asarray(whole[whole > 0])


CHECKPOINTS = Parameter(
    name="checkpoints",
    kind="integer",
    meaning="decayed checkpoints, that at the end of the run included",
    low=1,
    high=1000,
    default=3,
    search_low=1,
    search_high=5,
)
CHECKPOINT_SPACING = Parameter(
    name="checkpoint_spacing",
    kind="choice",
    meaning="whether a checkpoint is a factor or a number of updates after the one before it",
    choices=("geometric", "even"),
    default="geometric",
    search_choices=(),
)
CHECKPOINT_RATIO = Parameter(
    name="checkpoint_ratio",
    kind="float",
    meaning="update of a checkpoint over that of the one before it",
    low=1.01,
    high=100,
    default=2.0,
    when={"checkpoint_spacing": ("geometric",)},
)
DECAY_FRACTION = Parameter(
    name="decay_fraction",
    kind="float",
    meaning="updates of a decay over those since the checkpoint before it",
    unit="share of the way between two checkpoints",
    low=0,
    low_open=True,
    high=1,
    default=0.1,
    search_low=0.05,
    search_high=0.5,
)
DECAYED_LR_RATIO = replace(
    FINAL_LR_RATIO,
    meaning="LR every decay ends at, as a share of the peak LR",
    low_open=True,
    default=0.1,
    search_low=1e-2,
)
WSD_S = composed(
    Body(
        parameters=(PEAK_LR, CHECKPOINTS, CHECKPOINT_SPACING, CHECKPOINT_RATIO, DECAY_FRACTION, DECAYED_LR_RATIO),
        pieces=wsd_s_pieces,
    )
).family(
    "wsd_s",
    summary="warmup, the peak LR with a decay at every checkpoint, going on from the decayed weights",
    source="Wen et al. 2024 (WSD-S), arXiv:2410.05192",
    formula="peak; before every checkpoint peak / (1 + u (1 / r - 1)), then peak again",
)
