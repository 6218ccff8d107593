"""AutoLRS on the engine: probes side by side from one checkpoint, the same study whatever happens to the driver."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import Interruption, Study, picture, simulated, trained_twice, wsd_space

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.local_backend import LocalBackend
from autosched.ledger.events import TrialResumed
from autosched.ledger.state import StudyState
from autosched.search.autolrs import Finished, Seen, State, ask, stages, tell
from autosched.search.autolrs_space import settings_of
from autosched.space import Space
from autosched.space.records import (
    Budget,
    Component,
    Confirm,
    FamilySpace,
    Fixed,
    Range,
    ScheduleSpec,
    SearchParameter,
)
from autosched.trainer import Diverged
from workers.simulated import SimulatedTrainer

STEPS = 1120  # stages of 160, 320 and 640


def autolrs_space(folder: Path, *, workers: int = 1, cooldown: float = 0.0, warmup: int = 0, **options: Any) -> Space:
    """A run on the simulated trainer, four probes per stage."""
    domains: dict[str, Any] = {"peak_lr": Range(low=1e-3, high=1e-1, log=True), "warmup_steps": Fixed(value=warmup)}
    if cooldown:
        domains["cooldown_fraction"] = Fixed(value=cooldown)
    parameters = {name: SearchParameter(domain=domain) for name, domain in domains.items()}
    folder.mkdir(exist_ok=True)
    return replace(
        wsd_space(folder, workers=workers),
        horizon_steps=STEPS,
        eval_every=2,
        checkpoint_every=280,
        schedule=(FamilySpace(family="wsd" if cooldown else "constant", parameters=parameters),),
        default=None,
        controller=Component(name="autolrs", options={"first_stage": 160, "probes": 4, **options}),
        pruner=Component(name="none"),
        budget=Budget(steps=2 * STEPS),
        confirm=Confirm(),
    )


def search_ticks(study: Study, state: StudyState) -> list[int]:
    """Virtual time from the begin of each stage to the choice of its LR."""
    resumed = [stamped.event for stamped in study.events() if isinstance(stamped.event, TrialResumed)]
    chosen = [event.at for event in resumed if "won stage" in event.reason]
    begun = [0, *(stage.at for stage in state.stages[:-1])]
    return [at - start for at, start in zip(chosen, begun, strict=True)]


def test_a_run_ends_with_its_stages_and_a_schedule_that_says_so(tmp_path: Path) -> None:
    space = autolrs_space(tmp_path, cooldown=0.2, warmup=20)
    state = Study(space).run()
    assert state.finished is not None
    assert state.finished.reason == "all 3 stages are committed"
    assert [(stage.stage, stage.step) for stage in state.stages] == [(0, 180), (1, 500), (2, 896)]
    best = state.best_trial()
    assert best is not None
    assert best.status == "complete"
    assert best.family == "piecewise"
    lrs = best.schedule.lrs
    assert lrs[:20].max() == pytest.approx(0.01), "the warmup is the same for all probes: to the middle of the range"
    assert [lrs[stage.step - 1] for stage in state.stages] == [stage.lr for stage in state.stages]
    np.testing.assert_allclose(lrs[896:], state.stages[-1].lr * (1 - np.arange(224) / 224))
    assert {trial.status for trial in state.trials} == {"reached", "complete"}
    assert trained_twice(Study(space).events()) == []


@pytest.mark.parametrize("forecast", ["exponential", "decayed"])
def test_the_engine_decides_what_the_state_machine_decides(tmp_path: Path, forecast: str) -> None:
    """One worker, and a loop that trains the machine's works one after another: the same LR in every stage."""
    space = autolrs_space(tmp_path, forecast=forecast)
    state = Study(space).run()
    settings, run, ends = settings_of(space), State(), {}
    trainer = SimulatedTrainer({}, seed=space.seed, horizon=STEPS)
    checkpoint = saved(trainer)
    while not isinstance(work := ask(settings, run), Finished):
        trainer.load(io.BytesIO(ends[work.probe] if work.kind in ("commit", "decay") else checkpoint))
        steps, losses = [], []
        for done in range(work.start, work.stop, space.eval_every):
            cut = min(done + space.eval_every, work.stop)
            losses.append(trainer.train(work.lrs[done - work.start : cut - work.start])["train_loss"])
            steps.append((done + cut - 1) / 2)
        if work.kind != "decay":
            ends[work.probe] = saved(trainer)
        if work.kind == "commit":
            checkpoint, ends = saved(trainer), {}
        run = tell(settings, run, work, Seen(updates=work.updates, steps=tuple(steps), losses=tuple(losses)))
    assert [stage.lr for stage in state.stages] == [passed.lr for passed in run.passed]
    assert state.steps_trained == run.trained


def saved(trainer: SimulatedTrainer) -> bytes:
    file = io.BytesIO()
    trainer.save(file)
    return file.getvalue()


def test_ten_probes_cost_less_than_the_run_again_and_four_decayed_ones_less_than_half(tmp_path: Path) -> None:
    ten = Study(autolrs_space(tmp_path / "ten", probes=10)).run()
    assert ten.steps_trained == STEPS + 9 * (16 + 32 + 64)
    assert ten.steps_trained <= 1.9 * STEPS
    space = autolrs_space(tmp_path / "four", cooldown=0.2, preset="far_sighted", probe_share=0.1, decay_share=0.25)
    four = Study(space).run()
    assert four.finished is not None
    assert four.finished.reason == "all 3 stages are committed"
    searched = sum(3 * stage.probe + 4 * stage.decay for stage in stages(settings_of(space)))
    assert four.steps_trained == STEPS + searched <= 1.4 * STEPS
    assert trained_twice(Study(space).events()) == []


def test_workers_probe_side_by_side(tmp_path: Path) -> None:
    """The search of a stage: a tenth of the time with ten workers; its commit is one run, which nothing shortens."""
    ticks, whole = {}, {}
    for workers in (1, 2, 10):
        study = Study(autolrs_space(tmp_path / str(workers), workers=workers, probes=10))
        state = study.run()
        ticks[workers], whole[workers] = np.array(search_ticks(study, state)), state.clock
        assert state.steps_trained == STEPS + 9 * (16 + 32 + 64)
    assert ticks[1].tolist() == [160, 320, 640]
    assert np.all(ticks[2] <= 0.65 * ticks[1])
    assert np.all(ticks[10] <= 0.2 * ticks[1])
    assert whole == {1: 2128, 2: 1568, 10: STEPS}


@pytest.mark.parametrize(("workers", "forecast"), [(3, "decayed"), (1, "exponential")])
def test_a_driver_that_dies_after_any_event_changes_nothing(tmp_path: Path, workers: int, forecast: str) -> None:
    changes: dict[str, Any] = {"workers": workers, "cooldown": 0.2, "warmup": 20, "probes": 3, "forecast": forecast}
    expected = Study(autolrs_space(tmp_path / "whole", **changes)).run()
    cut, deaths, after = Study(autolrs_space(tmp_path / "cut", **changes)), 0, 1
    while True:
        try:
            state = cut.run(die_after=after)
        except Interruption:
            deaths += 1
            after = cut.events()[-1].number + 23
            continue
        break
    assert deaths >= 4
    assert picture(state) == picture(expected)
    assert state.stages == expected.stages
    assert trained_twice(cut.events()) == []
    assert len(CheckpointStore(cut.space.storage.checkpoints).sizes()) <= 1


def test_a_stage_whose_lrs_all_diverge_ends_the_study_with_advice(tmp_path: Path) -> None:
    space = autolrs_space(tmp_path, workers=2)
    space = replace(space, trainer=replace(space.trainer, options={"diverge_above": 1e-4}))
    state = Study(space).run()
    assert state.finished is not None
    assert "all 4 LRs tried in stage 0 diverged" in state.finished.reason
    assert "lower the bounds" in state.finished.reason
    assert [trial.status for trial in state.trials] == ["diverged"] * 4


class Late(SimulatedTrainer):
    """Diverges above some LR, but only from update 60 on: after the probes of the first stage."""

    above = 0.0

    def train(self, lrs):
        if self.step >= 60 and lrs.max() > self.above:
            raise Diverged(self.step + 1, float("inf"), "too hot for too long")
        return super().train(lrs)


def test_a_winner_that_diverges_after_its_probe_gives_way_to_the_next_best(tmp_path: Path) -> None:
    calm = Study(autolrs_space(tmp_path / "calm")).run()

    class TooHot(Late):
        above = calm.stages[0].lr * 0.999

    space = autolrs_space(tmp_path / "hot")
    study = Study(space, backend=lambda space: LocalBackend(lambda use, o, s, h: TooHot(o, seed=s, horizon=h)))
    state = study.run()
    assert state.finished is not None
    assert state.finished.reason == "all 3 stages are committed"
    winner = state.trials[calm.stages[0].trial]
    assert (winner.status, winner.step) == ("diverged", 61)
    assert state.stages[0].lr < calm.stages[0].lr
    assert state.steps_scheduled <= 2 * STEPS


def test_what_no_longer_fits_the_budget_is_not_begun(tmp_path: Path) -> None:
    space = autolrs_space(tmp_path)
    needed = STEPS + 3 * (16 + 32 + 64)

    class TooHot(Late):
        above = 0.0

    study = Study(
        replace(space, budget=Budget(steps=needed)),
        backend=lambda space: LocalBackend(lambda use, o, s, h: TooHot(o, seed=s, horizon=h)),
    )
    state = study.run()
    assert state.finished is not None
    assert "updates are left of the budget, and the rest of the run needs" in state.finished.reason
    assert state.steps_scheduled <= needed


def test_a_trial_that_cannot_be_trained_ends_the_study_and_says_which(tmp_path: Path) -> None:
    space = autolrs_space(tmp_path)
    state = Study(replace(space, trainer=replace(space.trainer, options={"fail_at": 10}))).run()
    assert state.finished is not None
    assert state.finished.reason.startswith("trial 0 failed, and its stage cannot be decided without it: error:")


def test_a_default_is_trained_beside_it_and_confirmed_with_the_winner(tmp_path: Path) -> None:
    space = autolrs_space(tmp_path, workers=2)
    constant = ScheduleSpec(family="constant", params={"peak_lr": 0.01, "warmup_steps": 0})
    space = replace(space, default=constant, confirm=Confirm(finalists=1, seeds=1), budget=Budget(steps=3 * STEPS))
    state = Study(space, backend=lambda space: LocalBackend(simulated, workers=2)).run()
    assert state.finished is not None
    assert state.finished.reason == "all 3 stages are committed"
    assert [trial.role for trial in state.trials].count("confirm") == 2
    assert state.trials[0].role == "default"
    assert state.trials[0].status == "complete"


def test_validation_losses_score_the_stages_that_ask_for_them(tmp_path: Path) -> None:
    by_training = Study(autolrs_space(tmp_path / "training", validation_from=None)).run()
    by_validation = Study(autolrs_space(tmp_path / "validation", validation_from=0)).run()
    assert [stage.step for stage in by_training.stages] == [stage.step for stage in by_validation.stages]
    reasons = [[trial.reason for trial in state.trials[:1]] for state in (by_training, by_validation)]
    assert reasons[0] != reasons[1]
    assert [stage.stop for stage in stages(settings_of(autolrs_space(tmp_path)))] == [160, 480, 1120]


def test_a_range_test_finds_the_bounds_of_every_stage(tmp_path: Path) -> None:
    space = autolrs_space(tmp_path)
    unknown = SearchParameter(domain=Range(low=1e-4, high=1.0, log=True, auto_low=True, auto_high=True))
    parameters = {**space.schedule[0].parameters, "peak_lr": unknown}
    state = Study(replace(space, schedule=(FamilySpace(family="constant", parameters=parameters),))).run()
    assert state.finished is not None
    assert state.finished.reason == "all 3 stages are committed"
    assert state.range_test is not None
    low, high = state.range_test.bounds
    assert all(low <= trial.params["values"][-1] <= high for trial in state.trials)
    assert state.trials[0].params["values"] == [pytest.approx((low * high) ** 0.5)]
