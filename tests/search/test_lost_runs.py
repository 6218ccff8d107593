"""Which runs count as having lost their model though no loss is infinite."""

import pytest

from autosched.ledger.records import Point
from autosched.ledger.state import TrialState, Turn
from autosched.search.divergence import lost

HORIZON = 100


def trial(number: int, losses: list[float]) -> TrialState:
    """A trial with an evaluation every ten updates."""
    made = TrialState(
        number=number,
        family="constant",
        schedule_params={"peak_lr": 0.1},
        seed=0,
        fingerprint="",
        horizon=HORIZON,
        turns=[Turn(role="search", until=HORIZON, start=0)],
        due=0,
    )
    made.points = [Point(step=10 * (place + 1), loss=loss) for place, loss in enumerate(losses)]
    made.step = 10 * len(losses)
    return made


FALLING = [2.0, 1.2, 0.8, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1]
SLOW = [2.29, 2.25, 2.2, 2.1, 2.05, 2.0, 1.95, 1.9, 1.85, 1.8]
AT_THE_START = [1.2, 2.4, 2.31, 2.33, 2.31, 2.32, 2.31, 2.3, 2.31, 2.3]


def lost_of(*runs: list[float]) -> frozenset[int]:
    trials = [trial(number, losses) for number, losses in enumerate(runs)]
    return lost({one.number: one.step for one in trials}, trials)


def test_a_run_that_ends_where_runs_begin_has_lost_its_model_and_a_slow_one_has_not():
    assert lost_of(FALLING, SLOW, FALLING, AT_THE_START) == {3}


@pytest.mark.parametrize("evaluations", [4, 5])
def test_it_is_told_from_the_half_of_the_horizon_on(evaluations: int):
    assert lost_of(FALLING, FALLING, AT_THE_START[:evaluations]) == ({2} if evaluations == 5 else set())


def test_one_that_rises_for_a_while_and_comes_back_is_not_lost():
    assert lost_of(FALLING, FALLING, [*AT_THE_START[:8], 1.9, 1.2]) == set()


def test_losses_that_count_are_those_up_to_the_reach():
    trials = [trial(0, FALLING), trial(1, FALLING), trial(2, AT_THE_START)]
    assert lost({0: 100, 1: 100, 2: 40}, trials) == set()
    assert lost({0: 100, 1: 100, 2: 100}, trials) == {2}


@pytest.mark.parametrize("losses", [[0.0] * 10, [float(place) for place in range(10)], [-1.0] * 10])
def test_where_no_run_learns_none_is_lost(losses: list[float]):
    assert lost_of(losses, losses) == set()


def test_without_a_loss_nothing_is_known():
    assert lost_of([], []) == set()
    assert lost({}, []) == set()
