"""Every sampler proposes from the folded study alone, inside the space, whatever was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from scripted_study import COSINE, EVERY, HORIZON, NUMERIC, WSD, Script, search, space_of

from autosched.errors import SpaceError
from autosched.ledger.records import Forecast
from autosched.search.optuna_controller import OptunaController
from autosched.search.optuna_options import SAMPLER_OPTIONS
from autosched.search.select import make_policy
from autosched.space import Component, ScheduleSpec, Space, contains

TREE = {"wsd": WSD, "cosine": COSINE}
"""Two families, and a parameter that exists for one cooldown shape only."""
FLAT = {"wsd": {**NUMERIC, "cooldown_shape": "sqrt"}}
"""Three numbers."""
FORGETFUL = 10
CASES = [
    ("random", TREE, {}),
    ("tpe", TREE, {}),
    ("tpe", TREE, {"group": True}),
    ("tpe", FLAT, {"multivariate": False}),
    ("qmc", TREE, {}),
    ("qmc", FLAT, {"qmc_type": "halton"}),
    ("cmaes", TREE, {}),
    ("cmaes", FLAT, {"popsize": 4}),
    pytest.param("gp", FLAT, {"n_startup_trials": 3}, marks=pytest.mark.slow),
    pytest.param("gp", TREE, {"n_startup_trials": 3}, marks=pytest.mark.slow),
]
every_sampler = pytest.mark.parametrize(("name", "schedule", "options"), CASES)


def space_with(name: str, schedule: Mapping[str, Any], options: Mapping[str, Any], **keys: Any) -> Space:
    default = {"wsd": {"peak_lr": 0.01, "warmup_steps": 5, "cooldown_shape": "sqrt"}}
    return space_of(schedule, controller={"use": name, **options}, default=default, **keys)


def controller_of(space: Space) -> OptunaController:
    return OptunaController(space, space.controller, remembered=FORGETFUL)


def optuna_trials(controller: OptunaController) -> list[Any]:
    return controller._study.get_trials(deepcopy=False)


# -- a pure function of the state -------------------------------------------------------------------------------------


def trials_of(name: str, usual: int) -> int:
    """A Gaussian process begins after three trials here, and takes a tenth of a second for each proposal."""
    return 12 if name == "gp" else usual


@every_sampler
def test_a_resumed_study_proposes_what_an_uninterrupted_one_would(
    name: str, schedule: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Past the cut, too: with ten trials remembered, 25 are one to three cuts."""
    space = space_with(name, schedule, options)
    trials = trials_of(name, 25)
    _, calm, _ = search(space, lambda: controller_of(space), trials)
    _, restless, _ = search(space, lambda: controller_of(space), trials, restart_every=1)
    assert restless == calm
    _, sometimes, _ = search(space, lambda: controller_of(space), trials, restart_every=7)
    assert sometimes == calm


@every_sampler
def test_catching_up_at_once_equals_catching_up_step_by_step(
    name: str, schedule: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """A controller that reads the log entry by entry, and one that reads it at once, hold the same Optuna study."""
    space = space_with(name, schedule, options)
    state, _, live = search(space, lambda: controller_of(space), trials_of(name, 25))
    fresh = controller_of(space)
    asked = fresh.ask(state)
    assert asked == live.ask(state)
    assert [
        (trial.number, trial.state, trial.params, trial.values, trial.distributions) for trial in optuna_trials(fresh)
    ] == [(trial.number, trial.state, trial.params, trial.values, trial.distributions) for trial in optuna_trials(live)]


@every_sampler
def test_proposals_are_inside_the_space_and_obey_its_conditions(
    name: str, schedule: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    space = space_with(name, schedule, options)
    _, proposals, _ = search(space, lambda: controller_of(space), trials_of(name, 30))
    for proposal in proposals:
        params = proposal.schedule.params
        assert contains(space, ScheduleSpec(family=proposal.schedule.family, params=params))
        assert ("cooldown_power" in params) == (params.get("cooldown_shape") == "power")
    distinct = {(p.schedule.family, *map(str, p.schedule.params.items())) for p in proposals}
    assert len(distinct) >= 0.9 * len(proposals)  # a Gaussian process may come back to a corner
    if schedule is TREE:
        assert {proposal.schedule.family for proposal in proposals} == {"wsd", "cosine"}


def test_asking_twice_gives_the_same_proposal() -> None:
    space = space_with("tpe", TREE, {})
    script, controller = Script(space), controller_of(space)
    assert controller.ask(script.state) == controller.ask(script.state)
    assert len(optuna_trials(controller)) == 1


@pytest.mark.parametrize("name", ["tpe", "qmc", "cmaes"])
def test_a_proposal_that_was_not_taken_up_leaves_no_trace(name: str) -> None:
    """Asked, then more was learned, then asked again: as if asked only now."""
    space = space_with(name, FLAT, {})
    script, controller = Script(space), controller_of(space)
    for _ in range(8):
        script.complete(script.take(controller.ask(script.state)), 2.0)
    running = script.take(controller.ask(script.state))
    controller.ask(script.state)
    script.complete(running, 1.0)
    assert controller.ask(script.state) == controller_of(space).ask(script.state)
    assert len(optuna_trials(controller)) == 10


@pytest.mark.parametrize("name", ["random", "tpe", "qmc", "cmaes"])
def test_another_seed_searches_elsewhere(name: str) -> None:
    first, second = (space_with(name, FLAT, {}, seed=seed) for seed in (0, 1))
    searches = [search(space, lambda space=space: controller_of(space), 12)[1] for space in (first, second)]
    assert not any(one.schedule == other.schedule for one, other in zip(*searches, strict=True))


def test_what_a_quasi_random_sequence_leaves_out_still_varies() -> None:
    """A cooldown power exists for some trials only, so it is no coordinate of the sequence."""
    space = space_with("qmc", TREE, {})
    _, proposals, _ = search(space, lambda: controller_of(space), 40)
    powers = [p.schedule.params["cooldown_power"] for p in proposals if "cooldown_power" in p.schedule.params]
    assert len(set(powers)) == len(powers) > 3


def test_a_sequence_covers_the_space_evenly() -> None:
    """The 16 points of a scrambled Sobol net have one in each sixteenth of every coordinate."""
    space = space_of({"wsd": {**NUMERIC, "cooldown_shape": "sqrt"}}, controller="qmc")
    script, controller = Script(space), OptunaController(space, space.controller, remembered=50)
    script.complete(script.propose("wsd", {**inside(), "cooldown_fraction": 0.5}), 2.0)
    fractions = []
    for _ in range(16):
        number = script.take(controller.ask(script.state))
        fractions.append(script.state.trials[number].params["cooldown_fraction"])
        script.complete(number, 2.0)
    assert sorted(int((fraction - 0.1) / 0.05) for fraction in fractions) == list(range(16))


@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_a_sampler_learns_where_the_good_schedules_are(name: str) -> None:
    space = space_with(name, FLAT, {})
    state, _, _ = search(space, lambda: make_policy(space), 60, workers=1)
    values = [trial.value for trial in state.trials if trial.value is not None]
    assert sum(values[-10:]) / 10 < sum(values[:10]) / 10


# -- what the sampler is told -----------------------------------------------------------------------------------------


def inside(**changes: Any) -> dict[str, Any]:
    return {"peak_lr": 0.02, "warmup_steps": 5, "cooldown_fraction": 0.5, "cooldown_shape": "sqrt", **changes}


def told(script: Script, controller: OptunaController) -> list[tuple[str, float | None]]:
    controller.ask(script.state)
    return [
        (trial.state.name, trial.value if trial.state.name == "COMPLETE" else None)
        for trial in optuna_trials(controller)[:-1]
    ]


def test_each_end_of_a_trial_is_told_in_its_own_way() -> None:
    space = space_with("tpe", FLAT, {})
    script, controller = Script(space), controller_of(space)
    forecast = Forecast(mean=2.5, low=2.4, high=2.6, law="test", step=20)
    numbers = [script.propose("wsd", inside(peak_lr=0.001 * (index + 1))) for index in range(7)]
    script.complete(numbers[0], 2.0)
    script.advance(numbers[1], 3.5)
    script.end(numbers[1], "pruned", forecast=forecast)
    script.advance(numbers[2], 4.0)
    script.end(numbers[2], "pruned")
    script.end(numbers[3], "failed")
    script.end(numbers[4], "diverged")
    script.end(numbers[5], "stopped", forecast=forecast)
    script.advance(numbers[6], 9.0)
    assert told(script, controller) == [
        ("COMPLETE", 2.0),
        ("COMPLETE", 2.5),
        ("PRUNED", None),
        ("FAIL", None),
        ("COMPLETE", 4.0),  # as good as untrained: the worst first evaluation seen when it diverged
        ("COMPLETE", 2.5),
        ("RUNNING", None),
    ]
    assert optuna_trials(controller)[2].intermediate_values == {EVERY: 4.0}


def test_a_divergence_before_anything_was_evaluated_is_a_failure() -> None:
    space = space_with("tpe", FLAT, {})
    script, controller = Script(space), controller_of(space)
    script.end(script.propose("wsd", inside()), "diverged")
    assert told(script, controller) == [("FAIL", None)]


def test_a_divergence_is_told_by_what_was_seen_before_it() -> None:
    """A trial that is cut before its first evaluation has no first loss yet, however late the log is read."""
    space = space_with("tpe", FLAT, {})
    script, live = Script(space), controller_of(space)
    first, second, lost = (script.propose("wsd", inside(peak_lr=lr)) for lr in (0.01, 0.02, 0.09))
    script.advance(first, 3.0)
    script.advance(second, 0.0, steps=5, evaluated=False)
    live.ask(script.state)
    script.end(lost, "diverged")
    live.ask(script.state)
    script.advance(second, 7.0, steps=EVERY - 5)
    for controller in (live, controller_of(space)):
        assert told(script, controller)[2] == ("COMPLETE", 3.0)


def test_confirmations_are_not_told() -> None:
    space = space_with("tpe", FLAT, {})
    script, controller = Script(space), controller_of(space)
    script.complete(script.propose("wsd", inside()), 2.0)
    script.complete(script.propose("wsd", inside(), "confirm"), 1.0)
    assert told(script, controller) == [("COMPLETE", 2.0)]


@pytest.mark.parametrize("name", ["random", "tpe", "qmc", "cmaes"])
@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("cosine", {"peak_lr": 0.01}),
        ("wsd", inside(peak_lr=0.5)),
        ("wsd", inside(cooldown_shape="linear")),
        ("wsd", inside(final_lr_ratio=0.5)),
    ],
    ids=["family", "range", "choice", "fixed"],
)
def test_a_default_outside_the_space_is_left_out(name: str, family: str, params: Mapping[str, Any]) -> None:
    space = space_of(FLAT, controller=name, default={family: dict(params)})
    script, controller = Script(space), controller_of(space)
    script.complete(script.propose(family, params, "default"), 2.0)
    assert told(script, controller) == []
    script.take(controller.ask(script.state))
    assert len(optuna_trials(controller)) == 1


def test_a_default_inside_the_space_is_learned_from() -> None:
    space = space_with("tpe", FLAT, {})
    script, controller = Script(space), controller_of(space)
    script.complete(script.propose("wsd", inside(), "default"), 2.0)
    assert told(script, controller) == [("COMPLETE", 2.0)]


def test_a_trial_whose_condition_left_a_parameter_to_its_default_is_learned_from() -> None:
    """The ledger has all parameters of a schedule; the sampler gets those it drew."""
    ratio = {"low": 0.1, "high": 0.2, "when": {"cooldown_shape": "linear"}}
    wsd = {**NUMERIC, "cooldown_shape": ["linear", "sqrt"], "final_lr_ratio": ratio}
    space = space_of({"wsd": wsd}, controller="random")
    script, controller = Script(space), controller_of(space)
    number = script.propose("wsd", inside())
    assert script.state.trials[number].params["final_lr_ratio"] == 0.0
    script.complete(number, 2.0)
    assert told(script, controller) == [("COMPLETE", 2.0)]
    script.complete(script.propose("wsd", inside(final_lr_ratio=0.05)), 2.0)
    assert told(script, controller) == [("COMPLETE", 2.0)]


# -- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["random", "tpe", "qmc", "cmaes"])
def test_a_sampler_never_holds_more_than_one_and_a_half_times_what_it_remembers(name: str) -> None:
    space = space_with(name, FLAT, {})
    script, controller = Script(space), controller_of(space)
    most = 0
    for index in range(80):
        number = script.take(controller.ask(script.state))
        most = max(most, len(optuna_trials(controller)))
        script.complete(number, 2.0 + index % 7)
    assert FORGETFUL < most <= 1.5 * FORGETFUL


def test_the_best_trial_is_never_forgotten() -> None:
    space = space_with("tpe", FLAT, {})
    script, controller = Script(space), controller_of(space)
    for index in range(60):
        script.complete(script.take(controller.ask(script.state)), 1.0 if index == 3 else 2.0 + index)
    controller.ask(script.state)
    values = [trial.value for trial in optuna_trials(controller) if trial.value is not None]
    assert min(values) == 1.0
    assert {61.0, 60.0, 59.0, 58.0} < set(values)


def test_a_sequence_keeps_its_coordinates_when_the_oldest_trials_are_forgotten() -> None:
    """They are those of the first trial; here the default's, which is of the second family."""
    space = space_of(TREE, controller="qmc", default={"cosine": {"peak_lr": 0.01}})
    script, controller = Script(space), controller_of(space)
    script.complete(script.propose("cosine", {"peak_lr": 0.01}, "default"), 2.0)
    for _ in range(40):
        script.complete(script.take(controller.ask(script.state)), 2.0)
    first = optuna_trials(controller)[0]
    assert first.params == {"family": "cosine", "cosine.peak_lr": 0.01, "cosine.final_lr_ratio": 0}


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("tpe", {"n_startup": 3}, "controller 'tpe' has no option 'n_startup'; it has n_startup_trials,"),
        ("tpe", {"n_startup": 3}, "did you mean 'n_startup_trials'?"),
        ("tpe", {"seed": 3}, "controller 'tpe' has no option 'seed'"),
        (
            "tpe",
            {"n_startup_trials": -1},
            "controller 'tpe': n_startup_trials must be a whole number >= 0, but got -1.",
        ),
        ("tpe", {"n_startup_trials": "many"}, "n_startup_trials must be a whole number >= 0, but got 'many'."),
        ("tpe", {"n_ei_candidates": 0}, "n_ei_candidates must be a whole number >= 1, but got 0."),
        ("tpe", {"n_ei_candidates": True}, "n_ei_candidates must be a whole number >= 1, but got True."),
        ("tpe", {"gamma": 0.25}, "controller 'tpe' has no option 'gamma'"),
        ("tpe", {"group": 1}, "controller 'tpe': group must be true or false, but got 1."),
        ("tpe", {"group": True, "multivariate": False}, "controller 'tpe': "),
        ("gp", {"n_startup_trials": 0}, "controller 'gp': n_startup_trials must be a whole number >= 1, but got 0."),
        ("random", {"scramble": True}, "controller 'random' has no option 'scramble'; it has none."),
        ("qmc", {"qmc_type": "sobel"}, "controller 'qmc': qmc_type must be one of sobol, halton, but got 'sobel'."),
        ("qmc", {"qmc_type": []}, "controller 'qmc': qmc_type must be one of sobol, halton, but got []."),
        ("cmaes", {"popsize": 2}, "controller 'cmaes': popsize must be a whole number in [4, 100], but got 2."),
        ("cmaes", {"lr_adapt": True, "with_margin": True}, "controller 'cmaes': "),
    ],
)
def test_a_bad_option_is_one_line_before_anything_is_trained(name: str, options: Mapping[str, Any], says: str) -> None:
    with pytest.raises(SpaceError) as caught:
        make_policy(space_of(FLAT, controller={"use": name, **options}))
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("tpe", "n_startup_trials", 0),
        ("tpe", "n_ei_candidates", 5),
        ("tpe", "constant_liar", False),
        ("qmc", "scramble", False),
        ("cmaes", "n_startup_trials", 4),
        ("cmaes", "use_separable_cma", True),
        ("cmaes", "with_margin", True),
        ("cmaes", "lr_adapt", True),
    ],
)
def test_an_allowed_option_works(name: str, option: str, value: Any) -> None:
    assert option in SAMPLER_OPTIONS[name]
    space = space_with(name, FLAT, {option: value})
    _, proposals, _ = search(space, lambda: controller_of(space), 15)
    assert len(proposals) == 15


def test_an_unknown_controller_is_refused_by_name() -> None:
    space = space_of(FLAT)
    with pytest.raises(SpaceError, match="must be one of law, autolrs, tpe, gp, random, qmc, cmaes, but got 'tea'"):
        make_policy(
            Space(
                study="s",
                seed=0,
                trainer=space.trainer,
                horizon_steps=HORIZON,
                eval_every=EVERY,
                checkpoint_every=EVERY,
                schedule=space.schedule,
                controller=Component(name="tea"),
            )
        )
