"""Weighted mean of several laws, with what they disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosched.laws.annealing import AnnealingForm
from autosched.laws.fit import LawFit
from autosched.laws.form import Asked, LawForm
from autosched.laws.multi_power import MultiPowerForm
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray

LEAST_WEIGHT = 1e-6
SAME_PEAK = 0.01
_DROPS = "drops"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stack:
    """Several fitted laws and how much each counts.

    Attributes:
        forms, fits, weights: in one order; weights sum to 1.
        peak_lr: the one peak LR of the fitted runs; None when they have several.
    """

    forms: Sequence[LawForm[Any]]
    fits: Sequence[LawFit]
    weights: FloatArray
    peak_lr: float | None = None

    def voices(self, asked: Asked, losses: FloatArray) -> FloatArray:
        """Weights of the laws at each asked step, given what they predict there, both shape (k, n).

        A law that predicts a loss <= 0 has no say, and one that does not know the peak LR has none at another peak
        than that of the fitted runs, unless it is the only kind there is. NaN where no law has a say.
        """
        blind = np.array([isinstance(form, MultiPowerForm | AnnealingForm) for form in self.forms])
        here = np.ones(losses.shape[1], dtype=np.bool_) if blind.all() else self._at_fitted_peak(asked)
        heard = (losses > 0) & (here | ~blind[:, None])
        shares = self.weights[:, None] * heard
        total = shares.sum(axis=0)
        voices: FloatArray = shares / np.where(total > 0, total, np.nan)
        return voices

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
            forms=[self.forms[law] for law in kept],
            fits=[self.fits[law] for law in kept],
            weights=self.weights[kept],
        )

    def prepared(self, asked: Asked, known: dict[str, Any] | None = None) -> list[Any]:
        """What each law needs to know of the schedules; laws of LR drops share one table, which is dear to make.

        Args:
            known: what was prepared of the same schedules before, by name; gets what is prepared now.
        """
        known = {} if known is None else known
        for form in self.forms:
            name = _DROPS if isinstance(form, MultiPowerForm | AnnealingForm) else form.name
            if name not in known:
                known[name] = form.prepare(asked)
        drops = known.get(_DROPS)
        return [known.get(form.name, drops) for form in self.forms]


def one_peak(peaks: Sequence[float]) -> float | None:
    """The peak LR all these share (to 1%), their geometric mean; None when they differ."""
    logs = np.log(np.maximum(peaks, LEAST_PEAK_LR))
    return float(np.exp(logs.mean())) if np.ptp(logs) < SAME_PEAK else None


def stacked(stack: Stack, asked: Asked) -> tuple[FloatArray, FloatArray]:
    """Mean losses (n,) and their relative variance (n,): weighted disagreement plus the parameters' own uncertainty."""
    losses, variances = [], []
    for form, fit, prepared in zip(stack.forms, stack.fits, stack.prepared(asked), strict=True):
        values, jacobian = form.losses(prepared, fit.logs)
        relative = jacobian / values[:, None]
        losses.append(values)
        variances.append(np.einsum("ij,jk,ik->i", relative, fit.covariance, relative))
    table = np.array(losses)
    voices = stack.voices(asked, table)
    mean = np.sum(voices * table, axis=0)
    gaps = np.log(np.where(voices > 0, table, mean) / mean)
    return mean, np.sum(voices * gaps**2 + voices**2 * np.array(variances), axis=0)


def stacked_mean(stack: Stack, asked: Asked) -> FloatArray:
    """Mean losses (n,) alone; laws of no weight are not asked."""
    stack = stack.weighty()
    parts = zip(stack.forms, stack.fits, stack.prepared(asked), strict=True)
    table = np.array([form.means(prepared, fit.logs) for form, fit, prepared in parts])
    mean: FloatArray = np.sum(stack.voices(asked, table) * table, axis=0)
    return mean


def stacked_jointly(stack: Stack, groups: Sequence[tuple[Asked, dict[str, Any]]]) -> tuple[FloatArray, FloatArray]:
    """Mean losses (n,) of all groups' steps, in order, and their joint relative covariance (n, n).

    Args:
        groups: steps asked, and what was prepared of them before, as in :meth:`Stack.prepared`.
    """
    stack = stack.weighty()
    seen = [stack.prepared(asked, known) for asked, known in groups]
    found = []
    for law, (form, fit) in enumerate(zip(stack.forms, stack.fits, strict=True)):
        parts = [form.losses(prepared[law], fit.logs) for prepared in seen]
        found.append((np.concatenate([losses for losses, _ in parts]), np.concatenate([slope for _, slope in parts])))
    table = np.array([losses for losses, _ in found])
    voices = stack.voices([one for asked, _ in groups for one in asked], table)
    mean = np.sum(voices * table, axis=0)
    shared = np.zeros((mean.size, mean.size))
    for voice, (losses, jacobian), fit in zip(voices, found, stack.fits, strict=True):
        relative = np.where(voice > 0, voice / np.where(voice > 0, losses, 1.0), 0.0)[:, None] * jacobian
        shared += relative @ fit.covariance @ relative.T
    gaps = np.sqrt(voices) * np.log(np.where(voices > 0, table, mean) / mean)
    return mean, shared + gaps.T @ gaps
