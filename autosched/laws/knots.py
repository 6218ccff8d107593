"""Final losses of schedules that are linear between shared knots: what the optimiser descends on.

    name   meaning                                                        shape
    knots  updates at which LRs are given; the first is 0, the last is T  (k,)
    lrs    LRs at the knots of n schedules                                (n, k)

Areas and intrinsic times are integrals over the pieces, so a schedule of any length costs a few dozen terms, and a
gradient by differences is one call with k + 1 schedules. The schedule built from the knots has one LR per update; the
two differ by less than the length of an update (tested).
"""

from __future__ import annotations

import numpy as np

from autosched.laws.functional import FunctionalLaw
from autosched.laws.multi_power import MultiPowerLaw
from autosched.schedules.schedule import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_BACK = ((1 + _NODES) / 2) ** 2
_SHARE = _WEIGHTS * (1 + _NODES) / 2
_GAUSS = ((1 + _NODES) / 2, _WEIGHTS / 2)
_LR_FLOOR = 1e-3
_HALVES = 4


def multi_power_finals(law: MultiPowerLaw, knots: FloatArray, lrs: FloatArray, warmup: float) -> FloatArray:
    """Final losses, shape (n,); the pieces before update `warmup` rise and are no drops unless the law counts them."""
    length, begin, end = np.diff(knots), lrs[:, :-1], lrs[:, 1:]
    piece = 0.5 * length * (begin + end)
    after = np.cumsum(piece[:, ::-1], axis=1)[:, ::-1] - piece
    node = end[..., None] + (begin - end)[..., None] * _BACK
    since = after[..., None] + 0.5 * length[:, None] * _BACK * (node + end[..., None])
    floor = np.maximum(node, _LR_FLOOR * lrs.max(axis=1)[:, None, None])
    x = law.speed * floor**-law.lr_power * since
    grown = ((1 - (1 + x) ** -law.saturation) * _SHARE).sum(axis=-1)
    counted = 1.0 if law.warmup_drops else (knots[:-1] >= warmup).astype(np.float64)
    gained = law.drop * ((begin - end) * grown * counted).sum(axis=1)
    total: FloatArray = law.floor + law.scale * piece.sum(axis=1) ** -law.exponent - gained
    return total


def functional_finals(law: FunctionalLaw, knots: FloatArray, lrs: FloatArray) -> FloatArray:
    """Final losses, shape (n,)."""
    peak = lrs.max(axis=1, keepdims=True)
    cut = np.linspace(0, 1, _HALVES, endpoint=False)
    fine = np.append((knots[:-1, None] + np.diff(knots)[:, None] * cut).ravel(), knots[-1])
    z = (lrs[:, :-1, None] + np.diff(lrs, axis=1)[..., None] * cut).reshape(lrs.shape[0], -1) / peak
    z = np.append(z, lrs[:, -1:] / peak, axis=1)
    begin, step = z[:, :-1, None], np.diff(z, axis=1)[..., None]
    inside = np.maximum(begin + step * _GAUSS[0], 0.0) ** law.time_power @ _GAUSS[1]
    pace = (peak / law.reference_lr) ** law.time_peak_power / law.reference_steps
    piece = np.diff(fine) * inside * pace
    since = np.cumsum(piece[:, ::-1], axis=1)[:, ::-1]
    rest = (1 + law.speed * np.append(since, np.zeros((z.shape[0], 1)), axis=1)) ** -law.saturation
    middle = np.maximum(0.5 * (z[:, :-1] + z[:, 1:]), 0.0) ** law.noise_power
    noise = (middle * (rest[:, 1:] - rest[:, :-1])).sum(axis=1)
    level = law.noise * (peak[:, 0] / law.reference_lr) ** law.noise_peak_power
    total: FloatArray = law.floor + law.scale * since[:, 0] ** -law.exponent + level * noise
    return total
