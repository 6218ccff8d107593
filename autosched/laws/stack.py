"""Weighted mean of several laws, with what they disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autosched.laws.annealing import AnnealingForm
from autosched.laws.fit import LawFit
from autosched.laws.form import Asked, LawForm
from autosched.laws.multi_power import MultiPowerForm
from autosched.schedules.schedule import FloatArray

LEAST_WEIGHT = 1e-6


def stacked(
    forms: Sequence[LawForm[Any]], fits: Sequence[LawFit], weights: FloatArray, asked: Asked
) -> tuple[FloatArray, FloatArray]:
    """Mean losses (n,) and their relative variance (n,): weighted disagreement plus the parameters' own uncertainty."""
    losses, variances = [], []
    for form, fit, prepared in zip(forms, fits, _prepared(forms, asked), strict=True):
        values, jacobian = form.losses(prepared, fit.logs)
        relative = jacobian / values[:, None]
        losses.append(values)
        variances.append(np.einsum("ij,jk,ik->i", relative, fit.covariance, relative))
    table = np.array(losses)
    mean = weights @ table
    disagreement = weights @ (np.log(table / mean) ** 2)
    return mean, disagreement + weights**2 @ np.array(variances)


def stacked_mean(
    forms: Sequence[LawForm[Any]], fits: Sequence[LawFit], weights: FloatArray, asked: Asked
) -> FloatArray:
    """Mean losses (n,) alone; laws of no weight are not asked."""
    weighty = np.flatnonzero(weights > LEAST_WEIGHT).tolist()
    prepared = _prepared([forms[law] for law in weighty], asked)
    parts = [weights[law] * forms[law].means(seen, fits[law].logs) for law, seen in zip(weighty, prepared, strict=True)]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def _prepared(forms: Sequence[LawForm[Any]], asked: Asked) -> list[Any]:
    """What each law needs to know of the schedules; laws of LR drops share one table, which is dear to make."""
    by_drops = [isinstance(form, MultiPowerForm | AnnealingForm) for form in forms]
    drops = forms[by_drops.index(True)].prepare(asked) if any(by_drops) else None
    return [drops if shared else form.prepare(asked) for form, shared in zip(forms, by_drops, strict=True)]
