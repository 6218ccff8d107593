"""UBA, the unified budget-aware schedule: one parameter from nearly constant over a cosine to an early drop.

With W = warmup_steps, n = steps - W, theta = pi (t - W) / n, phi = budget_phi and r = final_lr_ratio, for t >= W::

    lr[t] = peak_lr * (r + (1 - r) * g(theta))
    g     = 2 (1 + cos(theta)) / (2 phi + (2 - phi) (1 + cos(theta)))

phi = 2 is the cosine, phi = 1 is ``2 (1 + c) / (3 + c)`` with c the cosine, and phi towards 0 is a constant LR. Larger
phi drops earlier.

Source: Tang et al. 2025, arXiv:2505.24452. **Experimental:** the paper's abstract names the one parameter phi, but its
equations could not be read, nor any public code of the authors; the formula is from memory and passes the checks one
can make without them (1 at the start, 0 at the end, never rising). The paper also has several cycles and a table of
phi for tasks; neither is here.

Example:
    >>> from autosched.schedules import build
    >>> build("uba", {"peak_lr": 1.0, "budget_phi": 1}, steps=4).lrs.round(4).tolist()
    [1.0, 0.921, 0.6667, 0.2555]
"""

from __future__ import annotations

from functools import partial

import numpy as np

from autosched.schedules.composition import composed
from autosched.schedules.decays import falling
from autosched.schedules.elementary import cos, sin
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR, Parameter, Params, float_of
from autosched.schedules.parts import Body
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import Progress, Real


def uba_pieces(params: Params, start: int, steps: int) -> list[Piece]:
    """LRs of the updates start..steps-1; see the module's formula."""
    shape = partial(budget_aware, phi=float_of(params, "budget_phi"))
    return falling(params, steps - start, shape, final_ratio=float_of(params, "final_lr_ratio"))


def budget_aware(progress: Progress, phi: float) -> Real:
    """``2 (1 + c) / (2 phi + (2 - phi) (1 + c))`` with c = cos(theta).

    With s = sin(pi / 2 * left)**2 and h its cosine squared it is ``s / (s + phi / 2 * h)``, where nothing cancels.
    """
    angle = np.pi / 2 * progress.left
    height = np.square(sin(angle))
    return height / (height + phi / 2 * np.square(cos(angle)))


BUDGET_PHI = Parameter(
    name="budget_phi",
    kind="float",
    meaning="2 is a cosine, towards 0 the LR stays constant longer, above 2 it drops earlier",
    low=1e-6,
    high=1e6,
    default=1.0,
    search_low=0.1,
    search_high=10,
    search_log=True,
)
UBA = composed(Body(parameters=(PEAK_LR, BUDGET_PHI, FINAL_LR_RATIO), pieces=uba_pieces, non_increasing=True)).family(
    "uba",
    summary="warmup, then a decay between a constant and an early drop, a cosine for phi = 2",
    source="Tang et al. 2025 (UBA), arXiv:2505.24452; the formula could not be checked there",
    formula="peak (r + (1 - r) 2 (1 + c) / (2 phi + (2 - phi) (1 + c))), c = cos(pi u)",
    experimental=True,
)
