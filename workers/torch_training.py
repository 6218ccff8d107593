"""What all torch trainers share: updates with given LRs, evaluation, checkpoints, and what can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from autosched.engine.trainer import OutOfMemoryError
from autosched.errors import CheckpointError, UsageError
from autosched.randomness import key
from autosched.schedules.schedule import FloatArray
from workers.checkpoints import read_checkpoint, write_checkpoint
from workers.divergence import DivergenceWatch

FULL = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "NVRTC_ERROR_OUT_OF_MEMORY")
"""What torch's plain RuntimeErrors say when main memory, or a library's own memory on the GPU, is full."""
ADVICE = "make batch, context or width smaller, use dtype bfloat16, or give each worker more of a GPU (resources.gpus)"


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
        self._optimizer: torch.optim.Optimizer | None = None
        self._forward: Callable[[Tensor], Tensor] | None = None
        self._watch = DivergenceWatch()
        self._clip = 0.0

    @property
    def started(self) -> bool:
        """Whether there is a model."""
        return self._model is not None

    def begin(
        self,
        make_model: Callable[[], nn.Module],
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        *,
        clip: float,
        compiled: bool = False,
    ) -> None:
        """Make a fresh model.

        Args:
            make_model: makes the model in main memory.
            make_optimizer: makes the optimizer of the model, which is on the device by then.
            clip: largest gradient norm; 0 for no clipping.

        Raises:
            OutOfMemoryError: the model does not fit.
        """
        with _memory_guard():
            model = make_model().to(self.device)
            self._model, self._optimizer = model, make_optimizer(model)
        self._forward = torch.compile(model) if compiled else model
        self.step, self._watch, self._clip = 0, DivergenceWatch(), clip

    def forward(self, x: Tensor) -> Tensor:
        """The model's output, in the precision asked for."""
        assert self._forward is not None, "start() or load() comes first"  # noqa: S101 - misuse by a trainer
        with self._autocast:
            return self._forward(x)

    def train(self, lrs: FloatArray, *, loss_of: Callable[[int], Tensor], seed: int) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates.

        Args:
            loss_of: the training loss of update i, a function of (seed, i).
            seed: of the dropout, which is drawn anew for each update, so no random state needs to be stored.

        Returns:
            Means of ``train_loss`` and ``grad_norm`` (before clipping) over these updates.

        Raises:
            DivergedError, OutOfMemoryError: see :class:`autosched.engine.trainer.Trainer`.
        """
        model, optimizer = self._parts()
        losses, norms = 0.0, 0.0
        model.train()
        with _memory_guard():
            for lr in lrs:
                with self._seeded(seed):
                    loss = loss_of(self.step)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), self._clip or torch.inf)
                seen, length = loss.item(), norm.item()
                self._watch.observe(self.step + 1, seen, length)
                for group in optimizer.param_groups:
                    group["lr"] = float(lr)
                optimizer.step()
                self.step += 1
                losses, norms = losses + seen, norms + length
        count = max(1, len(lrs))
        return {"train_loss": losses / count, "grad_norm": norms / count}

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """Random numbers of one update that leave the process's own stream alone."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(key(seed, "dropout", self.step))
            yield

    def mean_loss(self, loss_of: Callable[[Tensor, Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Mean of the batches' losses, without gradients and without dropout."""
        model, _ = self._parts()
        model.eval()
        with torch.no_grad(), _memory_guard():
            return float(torch.stack([loss_of(x, y).double() for x, y in batches]).mean())

    def save(self, file: BinaryIO, *, configuration: Mapping[str, Any]) -> None:
        """Write all that the next update depends on."""
        model, optimizer = self._parts()
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": self.step,
            "watch": self._watch.state(),
        }
        write_checkpoint(file, state, configuration=configuration)

    def load(self, file: BinaryIO, *, configuration: Mapping[str, Any]) -> None:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is damaged or of another configuration.
        """
        model, optimizer = self._parts()
        state = read_checkpoint(file, configuration=configuration)
        try:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step, self._watch = int(state["step"]), DivergenceWatch.restore(state["watch"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint does not fit the model: {_first_line(error)}.") from None

    def _parts(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        assert self._model is not None, "start() or load() comes first"  # noqa: S101 - misuse by a trainer
        assert self._optimizer is not None, "start() or load() comes first"  # noqa: S101 - as above
        return self._model, self._optimizer


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


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).strip().rstrip(".:")
