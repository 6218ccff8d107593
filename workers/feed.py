"""Training batches on the device: on a GPU the next one is copied while the current one is learned from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from autosched.randomness import key

Batch = tuple[Tensor, ...]
BatchOf = Callable[[int, Generator | None], Batch]
"""The batch of an update in main memory, a function of (seed, update): what is drawn with it comes from the generator,
or without one from the process's own random numbers, which are the update's."""


def update_seed(seed: int, step: int) -> int:
    """Of what is drawn in update `step`: dropout, noise of the data, what an optimizer draws."""
    return key(seed, "dropout", step)


class Feed:
    """The batches of some updates, one after another.

    On a GPU a batch goes through pinned memory on a stream of its own, so that neither this process nor the updates
    wait for it. What is drawn with it comes from a generator with the update's seed: the same numbers, drawn earlier.
    """

    def __init__(self, batch_of: BatchOf, device: torch.device, *, seed: int) -> None:
        self._batch_of, self._device, self._seed = batch_of, device, seed
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._prepared: dict[int, Batch] = {}

    def take(self, step: int) -> Batch:
        """The batch of update `step`, on the device."""
        if self._stream is None:
            return tuple(part.to(self._device) for part in self._batch_of(step, None))
        self.prepare(step)
        batch = self._prepared.pop(step)
        stream = torch.cuda.current_stream(self._device)
        stream.wait_stream(self._stream)
        for part in batch:
            part.record_stream(stream)  # its memory belongs to the stream that copied it
        return batch

    def prepare(self, step: int) -> None:
        """Begin to copy the batch of an update that comes next; nothing where there is no copy to wait for."""
        if self._stream is None or step in self._prepared:
            return
        noise = torch.Generator().manual_seed(update_seed(self._seed, step))
        parts = [part.pin_memory() for part in self._batch_of(step, noise)]
        with torch.cuda.stream(self._stream):
            self._prepared[step] = tuple(part.to(self._device, non_blocking=True) for part in parts)
