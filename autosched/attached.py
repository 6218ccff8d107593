"""One line in a training loop: the LRs of the study that has started the script, and the losses back to it.

::

    lr = autosched.attach(optimizer)
    for step in range(steps):
        lr(step)                        # sets the LR of update `step`
        ...
        lr.report(step + 1, loss)       # the loss after so many updates

With checkpoints, ``lr.load(model, optimizer)`` before the loop and ``lr.save(model, optimizer)`` after it, which goes
from ``lr.start or 0`` up to ``lr.stop or steps``. In a script that autosched has not started, none does anything. This
module imports the standard library only; torch is imported where there is a checkpoint to load or save.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ATTACHMENT = "AUTOSCHED_ATTACHMENT"
"""Environment variable: the file that a study has left for the scripts of a command."""


class Attachment:
    """What :func:`attach` gives.

    Attributes:
        active: whether a study has started the script.
        start, stop: the updates to train, from `start` up to, but not including, `stop`; None outside of a study.
        horizon: updates of the whole run; None outside of a study.
        eval_every: updates between the losses that the study wants; None outside of a study.
        seed: for the initial weights and the batches; None outside of a study.
        checkpoint_in: what to go on from; None at update 0, in a command without checkpoints, and outside of a study.
        checkpoint_out: where to save at `stop`; None where nothing is to be saved.
        out: a folder for the script's files, removed with it; None outside of a study.
    """

    def __init__(self, told: Mapping[str, Any] | None, optimizer: Any = None) -> None:
        told = told or {}
        self.active = bool(told)
        self.start: int | None = told.get("start")
        self.stop: int | None = told.get("stop")
        self.horizon: int | None = told.get("horizon")
        self.eval_every: int | None = told.get("eval_every")
        self.seed: int | None = told.get("seed")
        self.checkpoint_in: str | None = told.get("checkpoint_in") or None
        self.checkpoint_out: str | None = told.get("checkpoint_out") or None
        self.out: str | None = told.get("out")
        self._lrs: list[float] = told.get("lrs") or []
        self._reports: str | None = told.get("reports")
        self._optimizer = optimizer
        self._ratios = None if optimizer is None else _ratios(optimizer)
        self._asked = False

    def __call__(self, step: int, own: float | None = None) -> float | None:
        """The LR of update `step`, counted from 0; with an optimizer it is set there, in all groups in proportion.

        Args:
            own: the LR that the script would use; it comes back outside of a study, where nothing is set.

        Raises:
            ValueError: a step beyond the run. The one just after its last update has the last LR, because schedulers
                look one update ahead.
        """
        if not self.active:
            return own
        if not 0 <= step <= len(self._lrs):
            raise ValueError(f"step must be from 0 to {len(self._lrs)}, the updates of the run, but got {step}.")
        lr = self._lrs[min(step, len(self._lrs) - 1)]
        if not self._asked:
            self._asked = True
            self._write({"asked": True})
        if self._optimizer is not None:
            for group, ratio in zip(self._optimizer.param_groups, self._ratios or (), strict=True):
                group["lr"] = lr * ratio
        return lr

    def wants(self, step: int) -> bool:
        """Whether the study wants a loss after `step` updates: every `eval_every`, and at the end of the run."""
        return self.eval_every is not None and (step % self.eval_every == 0 or step == self.horizon)

    def report(self, step: int, loss: Any) -> None:
        """Tell the loss after `step` updates; of several processes the first does, the others' calls do nothing."""
        self._write({"step": int(step), "loss": float(loss)})

    def load(self, *parts: Any) -> None:
        """Put the model, the optimizer and whatever else has a ``load_state_dict`` where :meth:`save` found them.

        The global random generators of Python, numpy and torch go there, too. At update 0 and outside of a study
        nothing happens.

        Raises:
            ValueError: there were other parts.
        """
        if self.checkpoint_in is None:
            return
        import torch

        file = self._own_file(self.checkpoint_in)
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if len(saved["parts"]) != len(parts):
            raise ValueError(f"load must have the {len(saved['parts'])} parts that save had, but got {len(parts)}.")
        for part, state in zip(parts, saved["parts"], strict=True):
            part.load_state_dict(state)
        self._generators(parts).load(saved["random"])

    def save(self, *parts: Any) -> None:
        """Save what :meth:`load` takes, at the end of the loop; of several processes each saves its own."""
        if self.checkpoint_out is None:
            return
        import torch

        file = self._own_file(self.checkpoint_out)
        file.parent.mkdir(exist_ok=True)
        states = [part.state_dict() for part in parts]
        torch.save({"parts": states, "random": self._generators(parts).state()}, file)

    @staticmethod
    def _own_file(folder: str) -> Path:
        return Path(folder, f"rank-{os.environ.get('RANK', '0')}.pt")

    @staticmethod
    def _generators(parts: tuple[Any, ...]) -> Any:
        from autosched.random_states import Generators

        return Generators(*(part for part in parts if hasattr(part, "parameters")))

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._reports is not None and os.environ.get("RANK", "0") == "0":
            with Path(self._reports).open("a") as file:  # one write, so that a reader sees whole lines
                file.write(json.dumps(line) + "\n")


def attach(optimizer: Any = None) -> Attachment:
    """The LRs of the study that has started this script; see the module.

    Args:
        optimizer: of torch, or with the same ``param_groups``. Calls set the LR of every group; the groups keep the
            ratios that they have now, or had before a scheduler of torch set their LRs.

    Raises:
        ValueError: an optimizer whose first group has the LR 0, so that there are no ratios.

    Example:
        >>> lr = attach()
        >>> lr(0, 0.001)                # outside of a study: the script's own
        0.001
        >>> lr.report(1, 2.5)
    """
    path = os.environ.get(ATTACHMENT)
    return Attachment(json.loads(Path(path).read_text()) if path else None, optimizer)


def _ratios(optimizer: Any) -> list[float]:
    lrs = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    largest = max(lrs)
    if not largest > 0:
        raise ValueError(f"the optimizer's groups must have LRs above 0, whose ratios are kept, but have {lrs}.")
    return [lr / largest for lr in lrs]
