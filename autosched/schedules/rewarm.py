"""Re-warm and re-decay: how a trained model goes on with new data, once or for several data sets in a row.

The run begins where an earlier one ended. Its n = steps - warmup_steps updates are cut into `stages` of equal length
(to one update), one for each new data set. In a stage of L updates, with a = initial_lr_ratio in the first stage and
final_lr_ratio in the later ones, P = 1 in the first stage and later_peak_ratio in the later ones, r = final_lr_ratio::

    w     = floor(rewarm_fraction * L + 1/2), at most L - 1
    j < w   lr = peak_lr * (a + (P - a) * j / w)                               re-warm, a straight line
    j >= w  lr = peak_lr * (r + (P - r) * (1 + cos(pi * (j - w) / (L - w))) / 2)   re-decay, half a cosine

`peak_lr` is the LR re-warmed to, in the papers that of the pretraining: a higher one learns the new data better and
forgets more of the old. The re-warm's length hardly matters (Gupta et al.: 0 to 2% of the updates). Their models replay
5% of the old data (25% for a strong shift), which is no LR's business.

Source: Gupta et al. 2023, arXiv:2308.04014; Ibrahim et al. 2024, arXiv:2403.08763 (abstracts read; to 10% of the peak
and about 1% of re-warm as two reviews report). Whether their re-warm starts at 0 or at the earlier final LR could not
be read: ``initial_lr_ratio`` says it.

Example:
    >>> from autosched.schedules import build
    >>> params = {"peak_lr": 1.0, "rewarm_fraction": 0.5, "initial_lr_ratio": 0.0, "final_lr_ratio": 0.5}
    >>> build("rewarm", params, steps=8).lrs.round(3).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.927, 0.75, 0.573]
    >>> build("rewarm", {**params, "stages": 2}, steps=8).lrs.round(3).tolist()
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.75, 1.0, 0.75]
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of, int_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import cosine, decay
from autosched.schedules.warmups import ramp


def rewarm_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formulas."""
    stages, final = int_of(params, "stages"), float_of(params, "final_lr_ratio")
    edges = np.unique(np.floor((steps - start) * np.arange(stages + 1) / stages + 0.5).astype(np.int64)).tolist()
    begin, top, scale = float_of(params, "initial_lr_ratio"), 1.0, float_of(params, "peak_lr")
    pieces = []
    for first, end in itertools.pairwise(edges):
        rewarm = min(math.floor(float_of(params, "rewarm_fraction") * (end - first) + 0.5), end - first - 1)
        fall = decay(end - first - rewarm, cosine, begin=top, final_ratio=final / top)
        pieces.append(Piece(rewarm, ramp(rewarm, begin / top)).scaled(top).scaled(scale))
        pieces.append(Piece(end - first - rewarm, fall).scaled(scale))
        begin, top = final, float_of(params, "later_peak_ratio")
    return pieces


def _fault(params: Params, steps: int) -> str | None:
    later, final = float_of(params, "later_peak_ratio"), float_of(params, "final_lr_ratio")
    if later < final:
        return f"later_peak_ratio must be >= final_lr_ratio ({final:g}), which a re-warm rises from, but got {later:g}."
    return None


STAGES = Parameter(
    name="stages",
    kind="integer",
    meaning="data sets in a row, each re-warmed and re-decayed",
    low=1,
    high=100,
    default=1,
)
REWARM_FRACTION = Parameter(
    name="rewarm_fraction",
    kind="float",
    meaning="updates of a re-warm over those of its stage",
    unit="share of a stage",
    low=0,
    high=1,
    default=0.01,
    search_low=0.0,
    search_high=0.1,
)
INITIAL_LR_RATIO = Parameter(
    name="initial_lr_ratio",
    kind="float",
    meaning="LR the first re-warm starts from, for example the earlier run's last one",
    unit="share of the peak LR",
    low=0,
    high=1,
    default=0.1,
)
LATER_PEAK_RATIO = Parameter(
    name="later_peak_ratio",
    kind="float",
    meaning="LR that the second and later stages re-warm to",
    unit="share of the peak LR",
    low=0,
    low_open=True,
    high=1,
    default=1.0,
)
REWARM = composed(
    Body(
        parameters=(
            PEAK_LR,
            STAGES,
            REWARM_FRACTION,
            INITIAL_LR_RATIO,
            LATER_PEAK_RATIO,
            replace(FINAL_LR_RATIO, default=0.1),
        ),
        pieces=rewarm_pieces,
        fault=_fault,
    )
).family(
    "rewarm",
    summary="continual pretraining: up from an earlier run's last LR in a line, down again in half a cosine",
    source="Gupta et al. 2023, arXiv:2308.04014; Ibrahim et al. 2024, arXiv:2403.08763",
    formula="peak (a + (P - a) j / w), then peak (r + (P - r) (1 + cos(pi v)) / 2), in every stage",
)
