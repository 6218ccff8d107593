"""A trainer of your own: a small network that tells two noisy spirals apart.

Where this file lies, run ``autosched tune --space own_trainer.yaml``, or in Python::

    autosched.tune("own_trainer.yaml")

The engine trains in pieces, forks runs, and moves them between processes, so a trainer keeps three promises:

- Batches and all other randomness are a function of (seed, step); then no data position needs to be stored.
- `save` writes all else that the next update depends on; `load` reads it, and refuses what is not its own.
- Update i uses ``lrs[i]``, and nothing else sets the LR.

``autosched check-trainer own_trainer.yaml`` says whether they are kept. Finished work is
reused by the names and options in the space, which do not change when you edit this code: tune with ``--fresh`` then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosched.trainer import (
    Diverged,
    FloatArray,
    generator,
    key,
    number,
    read_checkpoint,
    read_options,
    whole,
    write_checkpoint,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpOptions:
    """What ``with:`` may hold, with what is allowed."""

    width: Annotated[int, whole(1)] = 32
    batch: Annotated[int, whole(1)] = 32
    noise: Annotated[float, number(0.0)] = 0.4


def spirals(count: int, noise: float, *purpose: int | str) -> tuple[Tensor, Tensor]:
    """Points (count, 2) and the spiral each is on (count,); the same for the same purpose."""
    rng = generator(*purpose)
    labels, turn = rng.integers(2, size=count), rng.uniform(0.5, 2.5, size=count)
    angle = np.pi * (turn + labels)
    points = turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) + noise * rng.normal(size=(count, 2))
    return torch.from_numpy(points).float(), torch.from_numpy(labels)


class Mlp:
    """Two hidden layers and AdamW."""

    check_options = staticmethod(partial(read_options, MlpOptions, trainer="mlp"))  # refuses a misspelled one early

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self.options, self.seed = self.check_options(options), seed
        self.configuration = {"trainer": "own_trainer:Mlp", "seed": seed, **asdict(self.options)}
        self.validation = spirals(1000, self.options.noise, "validation")
        self.start()

    def start(self) -> None:
        """Make a fresh model at update 0."""
        width = self.options.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(self.seed, "init"))
            layers = [nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)]
        self.model = nn.Sequential(*layers)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.0)
        self.step = 0

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates; their mean loss."""
        total = 0.0
        for lr in lrs:
            points, labels = spirals(self.options.batch, self.options.noise, self.seed, "batch", self.step)
            loss = F.cross_entropy(self.model(points), labels)
            if not loss.isfinite():
                raise Diverged(self.step + 1, loss.item(), f"the loss became {loss.item()}")
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.param_groups[0]["lr"] = float(lr)
            self.optimizer.step()
            self.step += 1
            total += loss.item()
        return {"train_loss": total / max(1, len(lrs))}

    def evaluate(self) -> float:
        """Mean loss on points that are the same for every run, nats per point."""
        points, labels = self.validation
        with torch.no_grad():
            return F.cross_entropy(self.model(points), labels).item()

    def save(self, file: BinaryIO) -> None:
        """Write model, optimizer and step."""
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        write_checkpoint(file, parts, configuration=self.configuration)

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote; `read_checkpoint` raises CheckpointError for anything else."""
        parts = read_checkpoint(file, configuration=self.configuration)
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.step = parts["step"]
