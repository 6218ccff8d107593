"""The random generators that a training loop draws from, so that a run that goes on or back draws the same again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn


class Generators:
    """Python's, numpy's and torch's global generators, the last on the CPU and on each CUDA device of the models.

    Their state is tensors, numbers and tuples of them, so that ``torch.load(weights_only=True)`` reads it.
    """

    def __init__(self, *models: nn.Module) -> None:
        devices = [one.device for model in models for one in model.parameters()]
        self._devices = sorted({device.index or 0 for device in devices if device.type == "cuda"})

    def state(self) -> dict[str, Any]:
        """Where all of them stand."""
        import torch

        name, keys, position, has_normal, normal = np.random.get_state()
        return {
            "python": random.getstate(),
            "numpy": (str(name), torch.from_numpy(np.array(keys, dtype=np.int64)), position, has_normal, normal),
            "torch": torch.get_rng_state(),
            "cuda": {device: torch.cuda.get_rng_state(device) for device in self._devices},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Put all of them where they stood; a CUDA device that has gone is left out."""
        import torch

        version, internal, normal = state["python"]
        random.setstate((version, tuple(internal), normal))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
        torch.set_rng_state(state["torch"].cpu())
        for device in self._devices:
            if device in state["cuda"]:
                torch.cuda.set_rng_state(state["cuda"][device].cpu(), device)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is drawn inside does not count outside."""
        before = self.state()
        try:
            yield
        finally:
            self.load(before)
