"""The suite every `MergingTrainer` passes besides that of every trainer.

Subclass both with one fixture ``case`` (see :mod:`autosched.testing.trainer_contract`)::

    class TestMlp(TrainerContract, MergingContract):
        ...
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from autosched.testing.trainer_contract import TrainerCase, losses_of, random_streams, saved
from autosched.trainer import MergingTrainer, Trainer
from autosched.trainer.values import as_loss


def merged_losses(trainer: Trainer) -> dict[int, float]:
    """The merged losses of a trainer that must have them."""
    assert isinstance(trainer, MergingTrainer)
    return {window: as_loss(loss) for window, loss in trainer.evaluate_merged().items()}


class MergingContract:
    """What the engine relies on where a trainer evaluates means of its last weights."""

    def test_a_fresh_model_has_no_merged_losses(self, case: TrainerCase) -> None:
        assert merged_losses(case.started()) == {}

    def test_merged_losses_are_those_of_windows_that_the_run_has_had(self, case: TrainerCase) -> None:
        trainer = case.started()
        for step in range(1, len(case.lrs) + 1):
            trainer.train(case.lrs[step - 1 : step])
            assert all(1 <= window <= step for window in merged_losses(trainer))
        assert merged_losses(trainer) != {}

    def test_a_window_of_one_update_is_the_run_itself(self, case: TrainerCase) -> None:
        trainer, seen = case.started(), 0
        for start in range(3):
            trainer.train(case.lrs[start : start + 1])
            merged = merged_losses(trainer)
            seen += 1 in merged
            assert merged.get(1, as_loss(trainer.evaluate())) == as_loss(trainer.evaluate())
        assert seen > 0

    def test_how_a_run_is_cut_changes_no_merged_loss(self, case: TrainerCase) -> None:
        whole, parts = case.started(), case.started()
        whole.train(case.lrs)
        for start, stop in ((0, 1), (1, 4), (4, 6), (6, len(case.lrs))):
            parts.train(case.lrs[start:stop])
            merged_losses(parts)
        assert merged_losses(parts) == merged_losses(whole)

    def test_a_saved_run_goes_on_with_the_same_merged_losses(self, case: TrainerCase) -> None:
        trainer, fresh = case.started(), case.make()
        for stop in (3, len(case.lrs) - 1):
            trainer.train(case.lrs[trainer.step : stop])
            fresh.load(io.BytesIO(saved(trainer)))
            assert merged_losses(fresh) == merged_losses(trainer)
            for each in (trainer, fresh):
                each.train(case.lrs[stop : stop + 1])
            assert merged_losses(fresh) == merged_losses(trainer)

    def test_merging_changes_nothing(self, case: TrainerCase) -> None:
        trainer, expected, seen = case.started(), losses_of(case.started(), case.lrs), []
        for start in range(len(case.lrs)):
            streams, file = random_streams(), saved(trainer)
            first: Mapping[int, float] = merged_losses(trainer)
            assert merged_losses(trainer) == first
            assert (random_streams(), saved(trainer)) == (streams, file)
            seen += losses_of(trainer, case.lrs[start : start + 1])[:1]
        assert [*seen, as_loss(trainer.evaluate())] == expected
