"""One method against the best of all others, seed by seed.

name          meaning                                                                        unit
peer          of the other methods, the one with the lowest final loss on a seed
steps         updates of the whole search when a method first reached the peer's final loss  updates
share         the method's steps / the peer's steps; infinite when the method never reached it
gap           mean over fresh seeds of (method's final loss - peer's), paired by seed        nats

For the gap the peer is the one with the lowest mean on the fresh seeds, which may be another.
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
        steps: method -> updates until it first was at or under that loss.
        gap: on fresh seeds; None without such runs of both.
    """

    seed: int
    peer: str
    loss: float
    peer_steps: float
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
        """By seed: the method's steps to the peer's final loss, over the peer's own."""
        return [duel.steps[self.method] / duel.peer_steps for duel in self.seeds]

    @property
    def median_share(self) -> float:
        """The median of `shares`."""
        return median(self.shares)

    @property
    def steps(self) -> dict[str, float]:
        """Method -> median updates until it first reached the best peer's final loss."""
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


def duel_of(method: str, traces: Sequence[Trace]) -> Duel:
    """The duel of `method` with the best of the others on each seed.

    Raises:
        UsageError: the method is not there, or is alone, or no other found anything.
    """
    methods = by_method(traces)
    if method not in methods or len(methods) < 2:
        names = ", ".join(methods) or "none"
        raise UsageError(f"{method!r} needs to be compared with another method, but the methods are {names}.")
    duels = [_seed_duel(method, seed, methods) for seed in methods[method]]
    found = tuple(duel for duel in duels if duel is not None)
    if not found:
        raise UsageError(f"{method!r} has nothing to be compared with: no other method completed a trial.")
    return Duel(method=method, seeds=found)


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
