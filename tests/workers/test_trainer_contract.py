"""The simulated trainer keeps the contract, and the contract notices each broken promise."""

import io
import os
import random
from dataclasses import replace

import numpy as np
import pytest

from autosched.testing.merging_contract import MergingContract
from autosched.testing.trainer_contract import TrainerCase, TrainerContract
from autosched.trainer import Diverged
from workers.registry import make_trainer
from workers.simulated import SimulatedTrainer

CASE = TrainerCase(
    factory=make_trainer,
    use="simulated",
    options={"noise": 0.0},
    other={"noise": 0.0, "gain": 30.0},
    faulty=[{"unit": 0.0}, {"noise": -0.1}, {"fail_at": 2.5}, {"no_such_option": 1}],
)


class TestSimulated(TrainerContract, MergingContract):
    @pytest.fixture
    def case(self) -> TrainerCase:
        return CASE


class MiscountsSteps(SimulatedTrainer):
    @property
    def step(self):
        return super().step // 2


class ForgetsSteps(SimulatedTrainer):
    def load(self, file):
        super().load(file)
        self._step = 0


class EvaluatesByTraining(SimulatedTrainer):
    def evaluate(self):
        self._area += 1e-6
        return super().evaluate()


class DrawsWhileEvaluating(SimulatedTrainer):
    def evaluate(self):
        random.random()
        return super().evaluate()


class TrainsOnTheSharedStream(SimulatedTrainer):
    def train(self, lrs):
        return super().train(lrs * (1.0 + 1e-3 * random.random()))


class ForgetsItsHeat(SimulatedTrainer):
    def load(self, file):
        super().load(file)
        self._heat = 0.0


class StartsWhereItWas(SimulatedTrainer):
    def start(self):
        area = getattr(self, "_area", 0.0)
        super().start()
        self._area = area


class LooksAtTheCut(SimulatedTrainer):
    def train(self, lrs):
        self._area += 1e-6
        return super().train(lrs)


class UsesTheFirstLrOnly(SimulatedTrainer):
    def train(self, lrs):
        return super().train(np.full(len(lrs), lrs[0] if len(lrs) else 0.0))


class HasALrOfItsOwn(SimulatedTrainer):
    def train(self, lrs):
        return super().train(np.full(len(lrs), 0.01))


class ReportsSums(SimulatedTrainer):
    def train(self, lrs):
        return {"train_loss": super().train(lrs)["train_loss"] * len(lrs)}


class IgnoresItsSeed(SimulatedTrainer):
    def __init__(self, options, *, seed, horizon):
        super().__init__(options, seed=0, horizon=horizon)


class SavesByTraining(SimulatedTrainer):
    def save(self, file):
        self._heat *= 0.999
        super().save(file)


class LoadsAnything(SimulatedTrainer):
    def load(self, file):
        pass


class TrustsEveryFile(SimulatedTrainer):
    def load(self, file):
        content = file.read()
        try:
            super().load(io.BytesIO(content))
        except Exception:
            self._step = len(content)


class SaysNothing(SimulatedTrainer):
    def train(self, lrs):
        try:
            return super().train(lrs)
        except Diverged:
            return {"train_loss": float("nan")}


class AllowsEverything(SimulatedTrainer):
    def __init__(self, options, *, seed, horizon):
        super().__init__({}, seed=seed, horizon=horizon)

    @staticmethod
    def check_options(options):
        pass


class TiedToItsProcess(SimulatedTrainer):
    def evaluate(self):
        return super().evaluate() + os.getpid()


def make_tied(use, options, seed, horizon):
    return TiedToItsProcess(options, seed=seed, horizon=horizon)


def case_of(trainer):
    return replace(CASE, factory=lambda use, options, seed, horizon: trainer(options, seed=seed, horizon=horizon))


@pytest.mark.parametrize(
    ("trainer", "promise"),
    [
        (MiscountsSteps, "test_steps_are_counted"),
        (ForgetsSteps, "test_a_saved_run_goes_on_in_a_fresh_trainer"),
        (ForgetsSteps, "test_loading_replaces_a_run_that_has_gone_further"),
        (EvaluatesByTraining, "test_evaluating_changes_nothing"),
        (DrawsWhileEvaluating, "test_evaluating_changes_nothing"),
        (TrainsOnTheSharedStream, "test_the_same_seed_and_lrs_give_the_same_losses"),
        (TrainsOnTheSharedStream, "test_the_process_random_streams_do_not_matter"),
        (ForgetsItsHeat, "test_a_saved_run_goes_on_in_a_fresh_trainer"),
        (StartsWhereItWas, "test_starting_again_is_starting_afresh"),
        (StartsWhereItWas, "test_after_a_refused_checkpoint_it_starts_afresh"),
        (LooksAtTheCut, "test_training_on_no_lrs_does_nothing"),
        (UsesTheFirstLrOnly, "test_means_are_those_of_the_single_updates"),
        (HasALrOfItsOwn, "test_an_lr_of_zero_leaves_the_validation_loss_as_it_is"),
        (HasALrOfItsOwn, "test_the_lr_matters_from_the_first_update_on"),
        (ReportsSums, "test_means_are_those_of_the_single_updates"),
        (IgnoresItsSeed, "test_another_seed_gives_other_losses"),
        (IgnoresItsSeed, "test_a_checkpoint_of_another_run_is_refused"),
        (SavesByTraining, "test_saving_changes_nothing"),
        (LoadsAnything, "test_a_file_that_is_no_checkpoint_is_refused"),
        (TrustsEveryFile, "test_a_truncated_checkpoint_is_refused"),
        (TrustsEveryFile, "test_a_flipped_bit_is_refused_or_harmless"),
        (SaysNothing, "test_a_huge_lr_ends_in_a_divergence_or_in_finite_losses"),
        (AllowsEverything, "test_a_faulty_option_is_refused_in_one_line"),
    ],
)
def test_a_broken_promise_is_noticed(trainer, promise):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(TrainerContract(), promise)(case_of(trainer))


@pytest.mark.parametrize("trainer", [LooksAtTheCut, UsesTheFirstLrOnly])
def test_a_run_that_depends_on_its_cuts_is_noticed(trainer):
    with pytest.raises(AssertionError):
        TrainerContract().test_how_a_run_is_cut_changes_no_bit(case_of(trainer), [5])


@pytest.mark.slow
def test_a_run_that_goes_on_in_another_way_elsewhere_is_noticed(tmp_path):
    with pytest.raises(AssertionError) as info:
        TrainerContract().test_a_saved_run_goes_on_in_another_process(replace(CASE, factory=make_tied), tmp_path)
    assert "Traceback" not in str(info.value)  # the other process ran, and came to another result
