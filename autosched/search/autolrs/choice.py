"""Which LR a stage tries next, and which of those it tried is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autosched.randomness import uniform
from autosched.search.autolrs.forecasts import Values, values
from autosched.search.autolrs.priors import PROBES_APART, STAGES_REMEMBERED
from autosched.search.autolrs.records import State, Work, Worth
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs.stages import Stage
from autosched.search.autolrs.surrogate import Points, Surrogate


def first_lr(settings: Settings, state: State, stage: Stage) -> float:
    """The first LR of a stage."""
    if settings.first_probe == "random":
        return _lr(settings, uniform(settings.seed, "first probe", stage.index))
    return state.passed[-1].lr if state.passed else math.sqrt(settings.low * settings.high)


def next_lr(settings: Settings, state: State, stage: Stage, running: Sequence[Work]) -> float:
    """The LR with the lowest confidence bound, as if those that are not over had turned out as expected."""
    undecayed = [tried.lr for tried in state.tried if tried.undecayed]
    pending = [_u(settings, lr) for lr in [*undecayed, *(work.lr for work in running if work.kind == "probe")]]
    points = _points(settings, state, values(settings, state, stage))
    if not points.u.size:
        return _lr(settings, uniform(settings.seed, "probe", stage.index, len(pending)))
    surrogate = Surrogate.fit(points).believing(points, pending)
    taken = [*points.u[points.stage == 0].tolist(), *pending]
    return _lr(settings, surrogate.lowest_bound(settings.kappa, taken, apart=PROBES_APART / settings.probes))


def ranked(settings: Settings, state: State, found: Values) -> list[int]:
    """Numbers of the present stage's finished probes that did not diverge, the best first."""
    fine = [i for i, worth in enumerate(found.worths) if worth.mean is not None]
    if not fine:
        return []
    score = np.array([worth.mean if worth.mean is not None else math.inf for worth in found.worths])
    if settings.winner == "posterior":
        points = _points(settings, state, found)
        score = Surrogate.fit(points).at(points.u[points.stage == 0])[0]
    return [found.numbers[i] for i in sorted(fine, key=lambda i: (score[i], i))]


def _points(settings: Settings, state: State, found: Values) -> Points:
    """All that the process is fitted to, the present stage first."""
    rows = [_row(settings, worth, 0) for worth in found.worths]
    if settings.memory:
        for ago, passed in enumerate(reversed(state.passed[-STAGES_REMEMBERED:]), start=1):
            rows += [_row(settings, worth, ago) for worth in passed.worths]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Points(u=table[:, 0], stage=table[:, 1], worth=table[:, 2], sd=table[:, 3])


def _row(settings: Settings, worth: Worth, ago: int) -> tuple[float, float, float, float]:
    mean = math.nan if worth.mean is None else worth.mean
    return _u(settings, worth.lr), float(ago), mean, 0.0 if worth.sd is None else worth.sd


def _u(settings: Settings, lr: float) -> float:
    return math.log(lr / settings.low) / math.log(settings.high / settings.low)


def _lr(settings: Settings, u: float) -> float:
    lr = settings.low * math.exp(u * math.log(settings.high / settings.low))
    return min(max(lr, settings.low), settings.high)  # the ends are not rounded out of the range
