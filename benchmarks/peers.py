"""One method against another, or against the best of all others on each seed.

name          meaning                                                                        unit
peer          the other method, or of all others the one with the lowest final loss on a seed
steps         updates of the whole search when a method first reached the peer's final loss  updates
share         the method's steps / all updates of the peer's search; infinite when it was never reached
early share   the method's steps / the updates the peer had spent when it got there
gap           mean over fresh seeds of (method's final loss - peer's), paired by seed        nats

Against the best of each seed, the gap's peer is the one with the lowest mean on the fresh seeds, which may be another.
That peer is chosen in hindsight, among several searches: nobody who runs one search can have it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from autosched.compare.scores import by_method, standard_error
from autosched.compare.trace import Trace
from autosched.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How a method's schedule ends beside the best peer's, both trained on the same fresh seeds.

    Attributes:
        peer: the best one.
        mean: above 0 when the peer ends lower, nats.
        standard_error: of the mean of the paired differences; None for a single seed.
    """

    peer: str
    mean: float
    standard_error: float | None

    @property
    def worse(self) -> bool:
        """Whether the method is worse by more than one standard error."""
        return self.mean > (self.standard_error or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDuel:
    """One seed.

    Attributes:
        peer: the best one.
        loss: its final loss, nats.
        peer_steps: updates it had spent when it got there.
        peer_spent: updates of its whole search.
        steps: method -> updates until it first was at or under that loss.
        gap: on fresh seeds; None without such runs of both.
    """

    seed: int
    peer: str
    loss: float
    peer_steps: float
    peer_spent: float
    steps: Mapping[str, float]
    gap: Gap | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """One method against the best peer.

    Attributes:
        method: whose duel it is.
        seeds: those on which some peer found a loss, at least one.
    """

    method: str
    seeds: tuple[SeedDuel, ...]

    @property
    def shares(self) -> list[float]:
        """By seed: the method's steps to the peer's final loss, over those of the peer's whole search."""
        return [duel.steps[self.method] / duel.peer_spent for duel in self.seeds]

    @property
    def early_shares(self) -> list[float]:
        """By seed: the same over the updates the peer had spent when it got there, which it could not know."""
        return [duel.steps[self.method] / duel.peer_steps for duel in self.seeds]

    @property
    def median_share(self) -> float:
        """The median of `shares`."""
        return median(self.shares)

    @property
    def steps(self) -> dict[str, float]:
        """Method -> median updates until it first reached the peer's final loss."""
        return {name: median(duel.steps[name] for duel in self.seeds) for name in self.seeds[0].steps}

    @property
    def gap(self) -> float | None:
        """Mean over seeds of the gaps, nats; None without runs on fresh seeds."""
        gaps = [duel.gap.mean for duel in self.seeds if duel.gap is not None]
        return fmean(gaps) if gaps else None

    @property
    def worse_on(self) -> list[int]:
        """Seeds on which the method is worse on fresh seeds by more than one standard error."""
        return [duel.seed for duel in self.seeds if duel.gap is not None and duel.gap.worse]


def strongest_peer(method: str, traces: Sequence[Trace]) -> str:
    """Of the other methods, the one whose chosen schedules have the lowest mean loss on fresh seeds, over all seeds.

    A seed on which it found nothing counts as infinitely bad. Without fresh seeds the searches' own final losses count.

    Raises:
        UsageError: see :func:`duel_of`.
    """
    methods = _with_others(method, traces)
    means = {name: fmean(_worth(trace) for trace in by_seed.values()) for name, by_seed in methods.items()}
    return min((name for name in means if name != method), key=lambda name: means[name])


def _worth(trace: Trace) -> float:
    return fmean(trace.fresh.values()) if trace.fresh else trace.best


def duel_of(method: str, traces: Sequence[Trace], *, peer: str | None = None) -> Duel:
    """The duel of `method` with `peer`, or with the best of the others on each seed.

    Raises:
        UsageError: the method or the peer is not there, or is alone, or no other found anything.
    """
    methods = _with_others(method, traces)
    if peer is not None:
        if peer not in methods or peer == method:
            raise UsageError(f"the peer must be one of {', '.join(n for n in methods if n != method)}, not {peer!r}.")
        methods = {name: methods[name] for name in (method, peer)}
    duels = [_seed_duel(method, seed, methods) for seed in methods[method]]
    found = tuple(duel for duel in duels if duel is not None)
    if not found:
        raise UsageError(f"{method!r} has nothing to be compared with: no other method completed a trial.")
    return Duel(method=method, seeds=found)


def _with_others(method: str, traces: Sequence[Trace]) -> Mapping[str, Mapping[int, Trace]]:
    methods = by_method(traces)
    if method not in methods or len(methods) < 2:
        names = ", ".join(methods) or "none"
        raise UsageError(f"{method!r} needs to be compared with another method, but the methods are {names}.")
    return methods


def _seed_duel(method: str, seed: int, methods: Mapping[str, Mapping[int, Trace]]) -> SeedDuel | None:
    here = {name: traces[seed] for name, traces in methods.items()}
    peer = min((name for name in here if name != method), key=lambda name: here[name].best)
    loss = here[peer].best
    if not math.isfinite(loss):
        return None
    return SeedDuel(
        seed=seed,
        peer=peer,
        loss=loss,
        peer_steps=here[peer].steps_to(loss),
        peer_spent=here[peer].spent,
        steps={name: trace.steps_to(loss) for name, trace in here.items()},
        gap=_gap(method, here),
    )


def _gap(method: str, here: Mapping[str, Trace]) -> Gap | None:
    means = {name: fmean(trace.fresh.values()) for name, trace in here.items() if trace.fresh}
    others = [name for name in means if name != method]
    if method not in means or not others:
        return None
    peer = min(others, key=lambda name: means[name])
    own, other = here[method].fresh, here[peer].fresh
    differences = [own[seed] - other[seed] for seed in own if seed in other]
    if not differences or any(math.isnan(value) for value in differences):
        return None
    return Gap(peer=peer, mean=fmean(differences), standard_error=standard_error(differences))
