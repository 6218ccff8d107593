"""What a trainer is: it trains one model, and can stop and go on elsewhere with the same result.

A trainer is built once per (options, seed) in a worker process and then used for many segments::

    trainer = make(options={"width": 64}, seed=0, horizon=600)
    trainer.start()                       # a fresh model at update 0
    trainer.train(lrs[0:20])              # 20 updates; trainer.step == 20
    trainer.evaluate()                    # validation loss of the current weights; changes nothing
    trainer.save(file); trainer.load(file)  # model, optimizer, step, random state: all that the next update needs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol, runtime_checkable

from autosched.ledger.records import Point, Segment
from autosched.schedules.schedule import FloatArray


class Trainer(Protocol):
    """Trains one model with learning rates it is given.

    The contract (``autosched.testing`` has the suite): the same seed and LRs give the same losses, bit for bit on a
    CPU, however the updates are cut into `train` calls and whether or not a save and a load lie between; batches are
    a function of (seed, step); `evaluate` changes nothing.
    """

    @property
    def step(self) -> int:
        """Updates done."""

    def start(self) -> None:
        """Make a fresh model at update 0."""

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates; update i uses ``lrs[i]``. Returns means over them, ``train_loss`` at least.

        Raises:
            Diverged: the loss became NaN, infinite, or lies far above the start.
            OutOfMemoryError: the device is full.
        """

    def evaluate(self) -> float | Mapping[str, float]:
        """Mean validation loss of the current weights, nats per token or example; or several such losses by name.

        Of several, the space's ``objective`` says which one, or which weighted sum, schedules are judged by: the first
        where it says nothing. All of them are kept.
        """

    def save(self, file: BinaryIO) -> None:
        """Write everything the next update depends on; `file` takes bytes in order and cannot seek."""

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote; safe on a file from a stranger (no pickle code is run).

        Raises:
            CheckpointError: the file is damaged or of another configuration.
        """


@runtime_checkable
class MergingTrainer(Trainer, Protocol):
    """A trainer that can also evaluate means of its last weights, each of which is like a cooldown that costs nothing.

    Optional: without it a study sees no merged losses. The contract has a suite of its own
    (``autosched.testing.merging_contract``).
    """

    def evaluate_merged(self) -> Mapping[int, float | Mapping[str, float]]:
        """What `evaluate` gives, of the mean of the weights after each of the last w updates, by w.

        Changes nothing. Which windows there are is a function of `step` alone; empty where there are no averages. The
        loss is like that of :func:`autosched.schedules.merged.merged_schedule`.
        """


@runtime_checkable
class SegmentTrainer(Protocol):
    """Trains whole segments by itself, e.g. in another process, and says the losses as they come.

    The rest of the contract is that of a :class:`Trainer`. One whose runs do not resume has no use for `save` and
    `load`: its segments go on from the one before, or begin at update 0.
    """

    @property
    def step(self) -> int:
        """Updates done."""

    def start(self) -> None:
        """Make ready for a fresh model at update 0."""

    def train_segment(self, segment: Segment) -> Iterator[Point]:
        """Do the updates of a segment that starts at `step`; yields a point for every evaluated one, in order.

        Raises:
            Diverged: a loss is NaN or infinite.
            OutOfMemoryError: the device is full.
        """

    def save(self, file: BinaryIO) -> None:
        """Write everything the next update depends on."""

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote."""

    def close(self) -> None:
        """End what runs, and remove what is temporary; `start` and `load` begin anew."""


class Diverged(Exception):
    """The run diverged at `step` with `loss`; a result of the trial, caught by the worker."""

    def __init__(self, step: int, loss: float, reason: str) -> None:
        super().__init__(reason)
        self.step, self.loss, self.reason = step, loss, reason


class OutOfMemoryError(Exception):
    """The device has too little memory; the text advises what to change."""


TrainerFactory = Callable[[str, Mapping[str, Any], int, int], Trainer | SegmentTrainer]
"""Makes a trainer from (use, options, seed, horizon); raises UsageError for unknown names or options."""
