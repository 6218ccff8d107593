from __future__ import annotations

from dataclasses import asdict

import pytest
from example_study import CUT, HORIZON, Study, example_study, search_of_fourteen, wsd

from autosched.ledger.fold import apply
from autosched.ledger.state import StudyState
from autosched.report.cost import Cost, study_cost, trial_costs


def balances(cost: Cost) -> bool:
    saved = cost.saved_by_pruning + cost.saved_by_divergence
    own = cost.trained - cost.retrained - cost.range_test
    return cost.full_cost == own + cost.reused + saved + cost.not_trained


def test_the_parts_of_the_cost_add_up_after_every_event() -> None:
    state = StudyState("wsd-demo")
    for stamped in example_study().events:
        apply(state, stamped)
        cost = study_cost(state, horizon=HORIZON)
        assert balances(cost), (stamped, cost)
        assert min(asdict(cost).values()) >= 0, (stamped, cost)


def test_every_trials_horizon_is_trained_reused_or_left() -> None:
    costs = trial_costs(example_study().state)
    assert all(cost.trained + cost.reused + cost.rest == HORIZON for cost in costs)


def test_confirming_runs_are_part_of_the_full_cost() -> None:
    study = example_study()
    assert study_cost(study.state, horizon=HORIZON).full_cost == (14 + 9) * HORIZON


def test_reused_is_what_trials_shared_and_what_the_store_had() -> None:
    study = search_of_fourteen()
    shared = sum(trial.steps_shared for trial in study.state.trials)
    stored = sum(CUT for seen in study.state.observations.values() if seen.trained == 0)
    assert (shared, stored) == (3 * CUT, 5 * CUT)
    assert study_cost(study.state, horizon=HORIZON).reused == shared + stored


def test_updates_trained_for_a_lost_checkpoint_are_counted_apart() -> None:
    study = Study()
    study.begin()
    number = study.propose(wsd(0.01, 0.2))
    study.train(number)
    study.train(number, lost=CUT)
    cost = study_cost(study.state, horizon=HORIZON)
    assert (cost.trained, cost.retrained, cost.reused) == (3 * CUT, CUT, 0)


def test_a_result_that_came_after_the_last_word_about_its_trial_counts_as_trained() -> None:
    study = Study()
    study.begin()
    study.train(study.propose(wsd(0.01, 0.2)), tell=False)
    cost = study_cost(study.state, horizon=HORIZON)
    assert (cost.trained, cost.retrained, cost.not_trained) == (CUT, 0, HORIZON - CUT)


@pytest.mark.parametrize(("status", "part"), [("pruned", "saved_by_pruning"), ("stopped", "not_trained")])
def test_what_a_trial_left_is_booked_by_how_it_ended(status: str, part: str) -> None:
    study = Study()
    study.begin()
    number = study.propose(wsd(0.01, 0.2))
    study.train(number)
    study.end(number, status, reason="over")
    assert asdict(study_cost(study.state, horizon=HORIZON))[part] == HORIZON - CUT


def test_a_diverged_trial_costs_the_updates_until_it_was_lost() -> None:
    study = Study()
    study.begin()
    study.diverge(study.propose(wsd(0.09, 0.2)), 75)
    cost = study_cost(study.state, horizon=HORIZON)
    assert (cost.trained, cost.saved_by_divergence, cost.retrained) == (75, HORIZON - 75, 0)
