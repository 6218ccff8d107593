"""How far a decay is, and the shapes it can take.

Convention of every decay in this package: it covers n updates j = 0..n-1, and update j uses the shape at ``j / n``. So
the first update of a decay still has the LR it starts from, the last one has the shape's value at ``1 - 1/n``, and the
final LR itself belongs to update n, which is not made: a decay to zero wastes no update on an LR of zero. This is how
torch's ``CosineAnnealingLR``, transformers' schedules and the WSD code of Hägele et al. (2024) count.

name   meaning                                            shape   unit
j      updates of the decay before this one               (n,)    updates
done   j / n, share of the decay that is over             (n,)    -
left   (n - j) / n, share of it that is still to come     (n,)    -

A shape goes from 1 at the start to 0 at the end. It is written with whichever of `done` and `left` loses no digits:
``1 - sqrt(done)`` would keep only half of the digits near the end of a long decay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autosched.schedules.elementary import power as raised
from autosched.schedules.elementary import sin
from autosched.schedules.pieces import Curve

Real = Any
"""A float64 array, or a term that stands for one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where each update `j` of a decay of n updates stands; see the module's notation table.

    Args:
        n: updates of the decay.
        j: updates before each one.

    Example:
        >>> Progress(4, np.arange(4)).done.tolist(), Progress(4, np.arange(4)).left.tolist()
        ([0.0, 0.25, 0.5, 0.75], [1.0, 0.75, 0.5, 0.25])
    """

    n: int
    j: Real

    @property
    def done(self) -> Real:
        """Share of the decay that is over."""
        return self.j / (self.n or 1)

    @property
    def left(self) -> Real:
        """Share of the decay that is still to come."""
        return (self.n - self.j) / (self.n or 1)


Shape = Callable[[Progress], Real]


def linear(progress: Progress) -> Real:
    """``1 - done``."""
    return progress.left


def one_minus_sqrt(progress: Progress) -> Real:
    """``1 - sqrt(done)`` (Hägele et al. 2024, arXiv:2405.18392), as ``left / (1 + sqrt(done))``."""
    return progress.left / (1 + np.sqrt(progress.done))


def cosine(progress: Progress) -> Real:
    """``(1 + cos(pi * done)) / 2`` (Loshchilov and Hutter 2017, arXiv:1608.03983), as ``sin(pi / 2 * left)**2``."""
    return np.square(sin(np.pi / 2 * progress.left))


def mirror_cosine(progress: Progress) -> Real:
    """``2 (1 - done) - (1 + cos(pi * done)) / 2``: the cosine mirrored at the straight line (Hägele et al. 2024)."""
    return 2 * progress.left - cosine(progress)


def square(progress: Progress) -> Real:
    """``1 - done**2`` (Hägele et al. 2024, arXiv:2405.18392), as ``left * (1 + done)``."""
    return progress.left * (1 + progress.done)


def power(progress: Progress, exponent: float) -> Real:
    """``(1 - done)**exponent``."""
    return raised(progress.left, exponent)


def exponential(progress: Progress, final_ratio: float) -> Real:
    """``final_ratio**done``: from 1 to `final_ratio` > 0, with no zero to be reached."""
    return raised(final_ratio, progress.done)


def inverse_proportional(progress: Progress, final_ratio: float) -> Real:
    """``1 / (1 + done * (1 / final_ratio - 1))``: 1 / LR rises in a straight line; from 1 to `final_ratio` > 0.

    Written ``final_ratio / (final_ratio + done * (1 - final_ratio))``, which cannot overflow. Source: the cooldown of
    WSD-S, Wen et al. 2024, arXiv:2410.05192.
    """
    return final_ratio / (final_ratio + progress.done * (1 - final_ratio))


def down_to(final_ratio: float, shape: Real) -> Real:
    """``final_ratio + (1 - final_ratio) * shape``: a shape that ends at 0 made to end at `final_ratio`.

    Exact at both ends in float64, and never rising where `shape` never rises.
    """
    return final_ratio + (1 - final_ratio) * shape


def decay(n: int, shape: Shape, *, begin: float = 1.0, final_ratio: float = 0.0) -> Curve:
    """The curve of a decay over `n` updates from `begin` to `final_ratio` of it."""
    return lambda j: begin * down_to(final_ratio, shape(Progress(n, j)))
