from __future__ import annotations

from example_study import Study, search_of_fourteen, wsd

from autosched.report.holdouts import holdouts


def test_a_kill_is_false_when_the_condemned_trial_beats_the_incumbent_of_that_moment() -> None:
    found = {holdout.trial: holdout for holdout in holdouts(search_of_fourteen().state)}
    assert {number: holdout.false_kill for number, holdout in found.items()} == {9: False, 12: True}


def test_the_incumbent_is_the_one_at_the_first_condemnation() -> None:
    study = search_of_fourteen()
    holdout = next(holdout for holdout in holdouts(study.state) if holdout.trial == 12)
    assert holdout.step == 360
    assert holdout.incumbent == study.state.trials[8].value


def test_an_incumbent_that_came_later_does_not_excuse_the_kill() -> None:
    study = Study()
    study.begin()
    study.complete(study.propose(wsd(0.003, 0.3)))
    condemned = study.propose(wsd(0.02, 0.4))
    study.train(condemned)
    study.judge(condemned, holdout=True)
    study.complete(study.propose(wsd(0.035, 0.8)))
    study.complete(condemned)
    [holdout] = holdouts(study.state)
    assert holdout.value is not None
    assert holdout.value > study.best_value()
    assert holdout.false_kill is True


def test_any_completion_is_a_false_kill_while_there_is_no_incumbent() -> None:
    study = Study()
    study.begin()
    number = study.propose(wsd(0.003, 0.3))
    study.train(number)
    study.judge(number, holdout=True)
    study.complete(number)
    [holdout] = holdouts(study.state)
    assert (holdout.incumbent, holdout.false_kill) == (None, True)


def test_an_holdout_is_open_while_its_trial_runs() -> None:
    study = Study()
    study.begin()
    number = study.propose(wsd(0.003, 0.3))
    study.train(number)
    study.judge(number, holdout=True)
    assert [holdout.false_kill for holdout in holdouts(study.state)] == [None]


def test_an_held_out_trial_that_ends_without_a_loss_is_no_false_kill() -> None:
    study = Study()
    study.begin()
    number = study.propose(wsd(0.003, 0.3))
    study.train(number)
    study.judge(number, holdout=True)
    study.end(number, "failed", reason="error")
    assert [holdout.false_kill for holdout in holdouts(study.state)] == [False]
