"""Weighted mean of several laws, with what they disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autosched.laws.fit import LawFit
from autosched.laws.form import Asked, LawForm
from autosched.schedules.schedule import FloatArray

LEAST_WEIGHT = 1e-6


def stacked(
    forms: Sequence[LawForm[Any]], fits: Sequence[LawFit], weights: FloatArray, asked: Asked
) -> tuple[FloatArray, FloatArray]:
    """Mean losses (n,) and their relative variance (n,): weighted disagreement plus the parameters' own uncertainty."""
    losses, variances = [], []
    for form, fit in zip(forms, fits, strict=True):
        values, jacobian = form.losses(form.prepare(asked), fit.logs)
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
    parts = [
        weight * form.losses(form.prepare(asked), fit.logs)[0]
        for form, fit, weight in zip(forms, fits, weights.tolist(), strict=True)
        if weight > LEAST_WEIGHT
    ]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float64)
