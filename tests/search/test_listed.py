"""Where a space lists its candidates, samplers propose each of them once and nothing else."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from scripted_study import WSD, Script, search, space_of

from autosched.search.distinct import Listed
from autosched.search.optuna_controller import OptunaController
from autosched.space import Component, ScheduleSpec, Space, space_from_json

PEAKS, FRACTIONS = (1e-3, 3e-3, 1e-2, 3e-2), (0.1, 0.4, 0.8)


def space_of_candidates(controller: str = "tpe") -> Space:
    """Twelve WSD schedules and two cosines."""
    candidates: list[dict[str, Any]] = [
        {"wsd": {"peak_lr": peak, "cooldown_fraction": fraction}}
        for peak, fraction in itertools.product(PEAKS, FRACTIONS)
    ]
    candidates += [{"cosine": {"peak_lr": peak}} for peak in PEAKS[:2]]
    return space_from_json(
        {
            "study": "listed",
            "trainer": {"use": "simulated"},
            "horizon_steps": 100,
            "eval_every": 20,
            "checkpoint_every": 20,
            "candidates": candidates,
            "controller": controller,
        }
    )


def controller_of(space: Space) -> OptunaController:
    return OptunaController(space, space.controller)


@pytest.mark.parametrize("name", ["random", "tpe", "gp", "qmc", "cmaes"])
def test_every_candidate_is_proposed_once_and_then_nothing(name: str) -> None:
    space = space_of_candidates(name)
    controller, script = controller_of(space), Script(space)
    fingerprints = []
    for _ in space.candidates:
        number = script.take(controller.ask(script.state))
        fingerprints.append(script.state.trials[number].fingerprint)
        peak = script.state.trials[number].params["peak_lr"]
        script.complete(number, 2.0 + float(str(peak)))
    assert controller.ask(script.state) is None
    assert len(set(fingerprints)) == len(space.candidates)


@pytest.mark.parametrize("name", ["random", "tpe", "gp", "qmc"])
def test_a_controller_made_anew_proposes_what_the_old_one_would(name: str) -> None:
    space = space_of_candidates(name)
    _, once, _ = search(space, lambda: controller_of(space), 12)
    _, often, _ = search(space, lambda: controller_of(space), 12, restart_every=3)
    assert often == once


def test_a_sampler_goes_first_where_runs_turned_out_to_be_good() -> None:
    listed = space_of_candidates()
    component = Component(name="tpe", options={"n_startup_trials": 4})
    space = dataclasses.replace(listed, seed=5, controller=component)
    controller, script, peaks = controller_of(space), Script(space), []
    for _ in range(10):
        number = script.take(controller.ask(script.state))
        peaks.append(float(str(script.state.trials[number].params["peak_lr"])))
        script.complete(number, 3.0 - peaks[-1] * 10)
    assert sum(peaks[4:7]) > sum(peaks[7:])


def test_the_nearest_candidate_differs_least() -> None:
    space = space_of_candidates()
    listed = Listed(space)
    left = [spec for spec in space.candidates if spec.params.get("cooldown_fraction") != 0.4]
    wanted = ScheduleSpec(family="wsd", params={"peak_lr": 1e-2, "cooldown_fraction": 0.4})
    found = listed.nearest(wanted, left)
    assert (found.family, found.params["peak_lr"]) == ("wsd", 1e-2)
    cosine = listed.nearest(ScheduleSpec(family="cosine", params={"peak_lr": 3e-2}), list(space.candidates))
    assert (cosine.family, cosine.params["peak_lr"]) == ("cosine", 3e-3)


def test_without_candidates_nothing_is_restricted() -> None:
    space = space_of({"wsd": WSD})
    assert not Listed(space)
    assert Listed(space).left(Script(space).state) == []
