import gc
import json
import math
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.execute import SegmentRunner
from autosched.errors import UsageError
from autosched.ledger.records import Failure, Observation
from autosched.testing.backend_contract import cut, result
from autosched.trainer import Diverged, OutOfMemoryError, Trainer
from workers.simulated import SimulatedTrainer

LRS = np.linspace(0.03, 0.001, 22)


class Watched(SimulatedTrainer):
    """The simulated trainer, which notes what is asked of it."""

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self.asked: list[str] = []
        super().__init__(options, seed=seed, horizon=horizon)
        self.asked.clear()  # the base class starts itself

    def start(self) -> None:
        self.asked.append("start")
        super().start()

    def train(self, lrs):
        self.asked.append(f"train {len(lrs)}")
        return super().train(lrs)

    def evaluate(self) -> float:
        self.asked.append("evaluate")
        return super().evaluate()

    def save(self, file) -> None:
        self.asked.append("save")
        super().save(file)

    def load(self, file) -> None:
        self.asked.append("load")
        super().load(file)


class Workshop:
    """A factory of one class of trainers that keeps an eye on what it made, without keeping it alive."""

    def __init__(self, trainer: type[SimulatedTrainer] = Watched) -> None:
        self.trainer = trainer
        self.made: list[weakref.ref[SimulatedTrainer]] = []
        self.notes: list[str] = []

    def __call__(self, use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
        trainer = self.trainer(options, seed=seed, horizon=horizon)
        self.made.append(weakref.ref(trainer))
        self.notes = getattr(trainer, "asked", [])
        return trainer

    @property
    def alive(self) -> int:
        gc.collect()
        return sum(made() is not None for made in self.made)

    def asked(self) -> list[str]:
        """What was asked of the newest trainer since the last time."""
        asked = list(self.notes)
        self.notes.clear()
        return asked


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(str(tmp_path))


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


def test_a_segment_is_trained_from_evaluation_to_evaluation(store, workshop):
    seen = SegmentRunner(workshop, worker="ray-3").run(cut(store, LRS, 0, 22))
    each = ["train 5", "evaluate"]
    assert workshop.asked() == ["start", *each, *each, *each, *each, "train 2", "evaluate", "save"]
    assert [point.step for point in seen.points] == [5, 10, 15, 20, 22]
    assert (seen.trained, seen.worker, seen.divergence) == (22, "ray-3", None)
    assert store.exists(seen.checkpoint)


def test_an_end_between_evaluations_is_not_evaluated(store, workshop):
    seen = SegmentRunner(workshop).run(cut(store, LRS, 0, 7))
    assert workshop.asked() == ["start", "train 5", "evaluate", "train 2", "save"]
    assert [point.step for point in seen.points] == [5]
    assert seen.trained == 7


def test_losses_are_those_of_an_uncut_run(store, workshop):
    runner = SegmentRunner(workshop)
    whole = SegmentRunner(workshop).run(cut(store, LRS, 0, 22))
    parts = [runner.run(cut(store, LRS, start, stop)) for start, stop in ((0, 5), (5, 12), (12, 22))]
    joined = [point for part in parts for point in part.points]
    assert [(point.step, point.loss) for point in joined] == [(point.step, point.loss) for point in whole.points]


def test_metrics_are_means_since_the_point_before_or_the_start_of_the_segment(store, workshop):
    runner = SegmentRunner(workshop)
    whole = runner.run(cut(store, LRS, 0, 22))
    runner.run(cut(store, LRS, 0, 7))
    part = runner.run(cut(store, LRS, 7, 22))
    by_step = {point.step: point.metrics["train_loss"] for point in whole.points}
    assert [point.metrics["train_loss"] for point in part.points[1:]] == [by_step[15], by_step[20], by_step[22]]
    reference = SimulatedTrainer({}, seed=0, horizon=22)
    reference.train(LRS[:7])
    assert part.points[0].metrics == reference.train(LRS[7:10])


def test_known_points_are_neither_evaluated_nor_reported(store, workshop):
    runner = SegmentRunner(workshop)
    whole = runner.run(cut(store, LRS, 0, 22))
    workshop.asked()
    seen = runner.run(replace(cut(store, LRS, 0, 22), report_from=12))
    assert workshop.asked().count("evaluate") == 3
    assert seen.points == whole.points[2:]


def test_a_held_state_is_not_loaded(store, workshop):
    runner = SegmentRunner(workshop)
    runner.run(cut(store, LRS, 0, 10))
    store.delete(store.uri(cut(store, LRS, 0, 10).id))
    workshop.asked()
    assert isinstance(runner.run(cut(store, LRS, 10, 22)), Observation)
    assert "load" not in workshop.asked()
    assert len(workshop.made) == 1


def test_another_state_of_the_same_run_is_loaded_into_the_same_trainer(store, workshop):
    runner = SegmentRunner(workshop)
    fork = np.concatenate([LRS[:10], LRS[10:] / 2])
    runner.run(cut(store, LRS, 0, 10))
    runner.run(cut(store, LRS, 10, 22))
    workshop.asked()
    assert isinstance(runner.run(cut(store, fork, 10, 22)), Observation)
    assert workshop.asked()[0] == "load"
    assert len(workshop.made) == 1


def test_only_one_trainer_is_kept(store, workshop):
    runner = SegmentRunner(workshop)
    first = runner.run(cut(store, LRS, 0, 10))
    for seed in (1, 2):
        runner.run(cut(store, LRS, 0, 10, seed=seed))
    runner.run(cut(store, LRS, 0, 10, options={"noise": 0.0}))
    assert (len(workshop.made), workshop.alive) == (4, 1)
    again = runner.run(cut(store, LRS, 0, 10))
    assert result(again) == result(first)
    runner.forget()
    assert workshop.alive == 0


def test_another_horizon_needs_another_trainer(store, workshop):
    runner = SegmentRunner(workshop)
    runner.run(cut(store, LRS, 0, 10))
    longer = cut(store, np.concatenate([LRS, LRS]), 10, 22)
    assert longer.load_id == cut(store, LRS, 0, 10).id
    assert isinstance(runner.run(longer), Observation)
    assert [made() and made().horizon for made in workshop.made] == [None, 44]


def test_a_divergence_ends_the_segment_with_the_points_before_it(store, workshop):
    lrs = LRS.copy()
    lrs[12] = 7.0
    runner = SegmentRunner(workshop)
    runner.run(cut(store, lrs, 0, 10))
    segment = cut(store, lrs, 10, 22)
    seen = runner.run(segment)
    assert (seen.checkpoint, seen.trained, seen.points) == (None, 3, ())
    assert seen.divergence.step == 13
    assert seen.divergence.reason == "LR 7 is above 0.5"
    assert not store.exists(segment.save_uri)


def test_what_diverged_is_not_taken_for_a_state(store, workshop):
    lrs = LRS.copy()
    lrs[12] = 7.0
    runner = SegmentRunner(workshop)
    runner.run(cut(store, LRS, 0, 10))
    clean = SegmentRunner(workshop).run(cut(store, LRS, 10, 22))
    runner.run(cut(store, lrs, 10, 22))
    assert result(runner.run(cut(store, LRS, 10, 22))) == result(clean)


class NanAtTen(SimulatedTrainer):
    def evaluate(self) -> float:
        return math.nan if self.step == 10 else super().evaluate()


def test_a_validation_loss_that_is_no_number_is_a_divergence(store):
    seen = SegmentRunner(Workshop(NanAtTen)).run(cut(store, LRS, 0, 22))
    assert [point.step for point in seen.points] == [5]
    assert (seen.divergence.step, seen.divergence.reason) == (10, "the validation loss is nan.")
    assert (seen.trained, seen.checkpoint) == (10, None)


def test_a_divergence_beyond_the_segment_counts_only_its_updates(store):
    seen = SegmentRunner(Workshop(failing("train", Diverged, 10**9, 5.0, "two\nlines"))).run(cut(store, LRS, 0, 10))
    assert (seen.trained, seen.divergence.reason) == (10, "two lines")


def failing(method: str, error: type[Exception], *arguments: Any) -> type[SimulatedTrainer]:
    """The simulated trainer, one of whose methods raises such an error."""

    def fail(self, _):
        raise error(*arguments)

    return type(f"{error.__name__}In{method.title()}", (SimulatedTrainer,), {method: fail})


class Ahead(SimulatedTrainer):
    """Claims two updates more than its checkpoint has."""

    def load(self, file):
        super().load(file)
        self._step += 2


class Forgetful(SimulatedTrainer):
    def load(self, file) -> None:
        self.start()


class Broken(SimulatedTrainer):
    def save(self, file) -> None:
        file.write(b"half")
        raise ZeroDivisionError("in the\ntrainer")


def run_from_ten(store: CheckpointStore, trainer: type[SimulatedTrainer]) -> tuple[Failure, Workshop]:
    SegmentRunner(Workshop()).run(cut(store, LRS, 0, 10))
    workshop = Workshop(trainer)
    outcome = SegmentRunner(workshop, worker="w").run(cut(store, LRS, 10, 22))
    assert isinstance(outcome, Failure)
    return outcome, workshop


@pytest.mark.parametrize(
    ("trainer", "kind", "reason"),
    [
        (failing("train", OutOfMemoryError, "halve the batch."), "out_of_memory", "halve the batch."),
        (failing("load", MemoryError), "out_of_memory", "the worker's main memory is full"),
        (failing("load", KeyError, "model.weight"), "checkpoint_lost", "KeyError: 'model.weight' (test_execute.py:"),
        (Forgetful, "checkpoint_lost", "it holds update 0, not 10."),
        (Ahead, "checkpoint_lost", "it holds update 12, not 10."),
        (Broken, "error", "ZeroDivisionError: in the trainer (test_execute.py:"),
    ],
)
def test_what_a_trainer_raises_comes_back_as_a_kind_and_a_line(store, trainer, kind, reason):
    failure, workshop = run_from_ten(store, trainer)
    assert (failure.kind, failure.worker) == (kind, "w")
    assert reason in failure.reason
    assert "\n" not in failure.reason
    assert workshop.alive == 0
    assert list(store.sizes()) == [cut(store, LRS, 0, 10).save_uri]


def test_a_damaged_checkpoint_is_lost(store, workshop):
    first = cut(store, LRS, 0, 10)
    store.save(first.save_uri, lambda file: file.write(b"\x80\x04junk"))
    failure = SegmentRunner(workshop).run(cut(store, LRS, 10, 22))
    assert failure.kind == "checkpoint_lost"
    assert failure.reason.startswith(f"cannot start from {first.save_uri}: the checkpoint is damaged")


def test_a_missing_checkpoint_is_lost(store, workshop):
    failure = SegmentRunner(workshop).run(cut(store, LRS, 10, 22))
    assert (failure.kind, failure.segment) == ("checkpoint_lost", cut(store, LRS, 10, 22).id)
    assert "it is missing" in failure.reason


def test_an_option_the_trainer_does_not_know_is_its_own_explanation(store, workshop):
    failure = SegmentRunner(workshop).run(cut(store, LRS, 0, 10, options={"depth": 3}))
    assert failure.kind == "error"
    assert failure.reason.startswith("simulated trainer: unknown option 'depth'; allowed are")


def test_a_factory_that_refuses_leaves_the_runner_usable(store):
    def factory(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
        if seed == 1:
            raise UsageError("no trainer is called 'simulated'.")
        return SimulatedTrainer(options, seed=seed, horizon=horizon)

    runner = SegmentRunner(factory)
    kinds = [type(runner.run(cut(store, LRS, 0, 10, seed=seed))) for seed in (0, 1, 0)]
    assert kinds == [Observation, Failure, Observation]


def test_an_endless_message_is_cut(store):
    talkative = failing("train", OutOfMemoryError, "x" * 10_000)
    failure = SegmentRunner(Workshop(talkative)).run(cut(store, LRS, 0, 10))
    assert len(failure.reason) == 500


def test_an_interrupted_segment_is_not_gone_on_from(store):
    class Interrupted(Watched):
        def train(self, lrs):
            if self.step == 15:
                raise KeyboardInterrupt
            return super().train(lrs)

    workshop = Workshop(Interrupted)
    runner = SegmentRunner(workshop)
    runner.run(cut(store, LRS, 0, 10))
    with pytest.raises(KeyboardInterrupt):
        runner.run(cut(store, LRS, 10, 22))
    workshop.asked()
    seen = runner.run(cut(store, LRS, 10, 15))
    assert isinstance(seen, Observation)
    assert workshop.asked()[0] == "load"


def test_seconds_cover_loading_and_storing(store, workshop):
    seen = SegmentRunner(workshop).run(cut(store, LRS, 0, 10, options={"seconds_per_step": 0.002}))
    assert seen.seconds >= 0.02


def test_merged_losses_are_measured_at_doubled_evaluations_and_at_the_end(store):
    lrs = np.full(35, 0.01)
    runner = SegmentRunner(Workshop(SimulatedTrainer))
    points = [point for start, stop in ((0, 20), (20, 35)) for point in runner.run(cut(store, lrs, start, stop)).points]
    merged = {point.step: list(point.merged) for point in points if point.merged}
    assert merged == {20: [1, 2], 35: [2, 4]}
    longer = cut(store, np.full(200, 0.01), 0, 200)
    assert [step for step in range(1, 201) if longer.is_merged(step)] == [20, 40, 80, 160, 200]
    assert not replace(longer, validate=False).is_merged(200)


class Overflows(SimulatedTrainer):
    def evaluate_merged(self):
        return {1: 2.5, 2: math.inf}


class Unmerged(SimulatedTrainer):
    evaluate_merged = None  # the protocol's mark of a method that a class does not have


@pytest.mark.parametrize(("trainer", "merged"), [(Overflows, {1: 2.5}), (Unmerged, {})])
def test_merged_losses_that_are_no_numbers_or_not_offered_are_absent(store, trainer, merged):
    seen = SegmentRunner(Workshop(trainer)).run(cut(store, LRS, 0, 22))
    assert seen.points[-1].merged == merged


@pytest.mark.parametrize("returned", [[1.0, 2.0], None, 2.5])
def test_a_trainer_that_returns_no_mapping_is_told_what_is_wanted(store, returned):
    class Other(SimulatedTrainer):
        def train(self, lrs):
            super().train(lrs)
            return returned

    failure = SegmentRunner(lambda *_: Other({}, seed=0, horizon=10)).run(cut(store, np.full(10, 0.01), 0, 10))
    assert failure.reason == (
        "train() must return a mapping of names to numbers, as {'train_loss': 2.5}, "
        f"but gave the {type(returned).__name__} {returned}."
    )


def test_an_error_inside_a_library_names_the_line_of_ones_own_code_too(store):
    class Wrong(SimulatedTrainer):
        def train(self, lrs):
            return json.loads("{")

    failure = SegmentRunner(lambda *_: Wrong({}, seed=0, horizon=10)).run(cut(store, np.full(10, 0.01), 0, 10))
    assert "(decoder.py:" in failure.reason
    assert ", called at test_execute.py:" in failure.reason


def test_names_of_metrics_are_text(store):
    class Odd(SimulatedTrainer):
        def train(self, lrs):
            return {**super().train(lrs), 3: 1.0}

    seen = SegmentRunner(lambda *_: Odd({}, seed=0, horizon=10)).run(cut(store, np.full(10, 0.01), 0, 10))
    assert seen.points[-1].metrics["3"] == 1.0
