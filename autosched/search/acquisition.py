"""What candidates are worth, by joint draws of their final losses.

With draws y of all log final losses, b the log of the best complete loss (none yet: infinite)::

    chance_i = P( y_i <= min(b, min_j y_j) + tolerance )          to be (nearly) the best of all
    gain_i   = E[ max(min(b, min_p y_p) - y_i, 0) ]               expected improvement, log loss; p: runs under way

The chance favours what is surely near the best, so it branches ever more of the same off a stable phase it knows; the
expected improvement goes where much may be won. Where each of them serves is told in
``docs/records/replay-simulated.md``. The latter is that of Mockus (1975) and of Jones, Schonlau and Welch (1998), by
draws because candidates may diverge and because what other workers train now will have ended too (Ginsbourger,
Le Riche and Carraro, 2010).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autosched.laws.forecast import Forecast
from autosched.schedules.schedule import FloatArray


def joint_draws(
    ends: Forecast, survival: FloatArray, weights: FloatArray, *, count: int, random: np.random.Generator
) -> FloatArray:
    """Draws of the log final losses, shape (count, n); infinite where a candidate does not compete.

    Those compete in a draw that survive, and whose peak LR is within what it takes for likely: it draws how much weight
    a candidate must have. So one that is sure to win where it is unlikely leaves the others a chance.

    Args:
        survival: probability of each not to diverge, shape (n,).
        weights: how likely the peak LR of each is, 1 for the likeliest, shape (n,).
    """
    known = ends.sound
    mean = np.where(known, ends.log_mean, np.inf)
    usable = known[:, None] & known[None, :] & np.isfinite(ends.covariance)
    values, vectors = np.linalg.eigh(np.where(usable, ends.covariance, 0.0))
    roots = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = mean + random.standard_normal((count, mean.size)) @ roots.T
    draws = np.where(random.uniform(size=draws.shape) < survival, draws, np.inf)
    kept: FloatArray = np.where(random.uniform(size=(count, 1)) < weights, draws, np.inf)
    return kept


def chances(draws: FloatArray, best: float, tolerance: float) -> FloatArray:
    """Probability of each candidate to be the best of all within the tolerance, shape (n,).

    Args:
        best: log of the best complete loss, infinite without one.
        tolerance: in log loss.
    """
    least = draws.min(axis=1, initial=best)
    near: FloatArray = ((draws <= least[:, None] + tolerance) & np.isfinite(draws)).mean(axis=0)
    return near


def gains(draws: FloatArray, best: float, pending: NDArray[np.bool_]) -> FloatArray:
    """Expected improvement of each candidate on a finite `best` and on what is under way, log loss, shape (n,).

    Args:
        pending: which candidates other workers train, shape (n,); on themselves they improve by nothing.
    """
    least = draws[:, pending].min(axis=1, initial=best)
    gained: FloatArray = np.maximum(least[:, None] - draws, 0.0).mean(axis=0)
    return gained
