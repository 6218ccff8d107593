"""Weighted mean of several laws, with what they disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosched.laws.fit import LawFit
from autosched.laws.law import Asked, LawFamily
from autosched.laws.priors import LEAST_WEIGHT, SAME_PEAK
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stack:
    """Several fitted laws and how much each counts.

    Attributes:
        families, fits, weights: in one order; weights sum to 1.
        peak_lr: the one peak LR of the fitted runs; None when they have several.
    """

    families: Sequence[LawFamily[Any]]
    fits: Sequence[LawFit]
    weights: FloatArray
    peak_lr: float | None = None

    def weights_at(self, asked: Asked, losses: FloatArray) -> FloatArray:
        """Weights of the laws at each asked step, given what they predict there, both shape (k, n).

        A law that predicts a loss <= 0 has no say, and one that does not know the peak LR has none at another peak
        than that of the fitted runs, unless it is the only kind there is. NaN where no law has a say.
        """
        blind = np.array([not family.law_type.knows_peak_lr for family in self.families])
        here = np.ones(losses.shape[1], dtype=np.bool_) if blind.all() else self._at_fitted_peak(asked)
        heard = (losses > 0) & (here | ~blind[:, None])
        shares = self.weights[:, None] * heard
        total = shares.sum(axis=0)
        weights: FloatArray = shares / np.where(total > 0, total, np.nan)
        return weights

    def _at_fitted_peak(self, asked: Asked) -> NDArray[np.bool_]:
        known = [
            self.peak_lr is not None and abs(schedule.peak_lr / self.peak_lr - 1) < SAME_PEAK for schedule, _ in asked
        ]
        return np.repeat(np.array(known), [len(steps) for _, steps in asked])

    def weighty(self) -> Stack:
        """Without the laws of no weight."""
        kept = np.flatnonzero(self.weights > LEAST_WEIGHT).tolist()
        return replace(
            self,
            families=[self.families[law] for law in kept],
            fits=[self.fits[law] for law in kept],
            weights=self.weights[kept],
        )

    def prepared(self, asked: Asked, known: dict[str, Any] | None = None) -> list[Any]:
        """What each law needs to know of the schedules.

        Args:
            known: what was prepared of the same schedules before, by :attr:`LawFamily.sees`; gets what is prepared now.
        """
        known = {} if known is None else known
        for family in self.families:
            if family.sees not in known:
                known[family.sees] = family.prepare(asked)
        return [known[family.sees] for family in self.families]


def one_peak(peaks: Sequence[float]) -> float | None:
    """The peak LR all these share (to 1%), their geometric mean; None when they differ."""
    logs = np.log(np.maximum(peaks, LEAST_PEAK_LR))
    return float(np.exp(logs.mean())) if np.ptp(logs) < SAME_PEAK else None


def stacked_mean(stack: Stack, asked: Asked) -> FloatArray:
    """Mean losses (n,) alone; laws of no weight are not asked."""
    stack = stack.weighty()
    parts = zip(stack.families, stack.fits, stack.prepared(asked), strict=True)
    table = np.array([family.means(prepared, fit.logs) for family, fit, prepared in parts])
    mean: FloatArray = np.sum(stack.weights_at(asked, table) * table, axis=0)
    return mean


def stacked(stack: Stack, groups: Sequence[tuple[Asked, dict[str, Any]]]) -> tuple[FloatArray, FloatArray]:
    """Mean losses (n,) of all groups' steps, in order, and their joint relative covariance (n, n).

    Args:
        groups: steps asked, and what was prepared of them before, as in :meth:`Stack.prepared`.
    """
    stack = stack.weighty()
    seen = [stack.prepared(asked, known) for asked, known in groups]
    found = []
    for law, (family, fit) in enumerate(zip(stack.families, stack.fits, strict=True)):
        parts = [family.losses(prepared[law], fit.logs) for prepared in seen]
        found.append((np.concatenate([losses for losses, _ in parts]), np.concatenate([slope for _, slope in parts])))
    table = np.array([losses for losses, _ in found])
    weights = stack.weights_at([one for asked, _ in groups for one in asked], table)
    mean = np.sum(weights * table, axis=0)
    shared = np.zeros((mean.size, mean.size))
    for weight, (losses, jacobian), fit in zip(weights, found, stack.fits, strict=True):
        relative = np.where(weight > 0, weight / np.where(weight > 0, losses, 1.0), 0.0)[:, None] * jacobian
        shared += relative @ fit.covariance @ relative.T
    gaps = np.sqrt(weights) * np.log(np.where(weights > 0, table, mean) / mean)
    return mean, shared + gaps.T @ gaps
