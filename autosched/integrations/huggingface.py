"""`TuneCallback`: a script with Hugging Face's ``Trainer`` takes its LRs from a study, and says its losses to it.

::

    tune = TuneCallback()
    trainer = Trainer(model, arguments, train_dataset=…, eval_dataset=…, callbacks=[tune])
    trainer.train(resume_from_checkpoint=tune.checkpoint)

In a script that autosched has not started, it does nothing: the ``Trainer`` keeps its own schedule. In a study it sets
the Trainer's number of updates and seed, the LR of every update, evaluates where the study wants a loss and nowhere
else, and saves, where the command has checkpoints, the Trainer's own checkpoint at the segment's end alone.

The model's initial weights are the script's affair: seed them by the command's ``{seed}``.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, set_seed

from autosched.attached import attach

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM ended."""


class TuneCallback(TrainerCallback):  # type: ignore[misc]
    """A study's hand in a ``Trainer``; see the module.

    Works under ``accelerate launch`` and ``torchrun``: every process sets the same LRs and stops at the same update,
    the first one reports. When its trial is ended, training stops after the update at hand and ``train`` returns; of
    several processes each exits there, since they may be at different updates.

    Args:
        loss: which of the logged values is the study's loss. None: ``eval_loss`` where `eval_strategy` is not "no",
            else the training ``loss``.

    Attributes:
        attachment: what :func:`autosched.attach` gives.
        checkpoint: for ``train(resume_from_checkpoint=…)``; None where a run begins and outside of studies.
    """

    def __init__(self, loss: str | None = None) -> None:
        self.attachment = attach()
        self.checkpoint = self.attachment.checkpoint_in
        self._loss = loss
        self._evaluates = False
        self._ended = False
        self._other_handler: Any = None

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give the Trainer the study's number of updates, seed and folder."""
        told = self.attachment
        if told.horizon is None or told.seed is None:
            return
        self._evaluates = args.eval_strategy != "no"
        self._loss = self._loss or ("eval_loss" if self._evaluates else "loss")
        args.max_steps = told.horizon
        args.seed, args.data_seed = told.seed, None
        args.output_dir = told.out
        args.load_best_model_at_end = args.save_only_model = False
        args.logging_nan_inf_filter = False  # it would hide that a run has diverged
        set_seed(told.seed)

    def on_train_begin(self, args: Any, state: Any, control: Any, *, optimizer: Any, **kwargs: Any) -> None:
        """Take over the optimizer."""
        if self.attachment.active:
            self.attachment = attach(optimizer)
            if threading.current_thread() is threading.main_thread():
                self._other_handler = signal.signal(signal.SIGTERM, self._end)

    def on_step_begin(self, args: Any, state: Any, control: Any, *, lr_scheduler: Any, **kwargs: Any) -> None:
        """Set the LR of the update that comes, whatever the Trainer's own scheduler has set; its logs then say it.

        DeepSpeed updates within the backward pass, so a later hook would come too late.
        """
        lr = self.attachment(state.global_step)
        if lr is not None:
            lr_scheduler._last_lr = [lr] * len(lr_scheduler.get_last_lr())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate, save and stop where the study says."""
        told, step = self.attachment, state.global_step
        if not told.active:
            return
        if self._ended and args.world_size > 1:
            raise SystemExit(TERMINATED)
        last = step == told.stop
        control.should_log = control.should_log or told.wants(step)
        control.should_evaluate = self._evaluates and told.wants(step)
        control.should_save = last and told.checkpoint_out is not None
        control.should_training_stop = last or self._ended

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """At the end of an epoch alone nothing is evaluated or saved."""
        if self.attachment.active:
            control.should_evaluate = control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, *, logs: Any = None, **kwargs: Any) -> None:
        """Report the loss."""
        if self._loss in (logs or {}) and self.attachment.wants(state.global_step):
            self.attachment.report(state.global_step, logs[self._loss])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Hand the checkpoint over, when every process has written its part."""
        told = self.attachment
        if self._other_handler is not None:
            signal.signal(signal.SIGTERM, self._other_handler)
        if told.checkpoint_out is None or state.global_step != told.stop:
            return
        _wait_for_all()
        if args.process_index == 0:
            Path(args.output_dir, f"checkpoint-{state.global_step}").rename(told.checkpoint_out)

    def _end(self, number: int, frame: Any) -> None:
        self._ended = True


def _wait_for_all() -> None:
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()
