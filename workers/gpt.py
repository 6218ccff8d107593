"""A decoder-only transformer on bytes or tokens, to be read from top to bottom.

The model is GPT-2's with the habits of later years: RMS norms before each block, rotary positions, a ReLU-squared MLP,
no biases, normalised queries and keys. Trained with AdamW, or another optimizer by name, and gradient clipping; bf16 on
CUDA, fp32 elsewhere.

name   meaning                              shape
x      tokens                               (batch, context)
h      residual stream                      (batch, context, width)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from autosched.errors import UsageError
from autosched.randomness import key
from autosched.schedules.schedule import FloatArray
from autosched.space.records import Space
from autosched.trainer import flag, number, one_of, pair, positive, read_options, text, whole
from workers.data import Corpus, corpus_files, open_corpus
from workers.feed import Batch
from workers.initial_weights import check_initial, initial_identity, started_from
from workers.named_losses import check_objective, unnamed
from workers.optimizers.registry import ADAMW, Choice, optimizer
from workers.optimizers.updates import Updates, Usual
from workers.torch_training import TorchRun, doublings
from workers.weight_averages import PLACES, SHARES, Wanted, check_averages, window_shares

GROUPS: Mapping[str, str] = {"matrices": "blocks", "embeddings": "embed", "head": "head"}
"""Groups of weights by the word for them, each the part of the model that it is."""
ADDED: Mapping[str, Any] = {
    "eval_examples": None,
    **{f"{group}_lr_ratio": 1.0 for group in GROUPS},
    "double_batch_at": (),
}
"""Options that came later, with their defaults."""
VALIDATED = ("context", "vocabulary", "data", "old_data", "eval_batches", "eval_examples")
"""Options that decide what is validated."""
EVAL_BATCH = 16
"""Sequences that are validated at a time where `eval_examples` says how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GptOptions:
    """Options of the ``gpt`` trainer.

    Attributes:
        layers, width, heads, context: the model; `width` is a multiple of twice `heads` (rotary positions go in pairs).
        batch: sequences per update.
        data: ``stdlib`` (Python), ``headers`` (C++), a text file, a ``.bin`` file of uint16 tokens, or a folder with
            train.bin and val.bin.
        vocabulary: tokens are below this; default: 256 for bytes, 50304 for ``.bin``.
        optimizer: ``adamw``, another name, or ``{use: NAME, with: {…}}``.
        weight_decay, betas, clip: AdamW and the largest gradient norm (0: no clipping).
        dropout: share of the MLP's and attention's outputs that is dropped.
        eval_batches: validation batches, always the same ones.
        eval_examples: validation sequences, always the same ones; default: `eval_batches` of `batch` each. A space that
            searches `batch` needs it, so that all trials are judged by the same ones.
        matrices_lr_ratio, embeddings_lr_ratio, head_lr_ratio: LR of these weights over the schedule's, or over what the
            optimizer makes of it: `muon` trains the matrices by its own rule and the others by AdamW.
        double_batch_at: updates of the schedule from which on the mean gradient of twice as many batches makes one
            update of the weights; a schedule of the family ``seesaw`` has its own. What a schedule counts are batches.
        device: ``auto`` takes CUDA when there is one.
        dtype: ``auto`` is bf16 on CUDA and fp32 elsewhere.
        compile: use torch.compile.
        averages: where running sums of the weights are kept, whose means tell what a cooldown would give: on the
            ``device``, on the ``host`` (main memory), or ``none``; ``auto`` is ``device`` for optimizers that evaluate
            the weights they train.
        average_windows: updates that are averaged, as shares of the updates done.
        init_from: a file with the weights to start from, of `autosched export STUDY --to checkpoint` or any state dict
            that torch saved; its content is a part of what finished work is known by. Optimizer and batches begin anew.
        old_data: what that model learned from, as for `data`. `evaluate` then gives two losses: ``new``, on `data`, and
            ``old``, on this.
    """

    layers: Annotated[int, whole(1)] = 2
    width: Annotated[int, whole(2)] = 64
    heads: Annotated[int, whole(1)] = 4
    context: Annotated[int, whole(1)] = 64
    batch: Annotated[int, whole(1)] = 16
    data: Annotated[str, text()] = "stdlib"
    vocabulary: Annotated[int | None, whole(2)] = None
    optimizer: Annotated[Choice, optimizer()] = ADAMW
    weight_decay: Annotated[float, number(0.0)] = 0.1
    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.95)
    clip: Annotated[float, number(0.0)] = 1.0
    dropout: Annotated[float, number(0.0, 1.0)] = 0.0
    eval_batches: Annotated[int, whole(1)] = 8
    device: Annotated[str, one_of("auto", "cpu", "cuda")] = "auto"
    dtype: Annotated[str, one_of("auto", "float32", "bfloat16")] = "auto"
    compile: Annotated[bool, flag()] = False
    averages: Annotated[str, one_of(*PLACES)] = "auto"
    average_windows: Annotated[tuple[float, ...], window_shares()] = SHARES
    init_from: Annotated[str | None, text()] = None
    old_data: Annotated[str | None, text()] = None
    eval_examples: Annotated[int | None, whole(1)] = None
    matrices_lr_ratio: Annotated[float, positive()] = 1.0
    embeddings_lr_ratio: Annotated[float, positive()] = 1.0
    head_lr_ratio: Annotated[float, positive()] = 1.0
    double_batch_at: Annotated[tuple[int, ...], doublings()] = ()

    def __post_init__(self) -> None:
        grouped = next((f"{group}_lr_ratio" for group in GROUPS if self.lr_ratios[GROUPS[group]] != 1.0), None)
        if grouped is not None and not self.optimizer.takes_groups:
            raise UsageError(
                f"gpt trainer: {grouped} must be 1 with optimizer {self.optimizer.name}, which has one LR."
            )
        if self.width % (2 * self.heads):
            raise UsageError(
                f"gpt trainer: width must be a multiple of 2 * heads = {2 * self.heads}, but got {self.width}."
            )

    @property
    def lr_ratios(self) -> dict[str, float]:
        """LR over the schedule's, by the part of the model."""
        return {part: getattr(self, f"{group}_lr_ratio") for group, part in GROUPS.items()}


def check_comparable(space: Space) -> None:
    """That all trials are judged by the same validation losses.

    Raises:
        UsageError: a hyperparameter decides which sequences are validated.
    """
    for name in space.hyperparameters:
        if name in VALIDATED:
            raise UsageError(f"gpt trainer: {name} cannot be searched: trials would be judged by other losses.")
    if "batch" in space.hyperparameters and space.trainer.options.get("eval_examples") is None:
        raise UsageError(
            "gpt trainer: eval_examples must be given where batch is searched, e.g. 128: without it each batch has "
            "other validation sequences."
        )


class Attention(nn.Module):
    """Causal self-attention with normalised queries and keys and rotary positions."""

    def __init__(self, options: GptOptions) -> None:
        super().__init__()
        self.heads, self.dropout = options.heads, options.dropout
        self.project = nn.Linear(options.width, 3 * options.width, bias=False)
        self.out = nn.Linear(options.width, options.width, bias=False)
        cos, sin = rotations(options.context, options.width // options.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """What attention adds to `h`."""
        batch, context, width = h.shape
        q, k, v = self.project(h).view(batch, context, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = (self.rotate(F.rms_norm(part, part.shape[-1:])) for part in (q, k))
        drop = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=drop)
        return self.out(mixed.transpose(1, 2).reshape(batch, context, width))

    def rotate(self, part: Tensor) -> Tensor:
        """Turn pairs of features by angles that grow with the position."""
        first, second = part.float().chunk(2, dim=-1)
        cos, sin = self.cos[: part.shape[-2]], self.sin[: part.shape[-2]]
        return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1).to(part.dtype)


def rotations(context: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions, each (context, size / 2) (Su et al. 2021, arXiv:2104.09864)."""
    frequencies = 10_000.0 ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.arange(context, dtype=torch.float32)[:, None] * frequencies
    return angles.cos(), angles.sin()


class Block(nn.Module):
    """Attention, then an MLP four times as wide, each added to the residual stream."""

    def __init__(self, options: GptOptions) -> None:
        super().__init__()
        self.attention = Attention(options)
        self.widen = nn.Linear(options.width, 4 * options.width, bias=False)
        self.narrow = nn.Linear(4 * options.width, options.width, bias=False)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, h: Tensor) -> Tensor:
        """`h` after the block."""
        h = h + self.drop(self.attention(F.rms_norm(h, h.shape[-1:])))
        return h + self.drop(self.narrow(F.relu(self.widen(F.rms_norm(h, h.shape[-1:]))).square()))


class Gpt(nn.Module):
    """The whole model: embedding, blocks, and an output layer of its own.

    Args:
        seed: of the initial weights; None where they come from a file. Embeddings are standard normal; matrices have
            deviation ``1 / sqrt(inputs)``, those that write to the residual stream divided by ``sqrt(2 * layers)`` as
            in GPT-2.
    """

    def __init__(self, options: GptOptions, vocabulary: int, *, seed: int | None) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, options.width)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.head = nn.Linear(options.width, vocabulary, bias=False)
        if seed is not None:
            self._draw(options, seed)

    def _draw(self, options: GptOptions, seed: int) -> None:
        noise = torch.Generator().manual_seed(key(seed, "init"))
        with torch.no_grad():
            for name, weight in self.named_parameters():
                deviation = 1.0 if name == "embed.weight" else weight.shape[1] ** -0.5
                if name.endswith(("out.weight", "narrow.weight")):
                    deviation *= (2 * options.layers) ** -0.5
                weight.copy_(torch.randn(weight.shape, generator=noise) * deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits for the next token at each position, (batch, context, vocabulary)."""
        h = self.embed(x)
        for block in self.blocks:
            h = block(h)
        return self.head(F.rms_norm(h, h.shape[-1:]))


class GptTrainer:
    """Trains :class:`Gpt`; see :class:`autosched.trainer.Trainer`.

    Losses are nats per token. On a CPU they are the same to the last bit for the same options, seed, LRs, torch version
    and number of threads, however the run is cut.

    Raises:
        UsageError: an option that is not allowed, or data that cannot be read.
    """

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self._options = read_options(GptOptions, options, trainer="gpt")
        self._seed = seed
        self._corpus, *old = _corpora(self._options)
        self._run = TorchRun(device=self._options.device, dtype=self._options.dtype)
        named = zip(("new", "old"), (self._corpus, *old), strict=True) if old else [("", self._corpus)]
        self._validation = {name: self._validation_of(corpus) for name, corpus in named}

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raise UsageError for options or data that will not do."""
        checked = read_options(GptOptions, options, trainer="gpt")
        check_averages(checked.averages, checked.optimizer, trainer="gpt")
        corpus, *_ = _corpora(checked)
        check_initial(lambda: Gpt(checked, corpus.vocabulary, seed=None), checked.init_from, trainer="gpt")

    @staticmethod
    def check_space(space: Space) -> None:
        """Raise UsageError for an objective of losses that these options do not give, or losses that do not compare."""
        check_comparable(space)
        check_objective(space, ("new", "old") if space.trainer.options.get("old_data") else ())

    @staticmethod
    def data_files(options: Mapping[str, Any]) -> list[Path]:
        """The files that tokens and first weights are read from."""
        read = read_options(GptOptions, options, trainer="gpt")
        files = corpus_files(read.data) + ([] if read.old_data is None else corpus_files(read.old_data))
        return files + ([] if read.init_from is None else [Path(read.init_from)])

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
        model = Gpt(self._options, self._corpus.vocabulary, seed=self._seed if path is None else None)
        return started_from(model, path, trainer="gpt")

    def _updates(self, model: nn.Module) -> Updates:
        options = self._options
        usual = Usual(weight_decay=options.weight_decay, betas=options.betas, lr_ratios=options.lr_ratios)
        return options.optimizer.make(model, usual)

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates; means of ``train_loss``, and before clipping ``grad_norm`` and ``grad_norm_l1``."""
        return self._run.train(lrs, batch_of=self._training_batch, loss_of=self._loss, seed=self._seed)

    def evaluate(self) -> float | Mapping[str, float]:
        """Mean loss on the fixed validation batches, nats per token; with `old_data` the losses ``new`` and ``old``."""
        return unnamed(self._run.mean_losses(self._loss, self._validation))

    def evaluate_merged(self) -> Mapping[int, float | Mapping[str, float]]:
        """Losses as by `evaluate` of the mean of the weights over each window, by its length in updates."""
        merged = self._run.merged_losses(self._loss, self._validation)
        return {window: unnamed(losses) for window, losses in merged.items()}

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
        if self._options.optimizer == ADAMW:  # as it was before there was a choice
            del options["optimizer"]
        # Where and how fast does not count, what does; of the data, its content.
        for name in ("device", "compile", "data", "averages", "average_windows", "init_from", "old_data"):
            del options[name]
        for name, usual in ADDED.items():  # earlier versions' checkpoints do not name them
            if options[name] == usual:
                del options[name]
        options |= initial_identity(self._options.init_from)
        identity = {"trainer": "gpt", "seed": self._seed, "data": self._corpus.fingerprint}
        return {**identity, **options, **self._run.average_configuration}

    def _training_batch(self, step: int, noise: Generator | None) -> Batch:
        length = self._options.context + 1
        windows = self._corpus.training_windows(seed=self._seed, step=step, batch=self._options.batch, length=length)
        return (torch.from_numpy(windows),)

    def _validation_of(self, corpus: Corpus) -> list[Batch]:
        count, size, length = self._options.eval_examples, EVAL_BATCH, self._options.context + 1
        if count is None:
            count, size = self._options.eval_batches * self._options.batch, self._options.batch
        windows = torch.from_numpy(corpus.validation_windows(count=count, length=length)).to(self._run.device)
        return [(part,) for part in windows.split(size)]

    def _loss(self, windows: Tensor) -> Tensor:
        """Of predicting each token of the windows but the first, (batch, context + 1)."""
        logits = self._run.forward(windows[:, :-1])
        return F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


def _corpora(options: GptOptions) -> list[Corpus]:
    """The data to train on, and the old data where there is some."""
    names = [options.data, *([] if options.old_data is None else [options.old_data])]
    return [open_corpus(name, vocabulary=options.vocabulary, length=options.context + 1) for name in names]
