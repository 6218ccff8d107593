"""Every optimizer keeps the trainer contract on both torch trainers."""

import io

import numpy as np
import pytest

from autosched.testing.trainer_contract import (
    TrainerCase,
    TrainerContract,
    disturb_random_streams,
    losses_of,
    random_streams,
    saved,
)
from workers.optimizers.packaged import Packaged
from workers.optimizers.registry import METHODS, PACKAGED, packaged_names
from workers.registry import make_trainer

SMALL = {
    "gpt": {"layers": 1, "width": 16, "heads": 2, "context": 8, "batch": 2, "eval_batches": 1, "vocabulary": 256},
    "vision": {"width": 4, "batch": 8},
}
FREE = ("prodigy", "dadaptation", "dog", "ldog")
"""The schedule's LR is a factor of their own step."""
SOONER = {
    "prodigy": {"d0": 1e-3},
    "dadaptation": {"d0": 1e-3},
    "dog": {"reps_rel": 1e-3},
    "ldog": {"reps_rel": 1e-3},
    "hypergradient": {"rate": 1e-5},
    "volsched": {"period": 1, "window": 2},
    "tempbalance": {"every": 2},
}
"""Options with which a method does within six updates what it otherwise does in hundreds."""
BASELINES = [*(name for name in METHODS if name not in ("adamw", "sgd")), *PACKAGED, "muon", "soap"]
LR = {"adammini": 1e-3}
"""Where the package's own default is too high to train with."""
IDLE = {"soap": 1}
"""Updates that move nothing as published: SOAP's first gradient only says what its bases are."""


class TestOptimizers(TrainerContract):
    # what depends on the trainers and not on the optimizer is tested with the trainers
    test_steps_are_counted = None
    test_training_on_no_lrs_does_nothing = None
    test_starting_again_is_starting_afresh = None
    test_after_a_refused_checkpoint_it_starts_afresh = None
    test_sound_options_pass_the_check = None
    test_the_same_seed_and_lrs_give_the_same_losses = None
    test_the_process_random_streams_do_not_matter = None
    test_means_are_those_of_the_single_updates = None
    test_another_seed_gives_other_losses = None
    test_a_file_that_is_no_checkpoint_is_refused = None
    test_a_truncated_checkpoint_is_refused = None
    test_a_flipped_bit_is_refused_or_harmless = None
    test_a_saved_run_goes_on_in_another_process = None

    @pytest.mark.parametrize("cuts", [[1, 3]])
    def test_how_a_run_is_cut_changes_no_bit(self, case: TrainerCase, cuts: list[int]) -> None:
        super().test_how_a_run_is_cut_changes_no_bit(case, cuts)

    @pytest.fixture(params=[(use, name) for use in SMALL for name in BASELINES], ids="-".join)
    def case(self, request: pytest.FixtureRequest) -> TrainerCase:
        use, name = request.param
        options = {**SMALL[use], "device": "cpu", "optimizer": {"use": name, "with": SOONER.get(name, {})}}
        return TrainerCase(
            factory=make_trainer,
            use=use,
            options=options,
            other={**options, "optimizer": "adamw"},
            faulty=[
                {"optimizer": {"use": name, "with": {"no_such_option": 1}}},
                {"optimizer": {"use": name, "width": 1}},
            ],
            lrs=np.geomspace(1.0, 0.5, 6) if name in FREE else np.geomspace(1e-2, 5e-3, 6),
        )

    def test_the_lr_matters_from_the_first_update_on(self, case: TrainerCase) -> None:
        finals = []
        for factor in (1.0, 0.5):
            trainer = case.started()
            trainer.train(case.lrs[: 1 + IDLE.get(case.options["optimizer"]["use"], 0)] * factor)
            finals.append(trainer.evaluate())
        assert finals[0] != finals[1]


@pytest.mark.parametrize("use", SMALL)
@pytest.mark.parametrize("name", [name for name in packaged_names() if name not in BASELINES])
def test_every_optimizer_of_the_package_goes_on_from_its_checkpoint_and_rests_at_an_lr_of_zero(use: str, name: str):
    options = {"d0": 1e-4} if name.startswith("dadapt") else {}

    def made():
        return make_trainer(use, {**SMALL[use], "device": "cpu", "optimizer": {"use": name, "with": options}}, 0, 6)

    trainer, lrs = made(), LR.get(name, Packaged(name=name).lr) * np.geomspace(1.0, 0.5, 6)
    trainer.start()
    begun = trainer.evaluate()
    trainer.train(np.zeros(2))
    assert trainer.evaluate() == begun
    trainer.train(lrs[:2])
    disturb_random_streams()
    streams = random_streams()
    file, expected = io.BytesIO(saved(trainer)), losses_of(trainer, lrs[2:])
    assert random_streams() == streams
    assert expected[-1] != begun
    fresh = made()
    fresh.load(file)
    assert losses_of(fresh, lrs[2:]) == expected
