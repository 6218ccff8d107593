"""A trainer without a model: its losses come from a known law of the LR path. For tests and benchmarks.

name   meaning                                                          unit
lr_i   LR of update i                                                   LR
s_i    forward area, ``s_i = s_{i-1} + lr_i``                           LR x updates
h_i    heat, ``h_i = memory * h_{i-1} + (1 - memory) * lr_i``           LR
L_i    ``floor + scale * (1 + s_i / unit)**-exponent + noise_i + decay_i``   nats
noise_i   ``gain * h_i * 16 / batch``                                   nats
decay_i   ``decay_gain * x_i**2 / (1 + x_i**2 / 8)``, ``x_i = ln(weight_decay * s_i / decay_area)``   nats

This is the annealing law (Tissue et al. 2024, arXiv:2408.11029) written so that it can be carried from update to
update: with m_i = memory * m_{i-1} + (lr_{i-1} - lr_i) and S2 = sum(m), a run at peak LR p has
``h = p - (1 - memory) * S2`` once warmup is forgotten, so a drop of the LR pays ``gain * (1 - memory) * S2``.
The heat also makes the loss U-shaped in the peak LR: too low learns too slowly, too high stays too noisy, and the best
peak rises with the length of the cooldown (with the defaults and 600 updates, from about 0.01 to 0.04), as it does
for a small transformer.

A larger batch makes less noise (McCandlish et al. 2018). Weight decay acts by the AdamW timescale
1 / (LR x weight decay) over the length of the run (Bergsma et al. 2025, arXiv:2505.13738), which has a best value: the
best weight decay falls as LRs rise. Without weight decay, the default, there is no such term.

The mean of the last w weights is taken as the law's own loss under the schedule that it is like
(:mod:`autosched.schedules.merged`), plus ``merged_lag * sum(lr_i)`` over the window: it falls short of a true cooldown
by what the run moved meanwhile.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, BinaryIO

import numpy as np

from autosched.errors import CheckpointError
from autosched.randomness import generator
from autosched.schedules.merged import merged_factors
from autosched.schedules.schedule import FloatArray
from autosched.trainer import Diverged, number, positive, read_options, whole

MERGED_SHARES = (0.05, 0.1)
"""Windows of the means, as shares of the updates done; the torch trainers' default."""
_FORMAT = "autosched.simulated/1"
_BATCH = 16
"""Examples per update, of the default."""
_ADDED = ("weight_decay", "decay_gain", "decay_area", "batch")
"""Options that a checkpoint names only where weight decay or batch is not the default; earlier versions have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOptions:
    """The law, its noise, and the ways in which a real run is awkward.

    Attributes:
        floor, scale, unit, exponent, gain, memory: the law above; ``floor + scale`` is the loss of a fresh model.
        weight_decay, decay_gain, decay_area, batch: see above; weight decay 0 has no effect at all.
        noise: standard deviation of one evaluation, nats; drawn from (seed, step).
        seed_noise: standard deviation of a whole run, nats; drawn from the seed alone.
        merged_lag: what a mean of weights falls short of a cooldown, nats per unit of LR x updates of its window.
        diverge_above: the first update with a larger LR diverges.
        seconds_per_step: least wall-clock time of an update.
        checkpoint_bytes: least size of a checkpoint.
        fail_at: the update (counted from 1) that raises RuntimeError, every time; 0 for none.
    """

    floor: Annotated[float, number(0)] = 1.2
    scale: Annotated[float, number(0)] = 4.3
    unit: Annotated[float, positive()] = 0.075
    exponent: Annotated[float, number(0)] = 0.5
    gain: Annotated[float, number(0)] = 40.0
    memory: Annotated[float, number(0, below=1)] = 0.98
    noise: Annotated[float, number(0)] = 0.002
    seed_noise: Annotated[float, number(0)] = 0.01
    merged_lag: Annotated[float, number(0)] = 0.0
    diverge_above: Annotated[float, number(0)] = 0.5
    seconds_per_step: Annotated[float, number(0)] = 0.0
    checkpoint_bytes: Annotated[int, whole(0)] = 0
    fail_at: Annotated[int, whole(0)] = 0
    weight_decay: Annotated[float, number(0)] = 0.0
    decay_gain: Annotated[float, number(0)] = 0.03
    decay_area: Annotated[float, positive()] = 1.0
    batch: Annotated[int, whole(1)] = _BATCH

    def loss(self, area: float, heat: float) -> float:
        """The law, without noise."""
        noise = self.gain * heat * (_BATCH / self.batch)
        return self.floor + self.scale * math.pow(1.0 + area / self.unit, -self.exponent) + noise + self._decay(area)

    def _decay(self, area: float) -> float:
        """What the AdamW timescale costs where it is not the best one."""
        if self.weight_decay == 0.0 or area == 0.0:
            return 0.0
        apart = math.log(self.weight_decay * area / self.decay_area) ** 2
        return self.decay_gain * apart / (1.0 + apart / 8.0)

    def predict(self, lrs: FloatArray) -> FloatArray:
        """Loss without noise after each update of a run, shape ``(steps,)``; whatever the LR, nothing diverges."""
        area = heat = 0.0
        losses = np.empty(len(lrs))
        for index, lr in enumerate(lrs.tolist()):
            area, heat = area + lr, self.memory * heat + (1.0 - self.memory) * lr
            losses[index] = self.loss(area, heat)
        return losses


class SimulatedTrainer:
    """A `Trainer` (see ``autosched.trainer``) whose model is two numbers.

    Its train loss is the law's loss averaged over the updates, without noise.

    Args:
        options: fields of :class:`SimulatedOptions` by name.
        seed: what the noise depends on.
        horizon: total updates of the run; the law does not need it.

    Raises:
        UsageError: an unknown option or an impossible value.
    """

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self._options = read_options(SimulatedOptions, options, trainer="simulated")
        self._seed, self.horizon = seed, horizon
        self._offset = self._options.seed_noise * float(generator(seed, "simulated seed").standard_normal())
        self.start()

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Raise UsageError for options that will not do."""
        read_options(SimulatedOptions, options, trainer="simulated")

    @property
    def step(self) -> int:
        """Updates done."""
        return self._step

    def start(self) -> None:
        """A fresh model at update 0."""
        self._step, self._area, self._heat = 0, 0.0, 0.0
        self._recent: list[float] = []

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Do ``len(lrs)`` updates, in at least ``len(lrs) * seconds_per_step`` seconds.

        Raises:
            Diverged: an LR above ``diverge_above``.
            RuntimeError: update ``fail_at`` was reached.
        """
        options, began, total = self._options, time.perf_counter(), 0.0
        for lr in lrs.tolist():
            if self._step + 1 == options.fail_at:
                raise RuntimeError(f"update {options.fail_at} fails, as asked by fail_at.")
            self._step += 1
            if lr > options.diverge_above:
                raise Diverged(self._step, math.inf, f"LR {lr:g} is above {options.diverge_above:g}")
            self._area += lr
            self._heat = options.memory * self._heat + (1.0 - options.memory) * lr
            total += options.loss(self._area, self._heat)
        self._recent = [*self._recent, *lrs.tolist()][-max(_windows(self._step), default=1) :]
        pause = len(lrs) * options.seconds_per_step - (time.perf_counter() - began)
        if pause > 0:
            time.sleep(pause)
        return {"train_loss": total / max(1, len(lrs))}

    def evaluate(self) -> float:
        """The law's loss plus the noise of this seed and step, nats."""
        return self._options.loss(self._area, self._heat) + self._offset + self._noise()

    def evaluate_merged(self) -> Mapping[int, float]:
        """The law's loss with the last LRs falling linearly, plus the lag and this seed's and step's noise, nats."""
        return {window: self._merged(window) for window in _windows(self._step)}

    def _merged(self, window: int) -> float:
        options, lrs = self._options, np.array(self._recent[-window:])
        missing = lrs * (1.0 - merged_factors(window))
        area = self._area - float(missing.sum())
        left = options.memory ** np.arange(window)[::-1]
        heat = self._heat - (1.0 - options.memory) * float(missing @ left)
        lag = options.merged_lag * float(lrs.sum()) if window > 1 else 0.0
        return options.loss(area, heat) + lag + self._offset + self._noise()

    def _noise(self) -> float:
        return self._options.noise * float(generator(self._seed, self._step, "simulated noise").standard_normal())

    def save(self, file: BinaryIO) -> None:
        """One line of JSON, then padding up to ``checkpoint_bytes``."""
        state = {**self._identity(), "step": self._step, "area": self._area, "heat": self._heat}
        state["recent"] = self._recent
        line = json.dumps({**state, "checksum": _checksum(state)}).encode() + b"\n"
        file.write(line)
        file.write(bytes(max(0, self._options.checkpoint_bytes - len(line))))

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file is damaged, cut short, or of another configuration.
        """
        line = file.readline()
        try:
            state = json.loads(line)
            whole = state.pop("checksum") == _checksum(state)
            found = (int(state["step"]), float(state["area"]), float(state["heat"]))
            recent = [float(lr) for lr in state["recent"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise CheckpointError("the checkpoint is damaged, or not one of the simulated trainer.")
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise CheckpointError(f"the checkpoint is of another configuration: its {name} is not {value!r}.")
        missing = self._options.checkpoint_bytes - len(line)
        if missing > 0 and len(file.read(missing)) < missing:
            raise CheckpointError("the checkpoint is damaged: it was cut short.")
        self._step, self._area, self._heat = found
        self._recent = recent

    def _identity(self) -> dict[str, Any]:
        options = asdict(self._options)
        if self._options.weight_decay == 0.0 and self._options.batch == _BATCH:
            options = {name: value for name, value in options.items() if name not in _ADDED}
        return {"format": _FORMAT, "seed": self._seed, "options": options}


def _windows(step: int) -> list[int]:
    """Lengths of the means after `step` updates, increasing."""
    return sorted({max(1, round(share * step)) for share in MERGED_SHARES}) if step else []


def _checksum(state: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(state, sort_keys=True).encode())
