"""AlgoPerf's bookkeeping for externally tuned methods (Dahl et al. 2023, arXiv:2306.07179; MLCommons' documentation).

A study is a few trials of one method; its score is the time of its fastest trial to the target, trials counting as if
they ran side by side. A method's score is the median over its studies. A trial that never gets there takes for ever,
so a method that misses in most of its studies has an infinite score. Time is updates here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from autosched.compare.plan import ALGOPERF_TRIALS
from autosched.compare.trace import Trace


def steps_to_target(curve: Iterable[tuple[int, float]], target: float) -> float:
    """The first evaluated update of a trial with a loss of at most `target`; infinite when there is none.

    Example:
        >>> steps_to_target([(10, 3.0), (20, 2.0), (30, 2.5)], 2.5)
        20
    """
    return next((step for step, loss in curve if loss <= target), math.inf)


def study_score(trace: Trace, target: float) -> float:
    """Updates of the fastest of a study's first five trials."""
    return min((steps_to_target(curve, target) for curve in trace.curves[:ALGOPERF_TRIALS]), default=math.inf)


def algoperf_score(traces: Sequence[Trace], aims: Mapping[int, float]) -> float:
    """A method's score in updates: the median over its studies.

    Args:
        traces: of one method.
        aims: seed -> target.
    """
    return median(study_score(trace, aims[trace.seed]) for trace in traces)
