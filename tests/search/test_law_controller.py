"""The law-guided search on real studies of the simulated trainer."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

from scripted_study import NUMERIC, Script, space_of
from studies import Study, cut_off, wsd_space

from autosched.errors import SpaceError
from autosched.ledger.events import SearchEnded, TrialEnded, TrialResumed
from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState
from autosched.randomness import uniform
from autosched.report.summary import summarise
from autosched.search.law_controller import LawController
from autosched.search.law_options import LawOptions
from autosched.search.select import CHECKS, make_policy
from autosched.space import Space, contains, load_space
from autosched.space.records import Budget, Component, Confirm, StopWhen

LAW = Component(name="law")


def law_space(folder: Path, **changes) -> Space:
    folder.mkdir(exist_ok=True)
    given = {"controller": LAW, "pruner": LAW, "budget": Budget(steps=1200), "confirm": Confirm(), "workers": 1}
    return wsd_space(folder, **{**given, **changes})


def searched(state: StudyState):
    return [trial for trial in state.searched if trial.role != "default"]


def endings(study: Study) -> list[TrialEnded]:
    """Every end of a trial, pauses too, in order."""
    return [stamped.event for stamped in study.events() if isinstance(stamped.event, TrialEnded)]


def designed(**options) -> Component:
    """The law with a design instead of pilots."""
    return Component(name="law", options={"pilots": 0, **options})


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    study = Study(law_space(tmp_path_factory.mktemp("law")))
    study.run()
    return study


@pytest.fixture(scope="module")
def state(study) -> StudyState:
    return study.ended()


def test_the_first_trials_differ_in_peak_lr_and_wait_until_all_have_been_seen(tmp_path):
    study = Study(law_space(tmp_path, controller=designed(), budget=Budget(steps=600)))
    first, second = searched(study.run())[:2]
    assert first.params["peak_lr"] != second.params["peak_lr"]
    pauses = [event for event in endings(study) if event.trial == first.number]
    assert pauses[0].status == "reached"
    assert pauses[0].step == 40  # a fifth of the horizon, at a checkpoint
    assert pauses[0].reason == "shows the law its peak LR until update 40"
    assert first.turns[0].role == second.turns[0].role == "design"


def test_a_trial_that_has_shown_the_law_nothing_is_neither_outdone_nor_stopped(tmp_path):
    study = Study(law_space(tmp_path, controller=designed(stretch=0.0), checkpoint_every=10, eval_every=10))
    alone = {trial.number for trial in study.run().trials if not trial.steps_shared}
    parted = [event for event in endings(study) if event.status == "pruned" or "promises more" in event.reason]
    steps = [event.step for event in parted if event.trial in alone]
    assert len(steps) >= 5
    assert min(steps) >= 20  # a tenth of the horizon: what comes earlier is not fitted


def test_nobody_waits_for_a_trial_of_the_design_that_a_pruner_stopped():
    space = space_of({"wsd": NUMERIC}, controller={"use": "law", "pilots": 0, "design_share": 0.4}, pruner="none")
    script, policy = Script(space), make_policy(space)
    for number, updates in enumerate((40, 20, 20)):
        assert script.take(policy.ask(script.state)) == number
        for step in range(0, updates, 20):
            script.advance(number, 3.0 - 0.01 * step)
        if number < 2:
            assert "other peak LRs" not in policy.judge(script.state, number).reason  # it is one of them
            script.end(number, ("reached", "pruned")[number], None)
    assert "other peak LRs" not in policy.judge(script.state, 2).reason


def test_expected_improvement_counts_once_pilots_showed_the_place_and_a_run_is_complete(study, tmp_path):
    def reasons(of: Study) -> str:
        return "\n".join(event.reason for event in endings(of) if "promises more" in event.reason)

    blind = Study(law_space(tmp_path, controller=designed(), budget=Budget(steps=900)))
    blind.run()
    assert "an expected improvement of" in reasons(study)
    assert "expected improvement" not in reasons(blind)
    assert "to be the best" in reasons(blind)


def test_every_proposal_lies_in_the_space_and_is_a_new_curve(study, state):
    whole = [trial for trial in searched(state) if trial.role != "pilot"]
    assert all(contains(study.space, trial.spec) for trial in whole)
    assert len({trial.fingerprint for trial in state.trials}) == len(state.trials)


def test_the_budget_in_updates_holds_and_what_is_left_of_it_fits_no_candidate(study, state):
    assert state.steps_scheduled <= 1200
    assert state.finished.reason in {"nothing is left to try", "1200 updates are used or promised"}
    assert 1200 - state.steps_scheduled < 200


def test_a_search_ends_when_no_run_is_expected_to_gain_what_it_must(state, tmp_path):
    worth = StopWhen(gain_below=3e-3)
    study = Study(law_space(tmp_path, budget=Budget(steps=1200, stop_when=worth), confirm=Confirm(seeds=1)))
    ended = study.run()
    assert ended.steps_scheduled - 2 * 200 < 0.8 * state.steps_scheduled, "less the confirming runs"
    assert ended.proposed["confirm"] == 2
    assert 0 <= ended.search_ended.gain < 3e-3
    assert ended.finished.reason == ended.search_ended.reason
    assert re.fullmatch(
        r"one more run is not worth it: \d+ updates for an expected gain of [\d.e-]+ nats, below 0.003; "
        r"\d+ updates of the budget are left",
        ended.finished.reason,
    )
    assert summarise(ended, study.space)["next_run"]["steps"] == ended.search_ended.steps
    number = next(stamped.number for stamped in study.events() if isinstance(stamped.event, SearchEnded))
    cut_off(study, number)
    again = study.run()
    assert again.search_ended == ended.search_ended, "a fresh driver decides it again"


def test_it_beats_the_default_by_far(state):
    assert state.best_trial().value < state.trials[0].value - 0.02


def test_a_resumed_trial_goes_on_bit_exactly(study, state, tmp_path):
    resumed = {stamped.event.trial for stamped in study.events() if isinstance(stamped.event, TrialResumed)}
    finished = [t for t in searched(state) if t.number in resumed and t.status == "complete"]
    assert finished
    fixed = {k: finished[0].params[k] for k in ("peak_lr", "cooldown_fraction", "cooldown_shape")}
    alone = wsd_space(tmp_path, fixed=fixed, budget=Budget(trials=1), confirm=Confirm())
    assert Study(alone).run().trials[0].value == finished[0].value


def test_running_trials_carry_the_laws_forecast_whose_intervals_tell_the_truth(state):
    judged = [
        (decision.forecast, trial.value)
        for trial in searched(state)
        if trial.status == "complete"
        for step, decision in trial.decisions
        if decision.forecast is not None
    ]
    assert len(judged) >= 10
    assert sum(forecast.low <= value <= forecast.high for forecast, value in judged) >= 0.6 * len(judged)


def test_branches_off_a_stable_phase_cost_only_their_cooldown(tmp_path):
    space = law_space(tmp_path / "stable", fixed={"peak_lr": 0.03, "cooldown_shape": "linear"})
    state = Study(space).run()
    assert sum(trial.steps_shared for trial in state.trials) >= 100
    assert sum(trial.status == "complete" for trial in state.trials) >= 1200 // 200


def first_complete(folder, trusted: float, **changes):
    """The first search trial that reaches the horizon in a study without a default, and what was paused for it."""
    law = designed(trusted=trusted)
    study = Study(law_space(folder, controller=law, default=None, budget=Budget(steps=600), **changes))
    state = study.run()
    ended = endings(study)
    first = next(event.trial for event in ended if event.status == "complete")
    return state.trials[first], [event.reason for event in ended if "whole run" in event.reason]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_law_that_errs_first_sees_a_whole_run_in_the_middle_of_the_space(tmp_path, workers):
    trial, reasons = first_complete(tmp_path, 0.0, workers=workers)
    assert trial.params["peak_lr"] == pytest.approx(0.01, rel=0.5)
    assert trial.params["cooldown_fraction"] == pytest.approx(0.475, abs=0.2)
    assert trial.number >= 2  # after the design
    assert reasons == [] or set(reasons) == {"the law needs to see a whole run first"}


def test_a_law_that_is_trusted_goes_where_it_forecasts_the_best(tmp_path):
    trial, reasons = first_complete(tmp_path, 10.0)
    assert reasons == []
    assert trial.params["peak_lr"] != pytest.approx(0.01, rel=0.3)


def test_a_limit_in_trials_leaves_no_promising_trial_unfinished(tmp_path):
    space = law_space(tmp_path / "trials", budget=Budget(trials=5))
    state = Study(space).run()
    assert len(state.trials) == 5
    assert state.finished is not None
    assert all(trial.status in {"complete", "reached", "paused", "pruned"} for trial in state.trials)
    assert sum(trial.status == "complete" for trial in searched(state)) >= 1


def test_two_workers_train_different_trials_and_stay_repeatable(tmp_path):
    pictures = []
    for name in ("a", "b"):
        state = Study(law_space(tmp_path / name, workers=2, budget=Budget(steps=1000))).run()
        pictures.append([(t.fingerprint, t.status, t.value, t.step) for t in state.trials])
    assert pictures[0] == pictures[1]


def test_other_pruners_go_with_it(tmp_path):
    for pruner in ("none", "median"):
        space = law_space(tmp_path / pruner, pruner=Component(name=pruner), budget=Budget(steps=800))
        assert Study(space).run().finished is not None


def test_where_no_law_fits_tpe_proposes_and_hyperband_judges(tmp_path):
    space = space_of({"wsd": NUMERIC}, controller="law", pruner="law", budget={"trials": 40})
    script, policy, judged = Script(space), make_policy(space), []
    tpe = make_policy(replace(space, controller=Component(name="tpe"), pruner=Component(name="none")))
    for _ in range(8):
        proposal = policy.ask(script.state)
        if len(script.state.trials) >= 2:
            assert proposal == tpe.ask(script.state)
        number = script.take(proposal)
        while script.state.trials[number].step < 100:
            step = script.state.trials[number].step
            script.advance(number, 10.0 ** (uniform(number, step, "loss") - 0.5))
            if 20 < step + 20 < 100 and number >= 2:
                said = policy.judge(script.state, number)
                assert said.action in {"keep", "stop"}
                assert said.reason.startswith(f"{LAWLESS}; hyperband: loss")
                judged.append(said.action)
        script.end(number, "complete", script.state.trials[number].points[-1].loss)
    assert "stop" in judged


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"pool": 0}, "pool must be a whole number >= 1, but got 0"),
        ({"design_share": 1.5}, r"design_share must be in \(0, 1\], but got 1.5"),
        ({"patience": 0.5}, "patience must be >= 1, but got 0.5"),
        ({"trusted": -0.1}, "trusted must be finite and >= 0, but got -0.1"),
        ({"draws": "many"}, "draws must be a number, but got 'many'"),
        ({"pilots": 2}, "pilots must be 0, or a whole number >= 3, but got 2"),
        ({"pilot_share": 0.5}, r"pilot_share must be in \(0, 0.25\], but got 0.5"),
        ({"short_runs": 3}, "short_runs is called pilots now"),
        ({"pol": 3}, "no option 'pol'; it has design, design_share"),
    ],
)
def test_a_faulty_option_is_refused_by_name(tmp_path, options, rule):
    with pytest.raises(SpaceError, match=f"controller law.*{rule}"):
        LawController(law_space(tmp_path), options)


def test_the_judges_holdout_share_is_a_share(tmp_path):
    space = replace(law_space(tmp_path), pruner=Component(name="law", options={"holdout_share": 2}))
    with pytest.raises(SpaceError, match=r"holdout_share must be in \[0, 1\], but got 2"):
        make_policy(space)


def test_an_option_of_the_pruner_that_would_be_ignored_is_refused_with_its_line(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(
        "study: s\ntrainer: {use: simulated}\nhorizon_steps: 200\nschedule: {wsd: {peak_lr: {low: 1e-3, high: 0.09}}}\n"
        "pruner:\n  use: law\n  threshold: 0.1\n  min_complete: 2\n"
    )
    with pytest.raises(SpaceError, match=r"space\.yaml:8: pruner law: min_complete has no effect beside the contr"):
        load_space(file, checks=CHECKS)
    assert load_space(file, ["controller=tpe"], CHECKS).pruner.options["min_complete"] == 2


def test_the_options_of_a_space_reach_the_search():
    assert LawOptions.of({"design": 3, "tolerance": 1e-3}) == LawOptions(design=3, tolerance=1e-3)
