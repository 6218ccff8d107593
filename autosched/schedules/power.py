"""The power scheduler: a power law of the tokens seen, times the batch size, that knows no horizon.

With n = batch_size * sequence_length * t tokens seen before update t, beta = batch_size in sequences,
a = power_amplitude and b = power_exponent, for t >= W = warmup_steps::

    lr[t] = min(peak_lr, beta * a * n**b)

name   meaning                                              unit
n      tokens the model has been trained on before t        tokens
beta   sequences of a batch                                 sequences
a      amplitude, 4 in the paper (4.6 in its fit, eq. 5)    LR per sequence, times tokens**-b
b      exponent, -0.51 in the paper                         -

The paper adds a linear warmup to the LR that is due at its end, and a decay of the last 10% that is exponential there:
``warmup_steps`` and ``cooldown_shape`` here. Its runs have 4096 tokens per sequence, batches of 16 to 1024 sequences
and muP, with peak_lr = 0.02. **The defaults are those of its large runs (1024 x 4096): write your own run's batch_size
and sequence_length.** They are facts of the run and never searched.

Source: Shen et al. 2024, arXiv:2408.13359, equations 1 and 5 to 8 and tables 2 and 3 (read).

Example:
    >>> from autosched.schedules import build
    >>> batch = {"batch_size": 256, "sequence_length": 2048}
    >>> lrs = build("power", {"peak_lr": 0.02, **batch, "warmup_steps": 100}, steps=100_000).lrs
    >>> lrs[[0, 100, 1000, 10_000, 99_999]].round(5).tolist()
    [0.0002, 0.02, 0.02, 0.01131, 0.00349]
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.elementary import power
from autosched.schedules.parameter import PEAK_LR, Parameter, Params, float_of, int_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece


def power_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """``min(peak_lr, beta * a * n**b)`` for the updates start..steps-1.

    By logarithms, ``n**b`` of a huge batch cannot leave float64; n = 0 tokens give `peak_lr`, the limit.
    """
    batch, exponent = int_of(params, "batch_size"), float_of(params, "power_exponent")
    tokens = float(batch) * int_of(params, "sequence_length")
    # beta * a * tokens**b is the LR due at t = 1; from there on it falls as t**b
    log_first = math.log(batch) + math.log(float_of(params, "power_amplitude")) + exponent * math.log(tokens)
    first, cap = math.exp(min(log_first, 700.0)), float_of(params, "peak_lr")
    begin = max(start, 1)
    falling = Piece(steps - begin, lambda j: np.minimum(first * power(j + begin, exponent), cap))
    return [Piece(begin - start, cap), falling]


LIMIT = replace(PEAK_LR, meaning="LR that the power law is cut off at, and so the peak unless the law starts below it")
POWER_AMPLITUDE = Parameter(
    name="power_amplitude",
    kind="float",
    meaning="a of beta * a * n**b",
    unit="LR per sequence of a batch, times tokens**-b",
    low=1e-12,
    high=1e12,
    default=4.0,
    search_low=0.4,
    search_high=40,
    search_log=True,
)
POWER_EXPONENT = Parameter(
    name="power_exponent",
    kind="float",
    meaning="b of beta * a * n**b",
    low=-10,
    high=0,
    default=-0.51,
    search_low=-0.6,
    search_high=-0.4,
)
BATCH_SIZE = Parameter(
    name="batch_size",
    kind="integer",
    meaning="batch of your run; never searched",
    unit="sequences",
    low=1,
    high=1e9,
    default=1024,
)
SEQUENCE_LENGTH = Parameter(
    name="sequence_length",
    kind="integer",
    meaning="length of a sequence of your run; never searched",
    unit="tokens",
    low=1,
    high=1e9,
    default=4096,
)
POWER = composed(
    # it never rises, but need not start at peak_lr, which `non_increasing` would promise
    Body(parameters=(LIMIT, POWER_AMPLITUDE, POWER_EXPONENT, BATCH_SIZE, SEQUENCE_LENGTH), pieces=power_pieces)
).family(
    "power",
    summary="warmup, then a power law of the tokens seen, times the batch size, below the peak LR",
    source="Shen et al. 2024 (Power scheduler), arXiv:2408.13359, equations 7 and 8",
    formula="min(peak, beta a n**b), n = batch_size * sequence_length * t tokens, beta = batch_size",
)
