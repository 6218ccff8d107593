from __future__ import annotations

import itertools
import time
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import pytest
from broken_files import cut_off, flipped, made_folder, made_pipe, replaced
from studies import Interruption, Study, picture, trained_twice, wsd_space

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.local_backend import LocalBackend
from autosched.errors import CheckpointError
from autosched.ledger.events import SegmentScheduled, TrialAdvanced
from autosched.ledger.records import Failure, Segment
from autosched.search.budget import closed
from autosched.space.records import Budget, Component, Confirm, Resources


def test_a_study_ends_with_every_trial_ended(tmp_path: Path) -> None:
    state = Study(wsd_space(tmp_path)).run()
    assert state.finished is not None
    assert state.finished.reason == "8 trials are proposed"
    assert not state.active
    assert not state.in_flight
    searched = [trial for trial in state.trials if trial.role != "confirm"]
    assert len(searched) == 8
    assert [trial.role for trial in searched][:2] == ["default", "search"]
    assert all(trial.status in {"complete", "pruned"} for trial in searched)
    assert all(trial.value == trial.points[-1].loss for trial in searched if trial.status == "complete")


def test_the_default_is_trained_first_and_never_pruned(tmp_path: Path) -> None:
    state = Study(wsd_space(tmp_path)).run()
    assert state.trials[0].role == "default"
    assert state.trials[0].status == "complete"
    assert state.trials[0].decisions == []


def test_finalists_and_default_are_confirmed_on_the_same_fresh_seeds(tmp_path: Path) -> None:
    state = Study(wsd_space(tmp_path, confirm=Confirm(finalists=2, seeds=3))).run()
    runs = [trial for trial in state.trials if trial.role == "confirm"]
    assert {trial.of for trial in runs} >= {0, state.best}
    seeds = {number: {t.seed for t in runs if t.of == number} for number in {t.of for t in runs}}
    assert all(len(fresh) == 3 and 0 not in fresh for fresh in seeds.values())
    assert len(set(map(frozenset, seeds.values()))) == 1


def test_confirming_runs_can_be_paid_from_the_budget(tmp_path: Path) -> None:
    paid = Confirm(finalists=2, seeds=1, in_budget=True)
    space = wsd_space(tmp_path, confirm=paid, budget=Budget(steps=2100), pruner=Component(name="none"))
    assert (space.horizon_steps, space.confirming_steps, space.search_steps) == (200, 600, 1500)
    state = Study(space).run()
    assert {trial.of for trial in state.trials if trial.role == "confirm"} >= {0, state.best}
    assert state.steps_scheduled <= 2100
    assert state.finished is not None
    assert state.finished.reason == "2100 updates are used or promised and kept for confirming runs"
    (tmp_path / "apart").mkdir()
    apart = wsd_space(tmp_path / "apart", budget=Budget(steps=1500), pruner=Component(name="none"))
    searched = [[t.params for t in s.trials if t.role != "confirm"] for s in (state, Study(apart).run())]
    assert searched[0] == searched[1], "the search is the one with the smaller budget"


@pytest.mark.parametrize(
    ("controller", "pruner"), [("tpe", "hyperband"), ("random", "asha"), ("qmc", "median"), ("cmaes", "none")]
)
def test_two_runs_of_one_seed_are_equal(tmp_path: Path, controller: str, pruner: str) -> None:
    pictures = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        space = wsd_space(tmp_path / name, controller=Component(name=controller), pruner=Component(name=pruner))
        pictures.append(picture(Study(space).run()))
    assert pictures[0] == pictures[1]


def test_another_seed_proposes_otherwise(tmp_path: Path) -> None:
    prints = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        state = Study(wsd_space(tmp_path / str(seed), seed=seed)).run()
        prints.append([trial.fingerprint for trial in state.trials[1:8]])
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("controller", "pruner"),
    [("tpe", "median"), ("cmaes", "hyperband")],
)
def test_a_driver_that_dies_after_any_event_changes_nothing(tmp_path: Path, controller: str, pruner: str) -> None:
    """The whole study, killed a few times and resumed each time, equals the uninterrupted one; the decisions after
    other events, and the law's, are in `test_every_prefix.py`."""
    changes = {"controller": Component(name=controller), "pruner": Component(name=pruner)}
    (tmp_path / "whole").mkdir()
    whole = Study(wsd_space(tmp_path / "whole", **changes))
    expected = whole.run()
    (tmp_path / "cut").mkdir()
    cut = Study(wsd_space(tmp_path / "cut", **changes))
    deaths, after = 0, 1
    while True:
        try:
            state = cut.run(die_after=after)
        except Interruption:
            deaths += 1
            after = cut.events()[-1].number + 29
            continue
        break
    assert deaths >= 5
    assert picture(state) == picture(expected)
    assert state.best == expected.best
    assert trained_twice(cut.events()) == []


def test_of_trials_that_are_due_together_the_oldest_is_settled_first(tmp_path: Path) -> None:
    study = Study(wsd_space(tmp_path, pruner=Component(name="none")))
    study.run()
    settled = [stamped.event for stamped in study.events() if isinstance(stamped.event, TrialAdvanced)]
    together = [
        (a.trial, b.trial) for a, b in itertools.pairwise(settled) if a.at == b.at and not (a.shared or b.shared)
    ]
    assert len(together) > 10
    assert all(first < second for first, second in together)


def test_cooldowns_over_one_peak_train_their_prefix_once(tmp_path: Path) -> None:
    space = wsd_space(tmp_path, workers=1, fixed={"peak_lr": 0.02, "cooldown_shape": "linear"})
    space = replace(space, pruner=Component(name="none"), confirm=Confirm(), budget=Budget(trials=6))
    study = Study(space)
    state = study.run()
    # Every update up to the checkpoint before a cooldown's start is trained once, by whichever trial came first.
    branch = [200 - round(200 * trial.params["cooldown_fraction"]) for trial in state.trials]
    stable = max(start // 20 * 20 for start in branch)
    own = 0
    for trial, start in zip(state.trials, branch, strict=True):
        own += 200 - start // 20 * 20 if trial.params["cooldown_fraction"] < 1 else 200
    assert state.steps_trained <= stable + own
    reused = sum(trial.steps_shared for trial in state.trials)
    assert state.steps_trained + reused == 6 * 200
    assert reused > 0
    assert len(state.observations) == len(
        {s.event.segment for s in study.events() if isinstance(s.event, SegmentScheduled)}
    )


def test_a_second_study_reuses_the_first_ones_work_and_proposes_the_same(tmp_path: Path) -> None:
    first = Study(wsd_space(tmp_path)).run()
    second = Study(wsd_space(tmp_path, study="again")).run()
    assert first.steps_trained > 0
    assert second.steps_trained == 0
    assert picture(second) == picture(first)
    third = Study(wsd_space(tmp_path, study="anew"), reuse=False).run()
    assert third.steps_trained == first.steps_trained
    assert picture(third) == picture(first)


def test_a_second_study_that_cuts_elsewhere_sees_every_evaluation(tmp_path: Path) -> None:
    Study(wsd_space(tmp_path)).run()
    reused = Study(wsd_space(tmp_path, study="again", checkpoint_every=40)).run()
    alone = Study(wsd_space(tmp_path, study="alone", checkpoint_every=40), reuse=False).run()
    assert picture(reused) == picture(alone)


def test_workers_do_not_change_what_a_schedule_gives(tmp_path: Path) -> None:
    values = {}
    for workers in (1, 3):
        (tmp_path / str(workers)).mkdir()
        space = wsd_space(tmp_path / str(workers), workers=workers, pruner=Component(name="none"))
        for trial in Study(space).run().trials:
            values.setdefault((trial.fingerprint, trial.seed), set()).add(trial.value)
    assert all(len(seen) == 1 for seen in values.values())


def test_the_budget_in_updates_is_never_exceeded(tmp_path: Path) -> None:
    space = wsd_space(tmp_path, budget=Budget(steps=900), confirm=Confirm(), pruner=Component(name="none"))
    state = Study(space).run()
    assert state.steps_scheduled <= 900
    assert [trial.status for trial in state.trials] == ["complete"] * 4
    assert closed(space, state) == "900 updates are used or promised"


def test_the_budget_in_minutes_stops_running_trials(tmp_path: Path) -> None:
    started = time.time()
    clock = (started + 60.0 * ticks for ticks in itertools.count())  # a minute passes whenever the loop looks
    study = Study(wsd_space(tmp_path, budget=Budget(minutes=40.0)), now=lambda: next(clock))
    state = study.run()
    assert state.finished is not None
    assert "minutes are over" in state.finished.reason
    assert {trial.status for trial in state.trials} >= {"stopped"}
    assert 40 <= (next(clock) - started) / 60 < 50


def test_a_diverged_trial_is_a_result(tmp_path: Path) -> None:
    space = wsd_space(tmp_path, options={"diverge_above": 0.01}, pruner=Component(name="none"))
    state = Study(space).run()
    diverged = [trial for trial in state.trials if trial.status == "diverged"]
    assert diverged
    assert all(trial.params["peak_lr"] > 0.01 and trial.divergence is not None for trial in diverged)
    assert state.best is not None
    assert state.trials[state.best].params["peak_lr"] <= 0.01


def test_a_trial_that_always_fails_is_failed_with_its_reason_after_the_retries(tmp_path: Path) -> None:
    space = wsd_space(tmp_path, options={"fail_at": 50}, resources=Resources(workers=2, retries=2), confirm=Confirm())
    state = Study(space).run()
    assert {trial.status for trial in state.trials} == {"failed"}
    assert all(trial.step == 40 and "RuntimeError" in trial.reason for trial in state.trials)
    assert all(len(failures) == 3 for failures in state.failures.values())
    assert state.best is None


FAULTS = {
    Path.unlink: "it is missing",
    flipped: "does not match its checksum",
    replaced: "lies under another name",
    cut_off: "it is cut off",
    made_folder: "it is a folder",
    made_pipe: "it is no regular file",
}


class Unreliable(LocalBackend):
    """Loses a worker on chosen submissions, and on others the checkpoint that a segment starts from, to each fault."""

    def __init__(self, workers: int, *, deaths: Container[int] = (), losses: Container[int] = ()) -> None:
        super().__init__(simulated_factory, workers=workers)
        self._deaths, self._losses, self._count = deaths, losses, 0
        self._faults = itertools.cycle(FAULTS)
        self._dead: list[Failure] = []

    def submit(self, segment: Segment) -> None:
        self._count += 1
        if self._count in self._losses and segment.load_uri is not None:
            next(self._faults)(Path(segment.load_uri))
            self.forget()
        if self._count in self._deaths:
            self._dead.append(Failure(segment=segment.id, kind="worker_died", reason="killed", seconds=0.1))
        else:
            super().submit(segment)

    def wait(self, timeout: float | None = None) -> list:
        dead, self._dead = self._dead, []
        return [*dead] or super().wait(timeout)


def simulated_factory(use, options, seed, horizon):
    from workers.simulated import SimulatedTrainer

    return SimulatedTrainer(options, seed=seed, horizon=horizon)


def test_dead_workers_and_lost_checkpoints_change_nothing(tmp_path: Path) -> None:
    for name in ("calm", "storm"):
        (tmp_path / name).mkdir()
    expected = Study(wsd_space(tmp_path / "calm")).run()
    storm = Study(
        wsd_space(tmp_path / "storm"),
        backend=lambda space: Unreliable(space.resources.workers, deaths={2, 3, 11, 30}, losses=range(7, 99, 3)),
    )
    state = storm.run()
    assert picture(state) == picture(expected)
    kinds = {failure.kind for failures in state.failures.values() for failure in failures}
    assert kinds == {"worker_died", "checkpoint_lost"}
    reasons = [failure.reason for failures in state.failures.values() for failure in failures]
    assert all(any(said in reason for reason in reasons) for said in FAULTS.values())
    assert state.steps_trained > expected.steps_trained


def test_checkpoints_nothing_can_fork_from_are_deleted(tmp_path: Path) -> None:
    space = wsd_space(tmp_path)
    state = Study(space).run()
    left = CheckpointStore(space.storage.checkpoints).sizes()
    best = state.best_trial()
    assert best is not None
    assert len(left) <= 1


def test_prefix_checkpoints_stay_until_the_folder_is_full(tmp_path: Path) -> None:
    counts = {}
    for name, gib in (("roomy", 4.0), ("tight", 5 * 4096 / 2**30)):
        (tmp_path / name).mkdir()
        space = wsd_space(
            tmp_path / name, fixed={"peak_lr": 0.02}, options={"checkpoint_bytes": 4096}, confirm=Confirm()
        )
        space = replace(space, storage=replace(space.storage, checkpoints_gib=gib), pruner=Component(name="none"))
        assert Study(space).run().finished is not None
        counts[name] = len(CheckpointStore(space.storage.checkpoints).sizes())
    assert counts["roomy"] > 6 >= counts["tight"] >= 1


def test_the_folder_keeps_within_its_limit_however_many_studies_it_has_seen(tmp_path: Path) -> None:
    size, most = 4096, 4
    space = wsd_space(
        tmp_path, options={"checkpoint_bytes": size}, confirm=Confirm(), workers=1, budget=Budget(trials=2)
    )
    space = replace(space, pruner=Component(name="none"))
    limited = replace(space, storage=replace(space.storage, checkpoints_gib=(most + 0.5) * (size + 200) / 2**30))
    store = CheckpointStore(space.storage.checkpoints)
    open_study = Study(replace(space, study="open", seed=99))
    with pytest.raises(Interruption):
        open_study.run(die_after=20)
    needed = set(store.sizes())
    assert needed
    for seed in range(most + 2):
        best = Study(replace(limited, study=f"s{seed}", seed=seed)).run().best_trial()
        left = set(store.sizes())
        assert needed <= left  # of a study that is not over
        assert store.uri(best.segments[-1]) in left
        assert len(left) <= most
    assert open_study.run().finished is not None


def test_a_full_disk_stops_the_study_and_a_resume_ends_it(tmp_path: Path) -> None:
    for name in ("calm", "full"):
        (tmp_path / name).mkdir()
    expected = Study(wsd_space(tmp_path / "calm")).run()

    class Full(LocalBackend):
        def wait(self, timeout: float | None = None) -> list:
            done = super().wait(timeout)
            self.count = getattr(self, "count", 0) + 1
            if self.count < 9:
                return done
            return [Failure(segment=o.segment, kind="storage", reason="no space left on device") for o in done]

    study = Study(wsd_space(tmp_path / "full"), backend=lambda s: Full(simulated_factory, workers=s.resources.workers))
    with pytest.raises(CheckpointError, match="no space left on device; nothing is lost: make room, then resume"):
        study.run()
    study.backend = lambda s: LocalBackend(simulated_factory, workers=s.resources.workers)
    assert picture(study.run()) == picture(expected)
