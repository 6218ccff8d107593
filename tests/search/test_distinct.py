"""A controller never proposes a curve twice, and draws anew as an uninterrupted study would."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_study import HORIZON, NUMERIC, Script, fate_of, loss_of, space_of

from autosched.randomness import generator
from autosched.search.distinct import drawn_anew
from autosched.search.optuna_controller import OptunaController
from autosched.search.policy import Proposal
from autosched.search.priors import SPACE_DRAWS
from autosched.space import ScheduleSpec, Space, build_schedule

SAMPLERS = ["random", "tpe", "qmc", "cmaes"]
FEW = {
    "wsd": {
        "peak_lr": [0.01, 0.02],
        "warmup_steps": [5, 10],
        "cooldown_fraction": [0.25, 0.95, 1.0],
        "cooldown_shape": ["linear", "power"],
        "cooldown_power": [1.0, 3.0],
        "final_lr_ratio": 0.01,
    },
    "linear": {"peak_lr": [0.01, 0.02], "warmup_steps": [5, 10], "final_lr_ratio": 0.01},
}
"""16 curves: 2 peaks x 2 warmups x 2 lengths x 2 shapes; a cooldown from 0.95 on is the linear family, or a power."""
CURVES = 16
NEARLY = {
    "wsd": {**NUMERIC, "cooldown_fraction": {"low": 0.5, "high": 1.0}, "peak_lr": [0.01, 0.02], "warmup_steps": 40}
}
"""A number between two others that gives one curve in four fifths of its range."""


def space_with(name: str, schedule: Any, **keys: Any) -> Space:
    return space_of(schedule, controller=name, **keys)


def controller_of(space: Space) -> OptunaController:
    return OptunaController(space, space.controller)


def asked_to_the_end(space: Space, *, most: int, restart: bool = False) -> tuple[list[Proposal], Script]:
    """All proposals of a study in which several trials are in flight; at most `most` of them."""
    script, controller, proposals = Script(space), controller_of(space), list[Proposal]()
    for turn in range(20 * most):
        if restart:
            controller = controller_of(space)
        proposal = controller.ask(script.state) if len(script.state.active) < 3 and len(proposals) < most else None
        if proposal is not None:
            proposals.append(proposal)
            script.take(proposal)
        active = sorted(script.state.active)
        if not active:
            break
        fate_of(script, active[int(generator(turn, "turn").integers(len(active)))])
    return proposals, script


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_curve_of_a_small_space_is_proposed_once_and_then_none(name: str) -> None:
    space = space_with(name, FEW)
    proposals, script = asked_to_the_end(space, most=CURVES + 5)
    assert len({proposal.schedule.fingerprint for proposal in proposals}) == len(proposals) == CURVES
    assert controller_of(space).ask(script.state) is None


@pytest.mark.parametrize("name", SAMPLERS)
def test_curves_that_many_numbers_give_are_proposed_once(name: str) -> None:
    """Cooldowns of 60 to 100 of 100 updates are one curve after a warmup of 40."""
    space = space_with(name, NEARLY)
    proposals, _ = asked_to_the_end(space, most=18)
    assert len({proposal.schedule.fingerprint for proposal in proposals}) == len(proposals) == 18
    longest = [p for p in proposals if p.schedule.params["cooldown_fraction"] >= 0.6]
    assert len(longest) <= 2


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("schedule", [FEW, NEARLY], ids=["few", "nearly"])
def test_a_resumed_study_draws_anew_what_an_uninterrupted_one_would(name: str, schedule: Any) -> None:
    space = space_with(name, schedule)
    calm, _ = asked_to_the_end(space, most=14)
    restless, _ = asked_to_the_end(space, most=14, restart=True)
    assert restless == calm


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_is_exhausted_stays_so_whatever_is_learned(name: str) -> None:
    """The last trials are still running when the space is used up; their results bring no new proposal."""
    space = space_with(name, FEW)
    script, controller = Script(space), controller_of(space)
    while (proposal := controller.ask(script.state)) is not None:
        script.take(proposal)
    assert len(script.state.trials) == CURVES
    for number in sorted(script.state.active):
        script.complete(number, 2.0 + number)
        assert controller.ask(script.state) is None
        assert controller_of(space).ask(script.state) is None


def test_what_was_drawn_in_vain_is_told_to_no_sampler() -> None:
    """The Optuna study knows as many results as there are trials, each under the parameters that were trained."""
    from optuna.trial import TrialState as OptunaState

    space = space_with("tpe", FEW)
    script, controller = Script(space), controller_of(space)
    for _ in range(CURVES):
        proposal = controller.ask(script.state)
        number = script.take(proposal)
        trial = script.state.trials[number]
        script.complete(number, loss_of(space, trial.family, trial.params))
    controller.ask(script.state)
    told = controller._study.get_trials(deepcopy=False, states=(OptunaState.COMPLETE,))
    assert sorted(trial.value for trial in told) == sorted(trial.value for trial in script.state.trials)
    assert not controller._study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,))


def test_the_default_s_curve_is_not_searched_again() -> None:
    default = {"linear": {"peak_lr": 0.01, "warmup_steps": 5, "final_lr_ratio": 0.01}}
    space = space_with("random", FEW, default=default)
    script, controller = Script(space), controller_of(space)
    assert space.default is not None
    script.propose(space.default.family, space.default.params, "default")
    while (proposal := controller.ask(script.state)) is not None:
        script.take(proposal)
    assert len({trial.fingerprint for trial in script.state.trials}) == len(script.state.trials) == CURVES


def test_the_number_of_draws_is_bounded() -> None:
    space = space_with("random", {"constant": {"peak_lr": 0.01, "warmup_steps": 5}})
    only = build_schedule(space, ScheduleSpec(family="constant", params={"peak_lr": 0.01, "warmup_steps": 5}))
    assert only.steps == HORIZON
    assert SPACE_DRAWS == 256
    assert drawn_anew(space, 0, frozenset()) is not None
    assert drawn_anew(space, 0, frozenset({only.fingerprint})) is None
