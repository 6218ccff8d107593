"""Who found what, and after how many updates: medians over seeds, and who beats whom.

name        meaning                                                                        unit
best        lowest final loss a study found                                                nats
reference   lowest final loss that any method found on a seed                              nats
regret      best - reference                                                               nats
target      reference + tolerance, or a loss that the caller names                         nats
steps       updates of the whole search when a complete trial first was at or under it     updates
win rate    share of (other method, seed) pairs in which best is lower; ties are half a win

Seeds are compared with themselves only: the seed is also the training seed, and some seeds end lower than others
whatever the schedule. What was not reached is infinite, so a median over seeds is infinite when half of them missed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from autosched.compare.trace import Trace

TOLERANCE = 0.002
"""Nats above the best loss that count as reaching it: about what one evaluation is uncertain by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """The chosen schedules, trained again on fresh seeds.

    Attributes:
        mean: over studies, of each study's mean over its fresh seeds, nats.
        standard_error: of that mean, from the spread of the studies, or of an only study's seeds; None for one run.
    """

    mean: float
    standard_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One method over all seeds.

    Attributes:
        best, regret: median over seeds, nats.
        steps: median over seeds, updates.
        reached: seeds that reached the target.
        seeds: how many there are.
        win_rate: against all others; None without another.
        wins: other method -> share of seeds won against it.
        spent: median updates of a whole search.
        fresh: None without runs on fresh seeds.
    """

    method: str
    best: float
    regret: float
    steps: float
    reached: int
    seeds: int
    win_rate: float | None
    wins: Mapping[str, float]
    spent: float
    fresh: Fresh | None


def references(traces: Sequence[Trace]) -> dict[int, float]:
    """Seed -> the lowest final loss any method found on it; infinite when none found one."""
    found: defaultdict[int, float] = defaultdict(lambda: math.inf)
    for trace in traces:
        found[trace.seed] = min(found[trace.seed], trace.best)
    return dict(found)


def targets(traces: Sequence[Trace], *, target: float | None = None, tolerance: float = TOLERANCE) -> dict[int, float]:
    """Seed -> the final loss to reach: the caller's, or the reference + tolerance."""
    return {seed: reference + tolerance if target is None else target for seed, reference in references(traces).items()}


def standings(traces: Sequence[Trace], aims: Mapping[int, float]) -> list[Standing]:
    """All methods, those that reach the target after the fewest updates first; of equals, the lower loss.

    Args:
        aims: from :func:`targets`.
    """
    methods = by_method(traces)
    found = [_standing(name, methods, aims) for name in methods]
    return sorted(found, key=lambda one: (one.steps, one.best))


def by_method(traces: Sequence[Trace]) -> dict[str, dict[int, Trace]]:
    """Method -> seed -> trace, in the order of the traces."""
    found: dict[str, dict[int, Trace]] = {}
    for trace in traces:
        found.setdefault(trace.method, {})[trace.seed] = trace
    return found


def win_share(own: Mapping[int, Trace], other: Mapping[int, Trace]) -> float:
    """Share of seeds on which `own` found a lower loss than `other`; equal losses are half a win each."""
    pairs = [(own[seed].best, other[seed].best) for seed in own]
    return fmean(1.0 if a < b else 0.5 if a == b else 0.0 for a, b in pairs)


def _standing(name: str, methods: Mapping[str, Mapping[int, Trace]], aims: Mapping[int, float]) -> Standing:
    own = methods[name]
    reference = references([trace for traces in methods.values() for trace in traces.values()])
    steps = [trace.steps_to(aims[seed]) for seed, trace in own.items()]
    wins = {other: win_share(own, traces) for other, traces in methods.items() if other != name}
    return Standing(
        method=name,
        best=median(trace.best for trace in own.values()),
        regret=median(regret_of(trace.best, reference[seed]) for seed, trace in own.items()),
        steps=median(steps),
        reached=sum(math.isfinite(value) for value in steps),
        seeds=len(own),
        win_rate=fmean(wins.values()) if wins else None,
        wins=wins,
        spent=median(trace.spent for trace in own.values()),
        fresh=fresh_scores(list(own.values())),
    )


def regret_of(loss: float, reference: float) -> float:
    """Loss above the reference; infinite without a loss."""
    return loss - reference if math.isfinite(loss) else math.inf


def fresh_scores(traces: Sequence[Trace]) -> Fresh | None:
    """Mean and standard error of final losses on fresh seeds; None when there are none.

    A study's fresh losses share its schedule, so studies are the independent ones: with several, the standard error is
    that of their means.
    """
    studies = [list(trace.fresh.values()) for trace in traces if trace.fresh]
    if not studies:
        return None
    values = [fmean(losses) for losses in studies] if len(studies) > 1 else studies[0]
    return Fresh(mean=fmean(values), standard_error=standard_error(values))


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean of independent values; None for fewer than two, or when one is infinite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return stdev(values) / math.sqrt(len(values))
