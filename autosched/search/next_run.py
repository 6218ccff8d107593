"""The value of one more run: by how much better a schedule would be chosen if its end were known.

    mean_j(z) = m_j + S_jc / sqrt(S_cc + noise_c) * z           what choice j would be forecast, z standard normal
    value_c   = min_j m_j - E_z[ min_j mean_j(z) ]              expected gain of the choice, log loss, >= 0
    sd_c      = sqrt(S_bb - S_bc**2 / (S_cc + noise_c))         of the end of b, the best choice, when c has been run

m, S are the forecaster's joint normal over log final losses without what nobody can know before, and noise_c is that:
the run's own offset and the scatter of its last evaluation. The value is the knowledge gradient for correlated beliefs
(Frazier, Powell and Dayanik, 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.optimum import OptimumTask
from autosched.laws.priors import SEEN_SHARE
from autosched.schedules import Schedule, build
from autosched.schedules.schedule import FloatArray

COOLDOWNS = (0.1, 0.2, 0.4, 0.7, 1.0)
PEAKS = 5
"""What is tried: peak LRs between the bounds, and shares of cooldown, of WSD. A finer grid names neighbours."""
NODES = 1000
"""Of the mean over z, at equal shares of the normal: the least of a few lines to 1e-3 of a standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """A run that was not made.

    Attributes:
        schedule: of the run.
        value: how much less the schedule that is then chosen is expected to end at, nats.
        sd_before, sd_after: standard deviation of the best schedule's end, now and when the run has been made, nats.
    """

    schedule: Schedule
    value: float
    sd_before: float
    sd_after: float


def next_runs(law: Forecaster, best: Schedule, task: OptimumTask, *, longest: int = 0) -> list[NextRun]:
    """The run that would teach most of those as long as the task's, and of those as long as the longest that was made.

    Args:
        best: the schedule that would be chosen now; no candidate itself.
        task: the choices' horizon, peak LRs and warmup.
        longest: updates of the longest run that the law was fitted to.

    Returns:
        The one with the greatest value of each length, the more valuable first; none where nothing is uncertain.
    """
    choices = [best, *_tried(task.steps, task)]
    shorter = _tried(longest, task) if 2 * task.warmup_steps < longest < SEEN_SHARE * task.steps else []
    schedules = [*choices, *shorter]
    query = Query.ends(schedules)
    ends = law.forecast(query, observation_noise=False)
    if not ends.sound.all():
        return []
    noise = np.diag(law.forecast(query).covariance) - np.diag(ends.covariance)
    values, sds = lessons(ends.log_mean, ends.covariance, np.maximum(noise, 0.0), choices=len(choices))
    loss, before = float(ends.mean[0]), float(ends.sd[0])
    found = []
    for numbers in (range(1, len(choices)), range(len(choices), len(schedules))):
        most = max(numbers, key=lambda number: (values[number], -sds[number]), default=None)
        if most is not None and sds[most] < before:
            value = loss * -math.expm1(-values[most])
            schedule = schedules[most]
            found.append(
                NextRun(schedule=schedule, value=value, sd_before=loss * before, sd_after=loss * float(sds[most]))
            )
    return sorted(found, key=lambda run: -run.value)


def lessons(
    mean: FloatArray, covariance: FloatArray, noise: FloatArray, *, choices: int
) -> tuple[FloatArray, FloatArray]:
    """Value of each run, shape (n,), and the standard deviation of the best choice's end after it, (n,), log loss.

    Args:
        mean, covariance: of the log final losses, shapes (n,), (n, n).
        noise: variance of what is observed beside it, shape (n,).
        choices: how many of the first may be chosen; the first of all is the best choice of now.
    """
    seen = np.diag(covariance) + noise
    slopes = np.divide(covariance[:choices], np.sqrt(seen), out=np.zeros((choices, seen.size)), where=seen > 0)
    nodes = ndtri((np.arange(NODES) + 0.5) / NODES)
    means = mean[:choices, None, None] + slopes[:, :, None] * nodes  # (choices, runs, nodes)
    expected = means.min(axis=0).mean(axis=1)
    after = np.sqrt(np.maximum(covariance[0, 0] - slopes[0] ** 2, 0.0))
    return np.maximum(mean[:choices].min() - expected, 0.0), after


def _tried(steps: int, task: OptimumTask) -> Sequence[Schedule]:
    low, high = task.peak_lr
    peaks = np.geomspace(low, high, PEAKS if low < high else 1).tolist()
    shapes = [(peak, share) for peak in peaks for share in COOLDOWNS]
    fixed = {"warmup_steps": task.warmup_steps}
    return [
        build("wsd", {**fixed, "peak_lr": p, "cooldown_fraction": c, "final_lr_ratio": task.min_lr / p}, steps=steps)
        for p, c in shapes
    ]
