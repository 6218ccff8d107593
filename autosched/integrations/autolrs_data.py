"""Where a training run takes its batches from, and how that is rewound.

A feed gives the next batch, tells its position, and goes back to one. Which one fits is told from what a person gives:

    what is given                                    how it is rewound
    an object with `state_dict`, `load_state_dict`   by these (`RewindableLoader`, torchdata's `StatefulDataLoader`)
    an iterable with `seek(batches)`                 by that
    a function of the batch's number                 it is asked again
    a map-style `DataLoader`, a list                 the epoch is opened with the same random state, batches are skipped
    any other iterable, or nothing                   not at all
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from autosched.errors import UsageError
from autosched.random_states import Generators

_END = object()


class Feed(Protocol):
    """Gives batches.

    Attributes:
        fault: why it is not rewound, or empty.
        own_loop: whether it also works when a person's loop iterates over the data without asking the feed.
        taken: whether it was asked for a batch yet.
    """

    fault: str
    own_loop: bool
    taken: bool

    def take(self) -> Any:
        """The next batch; epochs follow each other without end."""

    def state(self) -> dict[str, Any]:
        """Its position: tensors, numbers and texts."""

    def load(self, state: dict[str, Any]) -> None:
        """Go back to a position."""


def feed_of(data: Any, rng: Generators) -> Feed:
    """The feed that fits what a person gave.

    Raises:
        UsageError: nothing fits.
    """
    if data is None:
        return NoFeed()
    if hasattr(data, "state_dict") and hasattr(data, "load_state_dict"):
        return StatefulFeed(data, rng)
    if hasattr(data, "seek") and hasattr(data, "__iter__"):
        return CountedFeed(data, data.seek)
    if _can_be_replayed(data):
        return ReplayedFeed(data, rng)
    if hasattr(data, "__iter__"):
        fault = f"a {type(data).__name__} cannot be rewound"
        return CountedFeed(data, None, fault)
    if callable(data):
        return CountedFeed(_Numbered(data), lambda number: None)
    raise UsageError(f"data must be an iterable of batches or a function of their number, but got {data!r:.80}.")


def _can_be_replayed(data: Any) -> bool:
    from torch.utils.data import DataLoader, IterableDataset

    if isinstance(data, DataLoader):
        return not isinstance(data.dataset, IterableDataset)
    return isinstance(data, Sequence)


class NoFeed:
    """Nobody said where the batches come from."""

    fault = "no data was given"
    own_loop = True
    taken = False

    def take(self) -> Any:
        """There is nothing to take."""
        raise UsageError("batches() needs data: AutoLRS(model, optimizer, data, ...).")

    def state(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing goes back."""


class StatefulFeed:
    """Data that knows its own position."""

    fault = ""
    own_loop = True

    def __init__(self, data: Any, rng: Generators) -> None:
        self._data, self._rng = data, rng
        self._iterator: Iterator[Any] | None = None
        self._again = False
        self.taken = False

    def take(self) -> Any:
        """See :class:`Feed`."""
        self.taken = True
        for _ in range(3):  # the first may be at the end of its epoch, the second end one that was restored there
            if self._iterator is None:
                self._iterator = self._open()
            batch = next(self._iterator, _END)
            if batch is not _END:
                return batch
            self._iterator = None
        raise UsageError("data has no batches.")

    def _open(self) -> Iterator[Any]:
        if not self._again:
            return iter(self._data)
        self._again = False
        with self._rng.kept():  # the epoch was opened before, and drew its random numbers then
            return iter(self._data)

    def state(self) -> dict[str, Any]:
        """See :class:`Feed`."""
        with self._rng.kept():
            return {"data": self._data.state_dict(), "open": self._iterator is not None or self._again}

    def load(self, state: dict[str, Any]) -> None:
        """See :class:`Feed`."""
        self._iterator, self._again = None, bool(state["open"])
        self._data.load_state_dict(state["data"])


class CountedFeed:
    """Data whose position is the number of batches taken since the start of the run.

    Args:
        seek: goes to a position, and the data's next iterator starts there; None where nothing can.
    """

    own_loop = False

    def __init__(self, data: Iterable[Any], seek: Callable[[int], Any] | None, fault: str = "") -> None:
        self._data, self._seek, self.fault = data, seek, fault
        self._iterator: Iterator[Any] | None = None
        self._count = 0
        self.taken = False

    def take(self) -> Any:
        """See :class:`Feed`."""
        self.taken = True
        if isinstance(self._data, _Numbered):
            self._count += 1
            return self._data.function(self._count - 1)
        for _ in range(2):
            if self._iterator is None:
                self._iterator = iter(self._data)
            batch = next(self._iterator, _END)
            if batch is not _END:
                self._count += 1
                return batch
            self._iterator = None
        raise UsageError(f"data has no more batches after {self._count}: it must be iterable again, epoch after epoch.")

    def state(self) -> dict[str, Any]:
        """See :class:`Feed`."""
        return {"count": self._count}

    def load(self, state: dict[str, Any]) -> None:
        """See :class:`Feed`."""
        if self._seek is not None:
            self._seek(state["count"])
            self._iterator = None
        self._count = state["count"]


class _Numbered:
    """A function of the batch's number."""

    def __init__(self, function: Callable[[int], Any]) -> None:
        self.function = function

    def __iter__(self) -> Iterator[Any]:
        raise UsageError("a function of the batch's number is called, not iterated over.")


class ReplayedFeed:
    """Data whose epochs follow from the random state at their start, as those of a map-style `DataLoader` do."""

    fault = ""
    own_loop = False

    def __init__(self, data: Any, rng: Generators) -> None:
        self._data, self._rng = data, rng
        self._iterator: Iterator[Any] | None = None
        self._epoch = self._batch = 0
        self._begun: dict[str, Any] | None = None
        self.taken = False

    def take(self) -> Any:
        """See :class:`Feed`."""
        self.taken = True
        if self._iterator is None:
            self._iterator = self._open() if self._begun is None else self._open_again()
        batch = next(self._iterator, _END)
        if batch is _END:
            self._epoch, self._batch = self._epoch + 1, 0
            self._iterator = self._open()
            batch = next(self._iterator, _END)
        if batch is _END:
            raise UsageError("data has no batches.")
        self._batch += 1
        return batch

    def _open(self) -> Iterator[Any]:
        self._begun = {"rng": self._rng.state(), "generators": [one.get_state() for one in self._generators()]}
        return self._epoch_iterator()

    def _open_again(self) -> Iterator[Any]:
        """The present epoch from its start, less the batches that were taken; what it draws, it drew before."""
        assert self._begun is not None, "an epoch was begun"  # noqa: S101 - the caller looks
        with self._rng.kept():
            self._rng.load(self._begun["rng"])
            for generator, state in zip(self._generators(), self._begun["generators"], strict=True):
                generator.set_state(state.cpu())
            iterator = self._epoch_iterator()
            for _ in range(self._batch):
                next(iterator, _END)
        return iterator

    def _epoch_iterator(self) -> Iterator[Any]:
        for sampler in self._samplers():
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(self._epoch)
        return iter(self._data)

    def _samplers(self) -> list[Any]:
        batch_sampler = getattr(self._data, "batch_sampler", None)
        found = [getattr(self._data, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None)]
        return [sampler for i, sampler in enumerate(found) if sampler is not None and sampler not in found[:i]]

    def _generators(self) -> list[Any]:
        """Generators of the data's own, each once."""
        found = {id(one): one for one in (getattr(part, "generator", None) for part in (self._data, *self._samplers()))}
        return [one for one in found.values() if hasattr(one, "get_state")]

    def state(self) -> dict[str, Any]:
        """See :class:`Feed`."""
        return {"epoch": self._epoch, "batch": self._batch, "begun": self._begun}

    def load(self, state: dict[str, Any]) -> None:
        """See :class:`Feed`."""
        self._epoch, self._batch, self._begun = state["epoch"], state["batch"], state["begun"]
        self._iterator = None
