"""`RewindableLoader`: a `DataLoader` over a map-style dataset whose position can be kept and put back at no cost.

Torch's own `DataLoader` has no position; `torchdata.stateful_dataloader` has one and works with AutoLRS as it is. This
one is for those who do not have torchdata: the order of an epoch follows from a seed, so a position is two numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autosched.errors import UsageError
from autosched.integrations.autolrs_ranks import Ranks
from autosched.randomness import generator, key

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


@dataclass(slots=True, kw_only=True)
class _Order:
    """Index lists of the batches of an epoch, from a batch on; what a DataLoader calls a batch sampler.

    Every rank has its own share; as in torch's DistributedSampler, the first examples fill up the last share.
    """

    examples: int
    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int
    epoch: int = 0
    batch: int = 0

    def __len__(self) -> int:
        share = -(-self.examples // Ranks().count)
        return share // self.batch_size if self.drop_last else -(-share // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.examples)
        if self.shuffle:
            order = generator(self.seed, "epoch", self.epoch).permutation(self.examples)
        ranks = Ranks()  # asked here: Lightning makes the process group after the loader
        own = np.resize(order, -(-self.examples // ranks.count) * ranks.count)[ranks.rank :: ranks.count].tolist()
        starts = range(self.batch * self.batch_size, len(self) * self.batch_size, self.batch_size)
        return iter([own[start : start + self.batch_size] for start in starts])


class RewindableLoader:
    """Iterates over one epoch after the other like the loader it is made of, in an order that a seed gives.

    Under ``torch.distributed`` each rank gets its own share of every epoch. The batch size is that of one rank: with n
    ranks and an nth of it, update for update the ranks together see the examples of a batch of one process (the last,
    short batch of an epoch aside; ``drop_last=True`` leaves it out). Random augmentations in the main process are
    reproduced after a rewind, those in worker processes are not.

    Args:
        loader: over a map-style dataset, with batches, shuffled or not; its dataset, batch size and workers are used.
        seed: of the order.

    Raises:
        UsageError: a loader of another kind, whose order cannot be known.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> loader = RewindableLoader(DataLoader(range(6), batch_size=2, shuffle=True))
        >>> first, then = next(iter(loader)), loader.state_dict()
        >>> rest = list(loader)
        >>> loader.load_state_dict(then)
        >>> [batch.tolist() for batch in loader] == [batch.tolist() for batch in rest], len(rest)
        (True, 2)
    """

    def __init__(self, loader: DataLoader[Any], seed: int = 0) -> None:
        import torch
        from torch.utils.data import DataLoader

        self._order = _Order(
            examples=_examples(loader),
            batch_size=loader.batch_size or 0,
            shuffle=_shuffled(loader),
            drop_last=loader.drop_last,
            seed=seed,
        )
        self._generator = torch.Generator()  # what a loader draws for its workers is not drawn from the model's
        self._loader: DataLoader[Any] = DataLoader(
            loader.dataset,
            batch_sampler=self._order,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=self._generator,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._order)

    def __iter__(self) -> Iterator[Any]:
        """The rest of the present epoch; after its last batch, the next one."""
        order = self._order
        if order.batch >= len(order):
            order.epoch, order.batch = order.epoch + 1, 0
        self._generator.manual_seed(key(order.seed, "workers", order.epoch, order.batch))
        return self._counted(iter(self._loader), order.batch)

    def _counted(self, batches: Iterator[Any], first: int) -> Iterator[Any]:
        for number, batch in enumerate(batches, start=first + 1):
            self._order.batch = number
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands: batches taken of which epoch."""
        return {"seed": self._order.seed, "epoch": self._order.epoch, "batch": self._order.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go back; the next iterator starts there, and those that are open are to be left."""
        self._order.seed, self._order.epoch, self._order.batch = state["seed"], state["epoch"], state["batch"]


def _examples(loader: DataLoader[Any]) -> int:
    from torch.utils.data import IterableDataset

    if isinstance(loader.dataset, IterableDataset) or not hasattr(loader.dataset, "__len__"):
        raise UsageError("RewindableLoader needs a map-style dataset (__getitem__ and __len__), not an iterable one.")
    if loader.batch_size is None:
        raise UsageError("RewindableLoader needs a loader with a batch_size, not one with a batch sampler of its own.")
    examples = len(loader.dataset)
    if not examples:
        raise UsageError("RewindableLoader: the dataset is empty.")
    return examples


def _shuffled(loader: DataLoader[Any]) -> bool:
    from torch.utils.data import DistributedSampler, RandomSampler, SequentialSampler

    sampler: Any = loader.sampler
    if isinstance(sampler, SequentialSampler):
        return False
    if isinstance(sampler, DistributedSampler):
        return bool(sampler.shuffle)
    if isinstance(sampler, RandomSampler) and not sampler.replacement and sampler.num_samples == len(loader.dataset):  # type: ignore[arg-type]
        return True
    raise UsageError(
        f"RewindableLoader knows loaders with shuffle=True or False, not with a {type(sampler).__name__} of its own: "
        "give the loader itself to AutoLRS, which replays its epochs."
    )
