"""Snapshots of a training run: everything that an update changes, copied, kept somewhere, and put back bit for bit.

A snapshot is ``{"common": ..., "own": ...}``: what all ranks of a distributed run have in common (the state dicts of
the model, the optimizer and whatever else), and what each rank has of its own (random generators, data position,
buffers: batch statistics are a rank's own, and a state dict may leave some out).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autosched.errors import CheckpointError, UsageError
from autosched.integrations.autolrs_data import Feed
from autosched.random_states import Generators

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Snapshot = dict[str, Any]


class Stateful(Protocol):
    """Anything that can be put back: a scheduler, a gradient scaler, an average of weights, a metric."""

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Put it where it stood."""


def copied(tree: Any, device: str | None = None) -> Any:
    """A deep copy that shares no memory with `tree`; tensors go to `device`, or stay where they are."""
    import torch

    if isinstance(tree, torch.Tensor):
        own = tree.detach()
        return own.clone() if device is None else own.to(device, copy=True)
    if isinstance(tree, dict):
        twin = copy.copy(tree)  # an OrderedDict with the versions that modules leave on it stays one
        for name, value in tree.items():
            twin[name] = copied(value, device)
        return twin
    if type(tree) in (list, tuple):
        return type(tree)(copied(value, device) for value in tree)
    return copy.deepcopy(tree)


class Training:
    """The parts of a run that are rewound together.

    Args:
        others: by name; a scheduler, a scaler and the like.
        many: whether there are other ranks.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        others: Mapping[str, Stateful],
        feed: Feed,
        rng: Generators,
        *,
        many: bool,
    ) -> None:
        self._model, self._optimizer, self._others, self._many = model, optimizer, dict(others), many
        self._feed, self._rng = feed, rng
        for name, part in self._others.items():
            if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
                raise UsageError(f"{name} must have state_dict and load_state_dict, but {type(part).__name__} has not.")

    @property
    def names(self) -> list[str]:
        """Of the parts that have a state dict."""
        return ["model", "optimizer", *self._others]

    def present(self) -> Snapshot:
        """The run as it is now; tensors are not copied, so the next update changes it."""
        common = {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()}
        common |= {name: part.state_dict() for name, part in self._others.items()}
        own = {"buffers": self._buffers(common["model"]), "data": self._feed.state(), "rng": self._rng.state()}
        return {"common": common, "own": own}

    def restore(self, snapshot: Snapshot) -> None:
        """Put everything back; the snapshot stays as it is. Gradients are dropped."""
        common, own = snapshot["common"], snapshot["own"]
        self._model.load_state_dict(common["model"])
        for name, buffer in self._buffers(common["model"]).items():
            if name in own["buffers"]:
                buffer.data = own["buffers"][name].to(buffer.device, copy=True)  # it may have changed its shape
        self._restore_optimizer(copied(common["optimizer"]))
        for name, part in self._others.items():
            part.load_state_dict(copied(common[name]))
        self._feed.load(copied(own["data"]))
        self._rng.load(own["rng"])

    def _buffers(self, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are not, or not this rank's, in what is saved of the model."""
        return {name: buffer for name, buffer in self._model.named_buffers() if self._many or name not in saved}

    def _restore_optimizer(self, saved: dict[str, Any]) -> None:
        """Torch casts the optimizer's tensors to the dtype of their parameters; what was kept in another one goes back.

        What it does not cast it keeps as it is, so `saved` must be a copy that nobody else has.
        """
        import torch

        self._optimizer.zero_grad(set_to_none=True)
        self._optimizer.load_state_dict(saved)
        loaded = self._optimizer.state_dict()["state"]
        for index, entries in saved["state"].items():
            for name, value in entries.items() if isinstance(entries, dict) else ():
                if isinstance(value, torch.Tensor) and loaded[index][name].dtype != value.dtype:
                    loaded[index][name] = value.to(loaded[index][name].device)


class Shelf:
    """Where snapshots are kept, by name.

    Args:
        place: ``device``, beside what they are of; ``cpu``, in main memory; or a folder, for one file each.
        rank: part of the file names, as ranks may share the folder.
    """

    def __init__(self, place: str | Path, rank: int) -> None:
        self._folder = None if place in ("device", "cpu") else Path(place)
        self._device = "cpu" if place == "cpu" else None
        self._rank = rank
        self._held: dict[str, Snapshot | Path] = {}
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def names(self) -> list[str]:
        """Of the snapshots that are held."""
        return list(self._held)

    def put(self, name: str, snapshot: Snapshot) -> None:
        """Keep a copy.

        Raises:
            CheckpointError: it cannot be written.
        """
        if self._folder is None:
            self._held[name] = copied(snapshot, self._device)
            return
        import torch

        path = self._folder / f"autolrs-{name.replace(' ', '-')}-rank{self._rank}.pt"
        try:
            torch.save(snapshot, path)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(f"{path}: the snapshot cannot be written: {error}") from error
        self._held[name] = path

    def get(self, name: str) -> Snapshot:
        """A snapshot that is held; not to be changed.

        Raises:
            CheckpointError: its file is gone or damaged.
        """
        held = self._held[name]
        if not isinstance(held, Path):
            return held
        import torch

        try:
            snapshot: Snapshot = torch.load(held, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file makes torch raise almost anything
            raise CheckpointError(f"{held}: the snapshot is gone or damaged ({type(error).__name__}).") from error
        return snapshot

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        held = self._held.pop(name)
        if isinstance(held, Path):
            held.unlink(missing_ok=True)

    def clear(self) -> None:
        """Keep nothing."""
        for name in self.names:
            self.drop(name)
