"""Duels are reckoned by hand from a few studies whose ends are made up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from peers import duel_of, strongest_peer

from autosched.compare.trace import End, Trace
from autosched.errors import UsageError


def trace(
    method: str, seed: int, ends: Sequence[tuple[int, float]], *, fresh: Mapping[int, float] | None = None
) -> Trace:
    return Trace(
        method=method,
        seed=seed,
        study=f"{method}-{seed}",
        ledger="sqlite:///ledger.db",
        horizon=100,
        ends=tuple(End(spent=spent, loss=loss) for spent, loss in ends),
        spent=600,
        curves=(),
        fresh=dict(fresh or {}),
    )


def two_methods() -> list[Trace]:
    """``quick`` finds the best of seed 0 early and loses seed 1; ``slow`` never gets near on seed 0."""
    return [
        trace("slow", 0, [(100, 3.0), (500, 2.5)]),
        trace("quick", 0, [(100, 2.8), (200, 2.0)]),
        trace("slow", 1, [(100, 3.0), (600, 1.9)]),
        trace("quick", 1, [(150, 1.95)]),
    ]


def test_a_duel_is_with_the_best_peer_of_each_seed() -> None:
    traces = [*two_methods(), trace("third", 0, [(400, 2.2)]), trace("third", 1, [(300, 2.4)])]
    duel = duel_of("quick", traces)
    assert [(one.peer, one.loss, one.peer_steps) for one in duel.seeds] == [("third", 2.2, 400), ("slow", 1.9, 600)]
    assert duel.early_shares == [0.5, math.inf]
    assert duel.shares == [200 / duel.seeds[0].peer_spent, math.inf]
    assert duel.median_share == math.inf
    assert duel.steps["slow"] == math.inf
    assert duel.gap is None
    assert duel.worse_on == []


def test_a_duel_with_one_peer_ignores_the_others() -> None:
    traces = [*two_methods(), trace("third", 0, [(400, 2.2)]), trace("third", 1, [(300, 2.4)])]
    duel = duel_of("quick", traces, peer="slow")
    assert [one.peer for one in duel.seeds] == ["slow", "slow"]
    assert all(set(one.steps) == {"quick", "slow"} for one in duel.seeds)
    with pytest.raises(UsageError, match="the peer must be one of slow, third, not 'quick'"):
        duel_of("quick", traces, peer="quick")


def test_the_strongest_peer_has_the_lowest_mean_on_fresh_seeds_over_all_seeds() -> None:
    fresh = {"own": [1.0, 1.0], "lucky once": [1.1, 3.0], "steady": [1.5, 1.5]}
    traces = [
        trace(name, seed, [(100, 2.0)], fresh={7: losses[seed]}) for name, losses in fresh.items() for seed in (0, 1)
    ]
    assert strongest_peer("own", traces) == "steady"
    assert strongest_peer("steady", traces) == "own"
    traces = [trace("own", 0, [(100, 2.0)]), trace("poor", 0, [(100, 2.4)]), trace("found nothing", 0, [])]
    assert strongest_peer("own", traces) == "poor"


def test_a_gap_on_fresh_seeds_is_paired_and_counts_beyond_one_standard_error() -> None:
    fresh = {
        "own": {1: 2.0, 2: 3.0, 3: 4.0},
        "near": {1: 1.9, 2: 3.1, 3: 4.0},
        "far": {1: 5.0, 2: 5.0, 3: 5.0},
    }
    traces = [trace(name, 0, [(100, 2.0)], fresh=losses) for name, losses in fresh.items()]
    gap = duel_of("own", traces).seeds[0].gap
    assert gap is not None
    assert (gap.peer, gap.mean, gap.standard_error) == ("near", pytest.approx(0), pytest.approx(0.1 / math.sqrt(3)))
    assert not gap.worse
    duel = duel_of("far", traces)
    assert duel.worse_on == [0]
    assert duel.gap == pytest.approx(2.0)
    assert duel_of("near", traces).worse_on == []


def test_a_duel_needs_another_method_that_found_something() -> None:
    with pytest.raises(UsageError, match="'quick' needs to be compared with another method, but the methods are quick"):
        duel_of("quick", [trace("quick", 0, [(1, 1.0)])])
    with pytest.raises(UsageError, match="no other method completed a trial"):
        duel_of("quick", [trace("quick", 0, [(1, 1.0)]), trace("slow", 0, [])])
