"""Every optimizer keeps the trainer contract on both torch trainers."""

import numpy as np
import pytest

from autosched.testing.trainer_contract import TrainerCase, TrainerContract
from workers.optimizers.registry import METHODS
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
}
"""Options with which a method does within 12 updates what it otherwise does in hundreds."""
BASELINES = [name for name in METHODS if name not in ("adamw", "sgd")]


class TestOptimizers(TrainerContract):
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
            lrs=np.geomspace(1.0, 0.5, 12) if name in FREE else np.geomspace(1e-2, 5e-3, 12),
        )
