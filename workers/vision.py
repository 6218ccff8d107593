"""A small convolutional network on scikit-learn's handwritten digits: a whole run takes seconds on one core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, BinaryIO

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from autosched.randomness import key
from autosched.schedules.schedule import FloatArray
from autosched.space.records import Space
from autosched.trainer import flag, number, one_of, read_options, text, whole
from workers.data import digits
from workers.feed import Batch
from workers.initial_weights import check_initial, initial_identity, started_from
from workers.named_losses import check_objective
from workers.optimizers.registry import ADAMW, Choice, optimizer
from workers.optimizers.updates import Updates, Usual
from workers.torch_training import TorchRun, doublings
from workers.weight_averages import PLACES, SHARES, Wanted, check_averages, window_shares

CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionOptions:
    """Options of the ``vision`` trainer.

    Attributes:
        width: channels of the first layer; the second has twice as many.
        batch: images per update.
        optimizer: ``adamw``, ``sgd`` with momentum, another name, or
            ``{use: NAME, with: {…}}``.
        weight_decay, momentum, clip: as their optimizers use them; `clip` 0 means no clipping.
        dropout: share of the last features that is dropped.
        label_noise: share of the training labels that is replaced by a random digit (fixed by the seed and the update),
            so that a high LR pays to be lowered.
        device, dtype, compile, averages, average_windows, init_from, double_batch_at: as for ``gpt``.
    """

    width: Annotated[int, whole(1)] = 16
    batch: Annotated[int, whole(1)] = 32
    optimizer: Annotated[Choice, optimizer()] = ADAMW
    weight_decay: Annotated[float, number(0.0)] = 0.05
    momentum: Annotated[float, number(0.0, 1.0)] = 0.9
    clip: Annotated[float, number(0.0)] = 1.0
    dropout: Annotated[float, number(0.0, 1.0)] = 0.0
    label_noise: Annotated[float, number(0.0, 1.0)] = 0.1
    device: Annotated[str, one_of("auto", "cpu", "cuda")] = "auto"
    dtype: Annotated[str, one_of("auto", "float32", "bfloat16")] = "auto"
    compile: Annotated[bool, flag()] = False
    averages: Annotated[str, one_of(*PLACES)] = "auto"
    average_windows: Annotated[tuple[float, ...], window_shares()] = SHARES
    init_from: Annotated[str | None, text()] = None
    double_batch_at: Annotated[tuple[int, ...], doublings()] = ()


class Convnet(nn.Module):
    """Two convolutions with a pooling after each, then a linear layer that starts at zero."""

    def __init__(self, options: VisionOptions, *, seed: int | None) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, options.width, 3, padding=1)
        self.second = nn.Conv2d(options.width, 2 * options.width, 3, padding=1)
        self.drop = nn.Dropout(options.dropout)
        self.head = nn.Linear(2 * options.width * 4, CLASSES)
        if seed is not None:
            self._draw(seed)

    def _draw(self, seed: int) -> None:
        noise = torch.Generator().manual_seed(key(seed, "init"))
        with torch.no_grad():
            for layer in (self.first, self.second):
                fan_in = layer.weight[0].numel()
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=noise) * (2.0 / fan_in) ** 0.5)
                layer.bias.zero_()
            self.head.weight.zero_()
            self.head.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (batch, 10), of images (batch, 1, 8, 8)."""
        h = F.max_pool2d(F.relu(self.first(images)), 2)
        h = F.max_pool2d(F.relu(self.second(h)), 2)
        return self.head(self.drop(h.flatten(1)))


class VisionTrainer:
    """Trains :class:`Convnet`; see :class:`autosched.trainer.Trainer`. Losses are nats per image.

    Raises:
        UsageError: an option that is not allowed.
    """

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self._options = read_options(VisionOptions, options, trainer="vision")
        self._seed = seed
        self._run = TorchRun(device=self._options.device, dtype=self._options.dtype)
        self._data = digits()
        images, labels = self._data.validation_images, self._data.validation_labels
        device = self._run.device
        self._validation = {"": [(torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))]}

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raise UsageError for options that will not do."""
        checked = read_options(VisionOptions, options, trainer="vision")
        check_averages(checked.averages, checked.optimizer, trainer="vision")
        check_initial(lambda: Convnet(checked, seed=None), checked.init_from, trainer="vision")

    @staticmethod
    def check_space(space: Space) -> None:
        """Raise UsageError for an objective: there is one loss."""
        check_objective(space, ())

    @property
    def step(self) -> int:
        """Updates done."""
        return self._run.step

    def start(self) -> None:
        """Make a fresh model, or the one to start from."""
        self._run.begin(
            self._fresh_model,
            self._updates,
            clip=self._options.clip,
            averages=Wanted(self._options.averages, self._options.average_windows),
            compiled=self._options.compile,
            double_at=self._options.double_batch_at,
        )

    def _fresh_model(self) -> nn.Module:
        path = self._options.init_from
        return started_from(Convnet(self._options, seed=self._seed if path is None else None), path, trainer="vision")

    def _updates(self, model: nn.Module) -> Updates:
        usual = Usual(weight_decay=self._options.weight_decay, momentum=self._options.momentum)
        return self._options.optimizer.make(model, usual)

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates; means of ``train_loss``, and before clipping ``grad_norm`` and ``grad_norm_l1``."""
        return self._run.train(lrs, batch_of=self._training_batch, loss_of=self._loss, seed=self._seed)

    def evaluate(self) -> float:
        """Mean loss on the held-out digits, nats per image."""
        return self._run.mean_losses(self._loss, self._validation)[""]

    def evaluate_merged(self) -> Mapping[int, float]:
        """Losses as by `evaluate` of the mean of the weights over each window, by its length in updates."""
        return {window: losses[""] for window, losses in self._run.merged_losses(self._loss, self._validation).items()}

    def save(self, file: BinaryIO) -> None:
        """Write model, optimizer, step, divergence watch and averages; batches and dropout follow from (seed, step)."""
        self._run.save(file, configuration=self._configuration())

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote."""
        if not self._run.started:
            self.start()
        self._run.load(file, configuration=self._configuration())

    def _configuration(self) -> dict[str, Any]:
        options = {**asdict(self._options), "optimizer": self._options.optimizer.configuration()}
        for name in ("device", "compile", "averages", "average_windows", "init_from"):
            del options[name]
        if not options["double_batch_at"]:  # earlier versions' checkpoints do not name it
            del options["double_batch_at"]
        options |= initial_identity(self._options.init_from)
        return {"trainer": "vision", "seed": self._seed, **options, **self._run.average_configuration}

    def _training_batch(self, step: int, noise: Generator | None) -> Batch:
        chosen = self._data.training_examples(seed=self._seed, step=step, batch=self._options.batch)
        labels = torch.from_numpy(self._data.labels[chosen])
        # Drawn from the update's own random numbers, as dropout is.
        wrong = torch.rand(labels.shape, generator=noise) < self._options.label_noise
        labels = torch.where(wrong, torch.randint(CLASSES, labels.shape, generator=noise), labels)
        return torch.from_numpy(self._data.images[chosen]), labels

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self._run.forward(images).float(), labels)
