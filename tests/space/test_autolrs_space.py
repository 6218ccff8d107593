"""A space for AutoLRS: its numbers come from one place each, and what does not fit is one line with a place."""

from __future__ import annotations

from pathlib import Path

import pytest
from space_text import written

from autosched.errors import SpaceError
from autosched.search.autolrs import stages
from autosched.search.autolrs_space import settings_of, trial_cuts
from autosched.search.select import CHECKS, make_policy
from autosched.space import Space, build_schedule, load_space, space_from_json, space_to_json

FILE = {
    6: "horizon_steps: 1200",
    7: "eval_every: 2",
    8: "checkpoint_every: 400",
    13: "    cooldown_fraction: 0.2",
    14: "    cooldown_shape: linear",
    21: "controller: {use: autolrs, first_stage: 200}",
    22: "",
    23: "budget: {full_runs: 3}",
}


def loaded(folder: Path, changes: dict[int, str] | None = None) -> Space:
    return load_space(written(folder, {**FILE, **(changes or {})}), checks=CHECKS)


def test_every_number_is_written_once(tmp_path: Path) -> None:
    space = loaded(tmp_path)
    settings = settings_of(space)
    assert (settings.low, settings.high, settings.steps, settings.seed) == (1e-3, 1e-1, 1200, 0)
    assert (settings.warmup_steps, settings.cooldown_steps, settings.log_every) == (30, 240, 2)
    assert settings.warmup_lr == pytest.approx(1e-2)
    assert (settings.probes, settings.probe_share, settings.kappa, settings.forecast) == (10, 0.1, 2.0, "exponential")
    assert space.pruner.name == "none"
    assert space_from_json(space_to_json(space)) == space


def test_trials_are_cut_where_probes_begin_and_end(tmp_path: Path) -> None:
    space = loaded(tmp_path)
    found = [(stage.start, stage.start + stage.probe, stage.stop) for stage in stages(settings_of(space))]
    assert found == [(30, 50, 230), (230, 270, 630), (630, 662, 960)]
    assert trial_cuts(space) == (30, 50, 230, 270, 400, 630, 662, 800, 1200)
    policy, schedule = make_policy(space), build_schedule(space, space.default)
    assert [cut for cut in policy.cuts() if policy.can_branch(schedule, cut)] == [30, 230, 630]


def test_a_probe_ends_at_an_evaluation_whatever_its_share(tmp_path: Path) -> None:
    space = loaded(tmp_path, {6: "horizon_steps: 1210", 7: "eval_every: 2"})
    assert all(stage.probe % 2 == 0 for stage in stages(settings_of(space)))


def test_presets_are_the_state_machines(tmp_path: Path) -> None:
    far = settings_of(loaded(tmp_path, {21: "controller: {use: autolrs, preset: far_sighted, first_stage: 320}"}))
    assert (far.forecast, far.probes, far.memory, far.cooldown_fraction) == ("decayed", 4, True, 0.2)
    own = settings_of(loaded(tmp_path, {21: "controller: {use: autolrs, preset: published, first_stage: 200}"}))
    assert (own.forecast, own.kappa, own.reuse, own.message_updates) == ("published", 1e6, True, False)


def test_trials_are_cut_where_decays_end_and_the_budget_has_room_for_them(tmp_path: Path) -> None:
    controller = {
        21: "controller: {use: autolrs, preset: far_sighted, first_stage: 200, probe_share: 0.1, decay_share: 0.5}"
    }
    space = loaded(tmp_path, controller)
    assert trial_cuts(space) == (30, 50, 60, 230, 270, 290, 400, 630, 662, 678, 800, 1200)
    assert [(stage.probe, stage.decay) for stage in stages(settings_of(space))] == [(20, 10), (40, 20), (32, 16)]
    needed = 2 * 1200 + 3 * (20 + 40 + 32) + 4 * (10 + 20 + 16)
    assert loaded(tmp_path, {**controller, 23: f"budget: {{steps: {needed}}}"}).budget.steps == needed
    with pytest.raises(SpaceError, match=f"budget must be at least {needed} steps"):
        loaded(tmp_path, {**controller, 23: f"budget: {{steps: {needed - 1}}}"})
    with pytest.raises(SpaceError, match="at least 25 trials for autolrs, one per probe and decay"):
        loaded(tmp_path, {**controller, 23: "budget: {trials: 20}"})


def test_the_papers_numbers_are_the_default(tmp_path: Path) -> None:
    changes = {6: "horizon_steps: 50000", 7: "eval_every: 10", 8: "", 21: "controller: autolrs"}
    lengths = [stage.horizon for stage in stages(settings_of(loaded(tmp_path, changes)))]
    assert lengths[:5] == [1000, 2000, 4000, 8000, 8000]


@pytest.mark.parametrize(
    ("changes", "line", "says"),
    [
        (
            {21: "controller: autolrs"},
            21,
            "first_stage must be at most the 930 updates between warmup and cooldown, but is 1000; write",
        ),
        ({21: "controller: {use: autolrs, first_stage: 100}"}, 21, "must be at least 160, so that a probe"),
        ({21: "controller: {use: autolrs, first_stage: 201}"}, 21, "first_stage must be a multiple of eval_every (2)"),
        (
            {21: "controller: {use: autolrs, stages: 3}"},
            21,
            "controller autolrs has no option 'stages'; it has preset,",
        ),
        ({21: "controller: {use: autolrs, low: 0.1}"}, 21, "low is no option, it is the lower bound of schedule's"),
        ({21: "controller: {use: autolrs, reuse: false}"}, 21, "reuse is no option, it does not exist here"),
        ({21: "controller: {use: autolrs, preset: best}"}, 21, "preset must be one of paper, published, far_sighted"),
        (
            {21: "controller:\n  use: autolrs\n  first_stage: 200\n  probes: 0"},
            24,
            "controller autolrs: probes must be at least 1, but got 0",
        ),
        ({21: "controller: {use: autolrs, first_stage: 200, memory: 1}"}, 21, "memory must be true or false"),
        ({22: "pruner: median"}, 22, "pruner must be none beside autolrs"),
        ({23: "budget: {full_runs: 1.5}"}, 22, "budget must be at least 3228 steps (full_runs: 2.69) for autolrs"),
        (
            {22: "budget: {full_runs: 3}", 23: "", 27: "confirm: {seeds: 1, in_budget: true}"},
            22,
            "budget must be at least 5628 steps (full_runs: 4.69) for autolrs",
        ),
        ({23: "budget: {trials: 8}"}, 22, "budget must have at least 31 trials for autolrs"),
        ({11: "    peak_lr: 0.01"}, 11, "peak_lr must have bounds"),
        ({12: "    warmup_steps: [10, 30]"}, 12, "warmup_steps must be one value for autolrs"),
        ({14: "    cooldown_shape: sqrt"}, 14, "cooldown_shape must be linear for autolrs"),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_place(
    tmp_path: Path, changes: dict[int, str], line: int, says: str
) -> None:
    with pytest.raises(SpaceError) as caught:
        loaded(tmp_path, changes)
    assert says in str(caught.value)
    assert f"space.yaml:{line}:" in str(caught.value)


def test_the_ledger_refuses_what_the_file_would(tmp_path: Path) -> None:
    data = space_to_json(loaded(tmp_path))
    with pytest.raises(SpaceError, match="budget must be at least 3228 steps"):
        make_policy(space_from_json({**data, "budget": {"steps": 1800}}))
