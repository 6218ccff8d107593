"""What the weak beliefs of a law are scaled to, read off the curves it is fitted to, and where its fits start."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.robust import Prior
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Sizes of the curves together; the last three are geometric means over the curves.

    Attributes:
        least: lowest logged loss, nats.
        peak_lr: peak LR of the whole schedule.
        area: sum of all LRs of the whole schedule.
        last: last logged update.
    """

    least: float
    peak_lr: float
    area: float
    last: float

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> Scales:
        """Those of at least one curve with at least one loss."""
        return cls(
            least=min(float(curve.losses.min()) for curve in curves),
            peak_lr=_geometric(curve.schedule.log_peak_lr for curve in curves),
            area=_geometric(math.log(max(float(curve.schedule.lrs.sum()), LEAST_PEAK_LR)) for curve in curves),
            last=_geometric(math.log(max(float(curve.steps[-1]), 1.0)) for curve in curves),
        )


def spread_starts(belief: Prior, field: int, values: Sequence[float]) -> list[FloatArray]:
    """Starts of a fit: the logs of the law's fields as believed, but for one field, which takes `values` in turn."""
    starts = np.repeat(belief.mean[None, :], len(values), axis=0)
    starts[:, field] = np.log(values)
    return list(starts)


def _geometric(logs: Iterable[float]) -> float:
    return math.exp(float(np.mean(list(logs))))
