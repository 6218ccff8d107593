import math

import numpy as np
import pytest

from autosched.errors import UsageError
from autosched.testing.merging_contract import MergingContract
from autosched.testing.trainer_contract import TrainerCase, TrainerContract, losses_of
from autosched.trainer import Diverged
from workers.registry import make_trainer
from workers.vision import VisionTrainer

SMALL = {"width": 4, "batch": 8, "device": "cpu"}


def small(seed: int = 0, **options) -> VisionTrainer:
    trainer = VisionTrainer({**SMALL, **options}, seed=seed, horizon=10)
    trainer.start()
    return trainer


class TestVision(TrainerContract, MergingContract):
    @pytest.fixture(params=["adamw", "sgd"])
    def case(self, request: pytest.FixtureRequest) -> TrainerCase:
        options = {**SMALL, "optimizer": request.param, "dropout": 0.2, "average_windows": [0.2, 0.5]}
        return TrainerCase(
            factory=make_trainer,
            use="vision",
            options=options,
            other={**options, "label_noise": 0.0},
            faulty=[{"optimizer": "nope"}, {"momentum": 1.0}, {"width": "4"}, {"no_such_option": 1}],
        )


def test_a_fresh_network_guesses_evenly():
    assert small().evaluate() == pytest.approx(math.log(10), rel=1e-6)


@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 0.01), ("sgd", 0.1)])
def test_a_hundred_updates_learn_the_digits(optimizer, lr):
    trainer = small(optimizer=optimizer, width=8, batch=32)
    trainer.train(np.full(100, lr))
    assert trainer.evaluate() < 1.0


def test_label_noise_changes_what_is_learned_but_not_the_validation_labels():
    clean, noisy = small(label_noise=0.0, batch=32), small(label_noise=0.5, batch=32)
    assert clean.evaluate() == noisy.evaluate()
    for trainer in (clean, noisy):
        trainer.train(np.full(100, 0.01))
    assert clean.evaluate() < noisy.evaluate()


def test_evaluation_is_without_dropout():
    dropping = small(dropout=0.9)
    dropping.train(np.full(20, 0.01))
    assert dropping.evaluate() == dropping.evaluate()


def test_gradients_are_clipped_before_the_update_and_reported_as_they_were():
    free, clipped = (small(optimizer="sgd", clip=clip, weight_decay=0.0) for clip in (0.0, 1e-6))
    norms = [trainer.train(np.array([0.1]))["grad_norm"] for trainer in (free, clipped)]
    assert norms[0] == norms[1] > 0.01
    assert abs(clipped.evaluate() - math.log(10)) < 1e-5 < abs(free.evaluate() - math.log(10))


def test_momentum_counts_for_sgd():
    losses = [losses_of(small(optimizer="sgd", momentum=momentum), np.full(5, 0.1)) for momentum in (0.0, 0.9)]
    assert losses[0] != losses[1]


def test_bfloat16_trains_on_a_cpu():
    exact, half = (losses_of(small(dtype=dtype), np.full(10, 0.01)) for dtype in ("float32", "bfloat16"))
    assert exact != half
    np.testing.assert_allclose(half, exact, atol=0.1)


def test_a_run_with_an_absurd_lr_diverges():
    with pytest.raises(Diverged, match=r"at update \d+$"):
        small(optimizer="sgd", clip=0.0).train(np.full(50, 1e6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "vision trainer: width must be a whole number >= 1, but got 0"),
        (
            {"optimizer": "nope"},
            "optimizer must be one of adamw, sgd, .*, or {use: NAME, with: {…}}, but got 'nope'",
        ),
        ({"label_noise": -0.1}, r"label_noise must be a number in \[0, 1\), but got -0.1"),
        ({"context": 64}, "unknown option 'context'; allowed are width, batch"),
    ],
)
def test_a_faulty_option_is_named_with_what_is_allowed(options, message):
    with pytest.raises(UsageError, match=message):
        VisionTrainer.check_options(options)
    with pytest.raises(UsageError, match=message):
        VisionTrainer(options, seed=0, horizon=1)
