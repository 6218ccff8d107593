"""`TuneCallback`: a script with a Lightning ``Trainer`` takes its LRs from a study, and says its losses to it.

::

    tune = TuneCallback()
    trainer = lightning.Trainer(max_epochs=…, callbacks=[tune])
    trainer.fit(module, loader, val_loader, ckpt_path=tune.checkpoint)

In a script that autosched has not started, it does nothing: the module's own scheduler works. In a study it sets the
Trainer's number of updates and the LR of every one, validates where the study wants a loss and nowhere else, and saves,
where the command has checkpoints, the Trainer's own checkpoint with the state of the random generators.

A run that goes on in the middle of an epoch needs a loader that knows its position, as Lightning says itself:
``torchdata``'s ``StatefulDataLoader``, or :class:`autosched.integrations.autolrs.RewindableLoader`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback

from autosched.attached import attach
from autosched.errors import UsageError
from autosched.integrations.autolrs_ranks import Ranks
from autosched.random_states import Generators

NEVER = 2**62
"""Batches between validations, when none is due."""


class TuneCallback(Callback):  # type: ignore[misc]
    """A study's hand in a ``Trainer``; see the module.

    Works with several processes, of ``torchrun`` or of ``Trainer(devices=…)``: all set the same LRs and stop at the
    same update, the first one reports. When a trial is ended, Lightning itself answers SIGTERM and stops after the
    batch at hand.

    Args:
        loss: the logged value that is the study's loss. None: ``val_loss`` where the Trainer validates, else the mean
            of what ``training_step`` returns.

    Attributes:
        attachment: what :func:`autosched.attach` gives.
        checkpoint: for ``fit(ckpt_path=…)``; None where a run begins and outside of studies.

    Raises:
        UsageError: from `fit`, of a module with several optimizers, one that has not logged the loss, or a checkpoint
            of another number of processes.
    """

    def __init__(self, loss: str | None = None) -> None:
        super().__init__()
        self.attachment = attach()
        self.checkpoint = self.attachment.checkpoint_in
        self._loss = loss
        self._random: Mapping[str, Any] | None = None
        self._everyone: list[Mapping[str, Any]] | None = None
        self._sum: Any = 0.0
        self._batches = 0
        self._done = 0

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Give the Trainer the study's number of updates."""
        told = self.attachment
        if told.stop is None or stage != "fit":
            return
        trainer.fit_loop.max_epochs, trainer.fit_loop.epoch_loop.max_steps = -1, told.stop
        trainer.check_val_every_n_epoch, trainer.val_check_interval = None, NEVER
        trainer.num_sanity_val_steps = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Take over the optimizer."""
        if not self.attachment.active:
            return
        if len(trainer.optimizers) != 1:
            raise UsageError(f"TuneCallback needs one optimizer, but the module has {len(trainer.optimizers)}.")
        self.attachment = attach(trainer.optimizers[0])
        self._done = trainer.global_step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Put the random generators where the checkpoint says, once all that loading it drew has been drawn."""
        if self._random is not None:
            Generators(pl_module).load(self._random)
            self._random = None

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Set the LR of the update that comes, whatever the module's own scheduler has set."""
        self.attachment(trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Validate, report and save where the study says."""
        if not self.attachment.active:
            return
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        self._sum, self._batches = self._sum + loss.detach(), self._batches + 1
        step, before = trainer.global_step, self._done
        self._done = step
        wanted = step != before and self.attachment.wants(step)
        trainer.val_check_batch = 1 if wanted else NEVER
        if wanted:
            if not trainer.enable_validation:
                self._report(trainer, self._sum / self._batches)
            self._sum, self._batches = 0.0, 0
        random = Generators(pl_module).state() if wanted else None  # validating draws numbers of its own
        if step == self.attachment.stop and self.attachment.checkpoint_out is not None:
            self._everyone = Ranks().gathered(Generators(pl_module).state())
            trainer.save_checkpoint(self.attachment.checkpoint_out)
            self._everyone = None
        self._random = random

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report the validation loss."""
        if self.attachment.active and not trainer.sanity_checking:
            self._report(trainer, None)

    def state_dict(self) -> dict[str, Any]:
        """For the Trainer's checkpoint."""
        return {"random": self._everyone} if self._everyone is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the Trainer's checkpoint."""
        if "random" not in state_dict or not self.attachment.active:
            return
        saved, ranks = state_dict["random"], Ranks()
        if len(saved) != ranks.count:
            raise UsageError(f"the checkpoint is of {len(saved)} processes, but {ranks.count} go on from it.")
        self._random = saved[ranks.rank]

    def _report(self, trainer: Any, mean: Any) -> None:
        loss = self._value(trainer, mean)
        if trainer.is_global_zero:  # processes that Lightning starts have no RANK among their variables
            self.attachment.report(trainer.global_step, loss)

    def _value(self, trainer: Any, mean: Any) -> float:
        """The study's loss, after an update; `mean` is that of the training losses, None after a validation."""
        name = self._loss or ("val_loss" if mean is None else None)
        if name is None:
            return float(mean)
        if name not in trainer.callback_metrics:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise UsageError(f"TuneCallback needs the logged value {name!r}, but the module has logged {logged}.")
        return float(trainer.callback_metrics[name])
