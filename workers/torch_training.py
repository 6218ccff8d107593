"""What all torch trainers share: updates with given LRs, evaluation, checkpoints, and what can go wrong."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import reduce
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from autosched.errors import CheckpointError, UsageError
from autosched.schedules.batch_ramp import group_at
from autosched.schedules.schedule import FloatArray
from autosched.trainer import OutOfMemoryError, Rule, read_checkpoint, write_checkpoint
from workers.divergence import DivergenceWatch
from workers.feed import Batch, BatchOf, Feed, update_seed
from workers.optimizers.checks import check_like
from workers.optimizers.updates import Updates, restored
from workers.weight_averages import Wanted, WeightAverages, averages_of

FULL = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "NVRTC_ERROR_OUT_OF_MEMORY")
"""What torch's plain RuntimeErrors say when main memory, or a library's own memory on the GPU, is full."""
LossOf = Callable[..., Tensor]
"""The mean loss of one batch, given its tensors."""
Sets = Mapping[str, Sequence[Batch]]
"""Validation batches of one or several sets of data, by name."""
NO_AVERAGES = Wanted()
ADVICE = "make batch, context or width smaller, use dtype bfloat16, or give each worker more of a GPU (resources.gpus)"


def doublings() -> Rule:
    """The rule of a trainer's option ``double_batch_at``, see :mod:`autosched.schedules.batch_ramp`."""
    return Rule("a list of whole numbers >= 0, none below the one before it", _read_doublings)


def _read_doublings(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list | tuple) or any(type(at) is not int or at < 0 for at in value):
        return None
    return tuple(value) if list(value) == sorted(value) else None


class TorchRun:
    """One model with its optimizer at some update.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        dtype: ``auto`` (bf16 on CUDA, fp32 elsewhere), ``float32`` or ``bfloat16``; weights are always fp32.

    Raises:
        UsageError: CUDA was asked for and there is none.
    """

    def __init__(self, *, device: str, dtype: str) -> None:
        available = torch.cuda.is_available()
        if device == "cuda" and not available:
            raise UsageError('device must be "cpu" or "auto" on this machine, but got "cuda": there is no CUDA device.')
        self.device = torch.device("cuda" if device != "cpu" and available else "cpu")
        half = dtype == "bfloat16" or (dtype == "auto" and self.device.type == "cuda")
        self._autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half)
        self.step = 0
        self._model: nn.Module | None = None
        self._updates: Updates | None = None
        self._weights: list[Tensor] = []
        self._forward: Callable[[Tensor], Tensor] | None = None
        self._watch = DivergenceWatch()
        self._averages: WeightAverages | None = None
        self._clip = 0.0
        self._double_at: Sequence[int] = ()

    @property
    def started(self) -> bool:
        """Whether there is a model."""
        return self._model is not None

    def begin(
        self,
        make_model: Callable[[], nn.Module],
        make_updates: Callable[[nn.Module], Updates],
        *,
        clip: float,
        averages: Wanted = NO_AVERAGES,
        compiled: bool = False,
        double_at: Sequence[int] = (),
    ) -> None:
        """Make a fresh model.

        Args:
            make_model: makes the model in main memory.
            make_updates: makes the optimizer of the model, which is on the device by then.
            clip: largest gradient norm; 0 for no clipping.
            averages: of the weights.
            double_at: batches from which on twice as many make an update, see :mod:`autosched.schedules.batch_ramp`;
                a step is then a batch.

        Raises:
            UsageError: averages that the optimizer or the model rules out.
            OutOfMemoryError: the model does not fit.
        """
        with _memory_guard():
            model = make_model().to(self.device)
            updates = make_updates(model)
            self._averages = averages_of(model, updates, averages)
            self._model, self._updates, self._weights = model, updates, list(model.parameters())
        self._forward = torch.compile(model) if compiled else model
        self.step, self._watch = 0, DivergenceWatch()
        self._clip = clip if updates.clips else 0.0
        self._double_at = double_at

    def forward(self, x: Tensor) -> Tensor:
        """The model's output, in the precision asked for."""
        assert self._forward is not None, "start() or load() comes first"  # noqa: S101 - misuse by a trainer
        with self._autocast:
            return self._forward(x)

    def train(self, lrs: FloatArray, *, batch_of: BatchOf, loss_of: LossOf, seed: int) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates, and wait for the device once, at their end: a divergence is told then.

        Args:
            batch_of: the batch of update i in main memory, a function of (seed, i).
            loss_of: the mean loss of a batch that is on the device.
            seed: of the dropout and of what an optimizer draws, anew for each update, so no random state needs to be
                stored.

        Returns:
            Means over these updates: ``train_loss``, and before clipping ``grad_norm`` (l2) and ``grad_norm_l1``, which
            the refined schedules of SGD and of Adam are made from (:mod:`autosched.laws.refinement`).

        Raises:
            Diverged, OutOfMemoryError: see :class:`autosched.trainer.Trainer`.
        """
        model, updates = self._parts()
        model.train()
        first, last, seen = self.step, self.step + len(lrs) - 1, _Seen()
        feed = Feed(batch_of, self.device, seed=seed)
        with _memory_guard(), self._own_randomness():
            try:
                for lr in lrs:
                    self._seed(update_seed(seed, self.step))
                    loss = loss_of(*feed.take(self.step))
                    self._go_down(updates, loss, float(lr), seen)
                    self.step += 1
                    if self.step <= last:
                        feed.prepare(self.step)
            except Exception:  # perhaps of an optimizer that computes with what is no number: then the run was lost
                with suppress(RuntimeError):  # of a device that cannot be read any more
                    self._watched(first, seen)
                raise
            return self._watched(first, seen)

    def _go_down(self, updates: Updates, loss: Tensor, lr: float, seen: _Seen) -> None:
        """One update with this loss, or its share of one; what is to be known of it stays on the device."""
        first, end = group_at(self.step, self._double_at)
        if self.step == first:
            updates.optimizer.zero_grad(set_to_none=True)
        (loss / (end - first) if end - first > 1 else loss).backward()
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        length = nn.utils.get_total_norm(gradients)
        seen.add(loss.detach(), length, nn.utils.get_total_norm(gradients, norm_type=1.0))
        if self.step + 1 == end:
            if self._clip:
                nn.utils.clip_grads_with_norm_(self._weights, self._clip, length)
            updates.update(lr, loss.detach())
        if self._averages is not None:
            self._averages.observe()

    def _watched(self, first: int, seen: _Seen) -> dict[str, float]:
        """The means of what was seen of the updates from `first` on, read at once; raises Diverged."""
        losses, norms, sums = seen.by_kind(self.read)
        for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), start=first + 1):
            self._watch.observe(step, loss, norm)
        return {"train_loss": _mean_of(losses), "grad_norm": _mean_of(norms), "grad_norm_l1": _mean_of(sums)}

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Random numbers of these updates that leave the process's own stream alone."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            yield

    def _seed(self, seed: int) -> None:
        """As torch.manual_seed, for the devices in use alone: of others, torch notes the caller's whole stack."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def read(self, values: Sequence[Tensor]) -> list[float]:
        """Single numbers on the device as floats here: what waits for the device, at all times at once."""
        found: list[float] = torch.stack([value.detach().double() for value in values]).tolist() if values else []
        return found

    def mean_losses(self, loss_of: LossOf, sets: Sets) -> dict[str, float]:
        """Mean of the batches' losses of each set of data, by its name, without gradients and without dropout."""
        model, updates = self._parts()
        model.eval()
        with torch.no_grad(), _memory_guard(), updates.evaluating():
            return dict(zip(sets, self.read([_mean(loss_of, batches) for batches in sets.values()]), strict=True))

    def merged_losses(self, loss_of: LossOf, sets: Sets) -> dict[int, dict[str, float]]:
        """As `mean_losses`, of the mean of the weights over each window of the run's averages; empty without them."""
        model, _ = self._parts()
        averages, means = self._averages, {}
        if averages is None:
            return {}
        model.eval()
        with torch.no_grad(), _memory_guard(), restored(averages.weights):
            for window, merged in averages.means():
                for weight, mean in zip(averages.weights, merged, strict=True):
                    weight.copy_(mean)
                means |= {(window, name): _mean(loss_of, batches) for name, batches in sets.items()}
            read = dict(zip(means, self.read(list(means.values())), strict=True))
        return {window: {name: read[window, name] for name in sets} for window, _ in read}

    @property
    def average_configuration(self) -> dict[str, Any]:
        """What a checkpoint must have in common with this run's averages; empty, as it was before them, for none."""
        return {} if self._averages is None else {"average_windows": list(self._averages.shares)}

    def save(self, file: BinaryIO, *, configuration: Mapping[str, Any]) -> None:
        """Write all that the next update depends on."""
        model, updates = self._parts()
        state = {
            "model": model.state_dict(),
            "optimizer": updates.moments(),
            "step": self.step,
            "watch": self._watch.state(),
        }
        memory = updates.memory()
        if memory:
            state["memory"] = memory
        if self._averages is not None:
            state["averages"] = self._averages.state()
        if self._is_within(self.step):
            state["gradients"] = [weight.grad for weight in self._weights]
        write_checkpoint(file, state, configuration=configuration)

    def load(self, file: BinaryIO, *, configuration: Mapping[str, Any]) -> None:
        """Read what `save` wrote. A file that is refused leaves the run as it was.

        Raises:
            CheckpointError: the file is damaged or of another configuration.
            OutOfMemoryError: the optimizer's state does not fit.
        """
        model, updates = self._parts()
        state = read_checkpoint(file, configuration=configuration)
        try:
            step, watch = _count(state["step"]), DivergenceWatch.restore(state["watch"])
            _check_tensors(state["model"], model.state_dict())
            updates.check(state["optimizer"], state.get("memory", {}))
            if self._averages is not None:
                self._averages.check(state["averages"], step)
            if self._is_within(step):
                check_like(state["gradients"], self._weights, "gradient")
        except Exception as error:  # a file from a stranger can hold anything in any place
            raise CheckpointError(f"the checkpoint does not fit the model: {_first_line(error)}.") from None
        with _memory_guard():
            model.load_state_dict(state["model"])
            updates.load(state["optimizer"], state.get("memory", {}))
            if self._averages is not None:
                self._averages.load(state["averages"], step)
            for weight, gradient in zip(self._weights, state.get("gradients", ()), strict=False):
                weight.grad = gradient.to(weight.device)
        self.step, self._watch = step, watch

    def _is_within(self, step: int) -> bool:
        """Whether the batches before `step` belong to an update that is not done."""
        return group_at(step, self._double_at)[0] < step

    def _parts(self) -> tuple[nn.Module, Updates]:
        assert self._model is not None, "start() or load() comes first"  # noqa: S101 - misuse by a trainer
        assert self._updates is not None, "start() or load() comes first"  # noqa: S101 - as above
        return self._model, self._updates


class _Seen:
    """Losses and gradient norms of some updates, on the device until they are read."""

    def __init__(self) -> None:
        self._rows: tuple[list[Tensor], ...] = ([], [], [])

    def add(self, *row: Tensor) -> None:
        """Those of one more update: its loss, the l2 norm and the l1 norm of its gradient."""
        for values, value in zip(self._rows, row, strict=True):
            values.append(value)

    def by_kind(self, read: Callable[[Sequence[Tensor]], list[float]]) -> list[list[float]]:
        """All of them, in the order of the updates."""
        count = len(self._rows[0])
        found = read([value for values in self._rows for value in values])
        return [found[kind * count : (kind + 1) * count] for kind in range(3)]


def _mean_of(values: Sequence[float]) -> float:
    """The mean, summed in order: Python's own sum rounds in another way from version to version."""
    return reduce(operator.add, values, 0.0) / max(1, len(values))


def _mean(loss_of: LossOf, batches: Iterable[Batch]) -> Tensor:
    return torch.stack([loss_of(*batch).double() for batch in batches]).mean()


@contextmanager
def _memory_guard() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"the GPU is full ({_first_line(error)}); {ADVICE}.") from None
    except RuntimeError as error:
        if not any(sign in str(error) for sign in FULL):
            raise
        raise OutOfMemoryError(f"memory is full ({_first_line(error)}); {ADVICE}.") from None


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"step must be a whole number >= 0, but got {value!r:.40}")
    return value


def _check_tensors(found: Mapping[str, Any], own: Mapping[str, Tensor]) -> None:
    """Whether `found` can be copied into `own`: torch copies what fits before it complains of what does not."""
    if found.keys() != own.keys():
        raise ValueError(f"its weights are not named {', '.join(own):.80}")
    for name, tensor in own.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            raise ValueError(f"{name} must be {tensor.dtype} of shape {tuple(tensor.shape)}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).strip().rstrip(".:")
